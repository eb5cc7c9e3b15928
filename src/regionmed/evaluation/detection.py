"""Detection: are the places that a phrase proposes the regions of its label, in every picture?

Asked of every label with enough regions in the split and of every picture, also those without the
label: a false place costs precision. The score is average precision (average_precision.py).
Controls propose without looking: `blank` is the model on the grey picture, `centre prior` the mean
training box of the set everywhere, `random box` a box of two random corners with a random score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.average_precision import PlacedBox
from regionmed.evaluation.part import Part
from regionmed.evaluation.proposals import Proposal
from regionmed.evaluation.strata import group_of, scored_labels

MODEL = "model"
SEED = 0


@dataclass(frozen=True, slots=True)
class Detected:
    """A proposal for the label of one picture."""

    row: int  # in part.records
    label: str
    proposal: Proposal


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """All that was proposed in the pictures of a Part: by MODEL, and by each control."""

    part: Part
    labels: tuple[str, ...]
    found: dict[str, tuple[PlacedBox, ...]]

    @property
    def truth(self) -> list[PlacedBox]:
        """Every region of the labels."""
        return [
            PlacedBox(row, self.labels.index(region.label), region.box.unit())
            for row, record in enumerate(self.part.records)
            for region in record.regions
            if region.label in self.labels
        ]

    @property
    def groups(self) -> list[str]:
        """What is resampled, for each picture."""
        return [group_of(record) for record in self.part.records]


def detected_labels(part: Part) -> tuple[str, ...]:
    """The labels with enough regions in the split and a phrase to ask with."""
    regions = (region for record in part.records for region in record.regions)
    return tuple(
        label for label in scored_labels(one.label for one in regions) if label in part.phrases
    )


def detection_of(
    part: Part,
    model: Sequence[Detected],
    blank: Sequence[Detected],
    prior: tuple[float, float, float, float] | None,
) -> Detection | None:
    """What model and controls proposed; None where no label has enough regions.

    model, blank  proposals in the pictures and in grey ones; of other labels they are left out
    prior         the mean training box, x0 y0 x1 y1 in 0..1; None where there is none
    """
    labels = detected_labels(part)
    if not labels:
        return None
    found = {MODEL: _placed(model, labels), "blank": _placed(blank, labels)}
    everywhere = [(row, label) for row in range(len(part.records)) for label in range(len(labels))]
    if prior is not None:
        found["centre prior"] = tuple(PlacedBox(row, label, prior) for row, label in everywhere)
    found["random box"] = _random_boxes(everywhere)
    return Detection(part, labels, found)


def _placed(found: Sequence[Detected], labels: tuple[str, ...]) -> tuple[PlacedBox, ...]:
    return tuple(
        PlacedBox(
            one.row, labels.index(one.label), one.proposal.box.unit(), float(one.proposal.score)
        )
        for one in found
        if one.label in labels
    )


def _random_boxes(everywhere: Sequence[tuple[int, int]]) -> tuple[PlacedBox, ...]:
    generator = np.random.default_rng(SEED)
    boxes = []
    for row, label in everywhere:
        (x0, x1), (y0, y1) = np.sort(generator.random((2, 2)), axis=1).tolist()
        boxes.append(PlacedBox(row, label, (x0, y0, x1, y1), generator.random()))
    return tuple(boxes)
