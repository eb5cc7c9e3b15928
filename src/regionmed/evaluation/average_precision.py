"""Average precision of proposed boxes, as COCO defines it, with its interval.

The evaluator is faster-coco-eval: boxes of one picture and label are matched with the true ones,
best score first, at IoU .50, .55, ... .95; precision is interpolated at 101 levels of recall; the
value is the mean over labels (those with a true box) and over IoU, at most 100 boxes a picture.

Two things are added. Every picture is scaled to SIDE x SIDE, which changes no IoU and makes COCO's
area ranges ours (geometry.SIZE_STRATA). And COCO lets the order of the pictures decide between
boxes of equal score, so that a model with one constant score could be lucky: the pictures are
shuffled ORDERS times and the mean is taken. Where no scores are equal, that is COCO's number.
Legend: N pictures · P placed boxes · I ranges of IoU · A strata of area · D draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from regionmed.evaluation.intervals import Estimate, drawn_share, mean_of_known
from regionmed.evaluation.statistics import group_weights
from regionmed.geometry import SIZE_STRATA

Floats = NDArray[np.float64]

IOU_RANGES = (".50:.95", ".50")
STRATA = ("all", *(name for name, _ in SIZE_STRATA))
SIDE = 1000.0
MOST_BOXES = 100  # a picture and label, as in COCO
ORDERS = 20
DRAWS = 200  # each goes through the evaluator once more


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """A true or a proposed box of one label in one picture."""

    picture: int  # 0..N-1
    label: int
    edges: tuple[float, float, float, float]  # x0 y0 x1 y1 in 0..1 of the picture
    score: float = 1.0  # of no meaning for a true box

    def is_of(self, stratum: str) -> bool:
        """Whether the box is of a size, as geometry.size_stratum has it; of "all" it always is."""
        x0, y0, x1, y1 = self.edges
        side = math.sqrt((x1 - x0) * (y1 - y0))
        return stratum in ("all", next(name for name, bound in SIZE_STRATA if side < bound))


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """Average precision by range of IoU and stratum; NaN where no true box is of that stratum."""

    value_IA: Floats
    draws_DIA: Floats
    groups: dict[str, list[str]]  # by stratum, of each true box

    def estimate(self, iou: str = IOU_RANGES[0], stratum: str = "all") -> Estimate:
        """One of the values, with its bootstrap."""
        return mean_precision([self], iou, stratum)


def mean_precision(precisions: Sequence[Precision], iou: str, stratum: str) -> Estimate:
    """The mean over sets, each drawn by itself: every set weighs the same.

    A draw that holds a picture twice finds its boxes twice and is a little too good: so the
    interval takes the draws' spread, not their place.
    """
    at = IOU_RANGES.index(iou), STRATA.index(stratum)
    value = float(np.mean([one.value_IA[at] for one in precisions]))
    draws_D = mean_of_known(np.array([one.draws_DIA[:, at[0], at[1]] for one in precisions]), 0)
    groups = [f"{n} {group}" for n, one in enumerate(precisions) for group in one.groups[stratum]]
    return drawn_share(value, draws_D, groups) if groups else Estimate(value, draws_D)


def average_precision(
    truth: Sequence[PlacedBox], found: Sequence[PlacedBox], groups_N: Sequence[str], seed: str
) -> Precision:
    """The precision of `found` against `truth` in all N pictures, also those without any box.

    groups_N  what is drawn together by the bootstrap (DRAWS draws), for each picture
    seed      the same seed draws the same groups, so that two models or a control can be paired

    ValueError where there is no true box.
    """
    if not truth:
        raise ValueError("average precision needs at least one true box")
    matches = _Matches(truth, found, len(groups_N))
    generator = np.random.default_rng(list(seed.encode()))
    number_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    everything = np.arange(len(groups_N))
    value_IA = np.mean(
        [matches.precision(generator.permutation(everything)) for _ in range(ORDERS)], axis=0
    )
    drawn = []
    for weights_G in group_weights(int(number_N.max()) + 1, seed)[:DRAWS]:
        pictures = np.repeat(everything, weights_G[number_N].astype(int))
        drawn.append(matches.precision(generator.permutation(pictures)))
    groups = {name: [groups_N[box.picture] for box in truth if box.is_of(name)] for name in STRATA}
    return Precision(value_IA, np.array(drawn), groups)


class _Matches:
    """Boxes matched once; then the precision over any multiset of the pictures."""

    def __init__(self, truth: Sequence[PlacedBox], found: Sequence[PlacedBox], pictures: int):
        labels = sorted({box.label for box in truth})
        known = [box for box in found if box.label in labels]  # COCO leaves other labels out
        coco = _dataset(truth, pictures, labels)
        self.evaluator: Any = COCOeval_faster(
            coco, _dataset(known, pictures, labels), "bbox", separate_eval=True
        )
        params = self.evaluator.params
        bounds = [0.0, *((SIDE * bound) ** 2 for _, bound in SIZE_STRATA)]
        bounds[-1] = (2 * SIDE) ** 2
        params.areaRng = [[0.0, bounds[-1]], *map(list, pairwise(bounds))]
        params.areaRngLbl = list(STRATA)
        params.maxDets = [MOST_BOXES]
        self.evaluator.evaluate()
        # The evaluator has no public way to draw pictures; it keeps one entry for each label,
        # stratum and picture, in this order.
        entries = self.evaluator._evalImgs_cpp
        cells = np.empty(len(entries), object)
        cells[:] = entries
        self.cells = cells.reshape(-1, pictures)

    def precision(self, drawn: NDArray[np.int64]) -> Floats:
        """(I, A) over the pictures drawn, each as often as it comes, in this order."""
        self.evaluator._evalImgs_cpp = list(self.cells[:, drawn].ravel())
        self.evaluator._paramsEval.imgIds = list(range(len(drawn)))
        self.evaluator.accumulate()
        levels = self.evaluator.eval["precision"][..., 0]  # IoU, recall, label, stratum; -1: no box
        return np.array(
            [
                [_mean_of_reached(part[..., area]) for area in range(len(STRATA))]
                for part in (levels, levels[:1])
            ]
        )


def _dataset(boxes: Sequence[PlacedBox], pictures: int, labels: Sequence[int]) -> Any:
    """The boxes in COCO's form, SIDE pixels a picture; box number 0 would mean "unmatched"."""
    rows = []
    for number, box in enumerate(boxes, start=1):
        x0, y0, x1, y1 = (SIDE * edge for edge in box.edges)
        rows.append(
            {
                "id": number,
                "image_id": box.picture,
                "category_id": box.label,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                "score": box.score,
            }
        )
    images = [{"id": n, "width": int(SIDE), "height": int(SIDE)} for n in range(pictures)]
    coco = COCO()
    coco.dataset = {
        "images": images,
        "annotations": rows,
        "categories": [{"id": label, "name": str(label)} for label in labels],
    }
    coco.createIndex()
    return coco


def _mean_of_reached(levels: Floats) -> float:
    known = levels[levels > -1]
    return float(known.mean()) if known.size else math.nan
