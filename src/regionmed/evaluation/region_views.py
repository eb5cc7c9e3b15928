"""The scored regions of a Part, read from every source of boxes and in altered pictures.

Sources of boxes: `given`; `jitter-10`, `-20`, `-40`, moved by that share of their size; `random`, a
box of the same size elsewhere (the control `wrong-region`); `predicted`, the model's own proposal
that overlaps a given box most; `none`, the whole picture. Altered pictures, one for each region:
`blank`, `context-free` and `marker` (controls.py). What costs a forward a region, altered pictures
and moved boxes where a model does not read all regions in one forward, is asked of at most
MOST_APART regions of a set, drawn evenly over its labels. Legend: R regions · E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.batches.batch import boxes_to_unit
from regionmed.evaluation.controls import (
    SEED,
    Pixels,
    jittered_box,
    marked,
    only_region,
    without_region,
    wrong_box,
)
from regionmed.evaluation.encode import BATCH, Floats, encode, encode_crops
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.proposals import propose
from regionmed.evaluation.statistics import Integers
from regionmed.evaluation.subject import Subject
from regionmed.geometry import Box, Placement, intersection_over_union
from regionmed.progress import Track, silent

JITTER = {"jitter-10": 0.1, "jitter-20": 0.2, "jitter-40": 0.4}
MOST_APART = 600
MOVED = ("given", *JITTER, "random")  # sources that need no model to say where

Flags = NDArray[np.bool_]
Places = Sequence[tuple[int, int]]  # row in part.records, number of the region in the record


@dataclass(frozen=True, slots=True, eq=False)
class RegionViews:
    """Unit rows, one a region in the order of the places asked; and its picture's own vector.

    by_boxes  source -> (R, E); a region that no proposal overlaps has a row of zeros
    altered   blank, context-free -> (R, E) of the region; marker -> (R, E) of the whole picture
              where a region was not drawn for what is asked apart, its row is NaN
    gates_R2  detail and context that each given region let in; None from a model without gates
    """

    images_NE: Floats
    by_boxes: dict[str, Floats]
    altered: dict[str, Floats]
    gates_R2: Floats | None = None


def view_regions(
    model: Subject,
    part: Part,
    pictures: Pictures,
    places: Places,
    labels_R: Integers,
    track: Track = silent,
) -> RegionViews:
    """Every picture once with all its boxes, and drawn regions once in each altered picture."""
    apart_R = drawn_evenly(labels_R, MOST_APART)
    boxes = moved_boxes(part, places)
    if not model.one_forward:
        for source in set(boxes) - {"given"}:
            boxes[source] = [
                box if kept else None for box, kept in zip(boxes[source], apart_R, strict=True)
            ]
    predicted = _predicted_boxes(model, part, pictures, places, track)
    if predicted is not None:
        boxes["predicted"] = predicted
    images_NE, by_boxes, gates_R2 = _read_all(model, part, pictures, places, boxes, track)
    if not model.one_forward:
        for source in set(boxes) - {"given", "predicted"}:
            by_boxes[source][~apart_R] = np.nan
    some = [place for place, kept in zip(places, apart_R, strict=True) if kept]
    altered = {}
    for name, vectors_SE in _altered(model, part, pictures, some, track).items():
        altered[name] = np.full((len(places), model.embedding_dim), np.nan, np.float32)
        altered[name][apart_R] = vectors_SE
    return RegionViews(images_NE, by_boxes, altered, gates_R2)


def drawn_evenly(labels_R: Integers, most: int) -> Flags:
    """Which regions are drawn: all up to `most`, else as many of each label as there are, in turn.

    The same on every run and for every model.
    """
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(labels_R))
    turn_R = np.zeros(len(labels_R), int)  # how many of its label come before it in the order
    for label in np.unique(labels_R):
        own = order[labels_R[order] == label]
        turn_R[own] = np.arange(len(own))
    drawn_R = np.zeros(len(labels_R), bool)
    drawn_R[order[np.argsort(turn_R[order], kind="stable")][:most]] = True
    return drawn_R


def moved_boxes(part: Part, places: Places) -> dict[str, list[Box | None]]:
    """The boxes of the sources in MOVED, one a region; the same on every run."""
    generator = np.random.default_rng(SEED)
    moved: dict[str, list[Box | None]] = {source: [] for source in MOVED}
    for row, number in places:
        box = part.records[row].regions[number].box
        moved["given"].append(box)
        moved["random"].append(wrong_box(box, generator))
        for source, share in JITTER.items():
            moved[source].append(jittered_box(box, share, generator))
    return moved


def best_overlap(box: Box, proposed: Sequence[Box]) -> Box | None:
    """The proposal that overlaps a box most, the first of equals; None where none touches it."""
    overlaps = [intersection_over_union(box, other) for other in proposed]
    if not overlaps or max(overlaps) == 0:
        return None
    return proposed[int(np.argmax(overlaps))]


def _predicted_boxes(
    model: Subject, part: Part, pictures: Pictures, places: Places, track: Track
) -> list[Box | None] | None:
    """For each region the proposal that overlaps it most; None where the model does not point.

    Proposals know no label: they come from the highest heat over all phrases of the set.
    """
    phrases = sorted({part.phrases[part.records[row].regions[n].label] for row, n in places})
    asked = sorted({row for row, _ in places})
    proposed: dict[int, list[Box]] = {}
    title = f"{part.name}: proposals"
    for start in track(range(0, len(asked), BATCH), title):
        rows = asked[start : start + BATCH]
        maps = model.heat(pictures.pixels_NHWC[rows], [phrases] * len(rows))
        if maps is None:
            return None
        for row, map_Thw in zip(rows, maps, strict=True):
            found = propose(map_Thw.max(axis=0), pictures.placements[row])
            proposed[row] = [proposal.box for proposal in found]
    return [
        best_overlap(part.records[row].regions[number].box, proposed[row]) for row, number in places
    ]


def _read_all(
    model: Subject,
    part: Part,
    pictures: Pictures,
    places: Places,
    boxes: dict[str, list[Box | None]],
    track: Track,
) -> tuple[Floats, dict[str, Floats], Floats | None]:
    """Pictures (N, E), for each source its regions (R, E), and the gates of the given ones.

    One forward a picture, however many boxes.
    """
    by_boxes = {
        source: np.zeros((len(places), model.embedding_dim), np.float32) for source in boxes
    }
    per_picture: list[list[tuple[str, int, Box]]] = [[] for _ in part.records]
    for source, some in boxes.items():
        for region, ((row, _), box) in enumerate(zip(places, some, strict=True)):
            if box is not None:
                per_picture[row].append((source, region, box))
    boxes_NR4 = [
        boxes_to_unit([box for _, _, box in asked], placement)
        for asked, placement in zip(per_picture, pictures.placements, strict=True)
    ]
    title = f"{part.name}: pictures and regions"
    both = encode(model, pictures.pixels_NHWC, boxes_NR4, title, track)
    order = [(source, region) for asked in per_picture for source, region, _ in asked]
    for (source, region), vector_E in zip(order, both.regions_RE, strict=True):
        by_boxes[source][region] = vector_E
    if not len(both.gates_R2):
        return both.images_NE, by_boxes, None
    gates_R2 = np.zeros((len(places), 2), np.float32)
    for (source, region), gates_2 in zip(order, both.gates_R2, strict=True):
        if source == "given":
            gates_R2[region] = gates_2
    return both.images_NE, by_boxes, gates_R2


def _altered(
    model: Subject, part: Part, pictures: Pictures, places: Places, track: Track
) -> dict[str, Floats]:
    """One forward a region and alteration: it is alone in a picture of its own.

    A crop holds nothing but its region, so for a model that is shown crops `context-free` is the
    given crop itself and is left out.
    """
    altered = {"blank": _alter(model, part, pictures, places, without_region, True, track)}
    if model.reads_regions:
        altered["context-free"] = _alter(model, part, pictures, places, only_region, True, track)
    altered["marker"] = _alter(model, part, pictures, places, marked, False, track)
    return altered


def _alter(
    model: Subject,
    part: Part,
    pictures: Pictures,
    places: Places,
    change: Callable[[Pixels, Box, Placement], Pixels],
    regions: bool,
    track: Track,
) -> Floats:
    rows: list[Floats] = []
    title = f"{part.name}: {change.__name__.replace('_', ' ')}"
    for start in track(range(0, len(places), BATCH), title):
        some = places[start : start + BATCH]
        boxes = [part.records[row].regions[number].box for row, number in some]
        placements = [pictures.placements[row] for row, _ in some]
        pixels_NHWC = np.stack(
            [
                change(pictures.pixels_NHWC[row], box, placement)
                for (row, _), box, placement in zip(some, boxes, placements, strict=True)
            ]
        )
        edges = [boxes_to_unit([box], at) for box, at in zip(boxes, placements, strict=True)]
        if not regions:
            rows.append(encode(model, pixels_NHWC).images_NE)
        elif model.reads_regions:
            rows.append(encode(model, pixels_NHWC, edges).regions_RE)
        else:
            rows.append(encode_crops(model, pixels_NHWC, edges))
    return np.concatenate(rows)
