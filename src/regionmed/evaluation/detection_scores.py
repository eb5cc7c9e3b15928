"""From detections to scores: average precision for each set, over sets, and by size of region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.average_precision import (
    DRAWS,
    IOU_RANGES,
    STRATA,
    Precision,
    average_precision,
    mean_precision,
)
from regionmed.evaluation.detection import MODEL, Detection
from regionmed.evaluation.intervals import Estimate
from regionmed.evaluation.score import Conditions, Score, joint_conditions, score_of
from regionmed.evaluation.strata import LEAST_IN_STRATUM


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """One set's detection and the precision of the model and of each control."""

    detection: Detection
    precision: dict[str, Precision]

    def regions(self, stratum: str) -> int:
        """How many true regions are of a stratum."""
        return sum(box.is_of(stratum) for box in self.detection.truth)


def score_detection(detections: Sequence[Detection]) -> list[Score]:
    """`ap` of each set and their mean, for both ranges of IoU; sizes as means over sets.

    A size stands where LEAST_IN_STRATUM regions of a set are of it. Every set weighs the same.
    """
    measured = [_measure(detection) for detection in detections]
    if not measured:
        return []
    conditions = joint_conditions([one.part.conditions for one in detections])
    scores: list[Score] = []
    for iou in IOU_RANGES:
        for one in measured:
            part = one.detection.part
            scores.append(_score(iou, part.name, "all", [one], part.conditions))
        for stratum in STRATA:
            enough = [one for one in measured if one.regions(stratum) >= LEAST_IN_STRATUM]
            if enough:
                scores.append(_score(iou, "mean:all", stratum, enough, conditions))
    return scores


def _measure(detection: Detection) -> _Measured:
    seed = f"detection {detection.part.name}"
    truth, groups = detection.truth, detection.groups
    precision = {
        name: average_precision(truth, found, groups, seed)
        for name, found in detection.found.items()
    }
    return _Measured(detection, precision)


def _score(
    iou: str, name: str, stratum: str, measured: Sequence[_Measured], conditions: Conditions
) -> Score:
    shared = [
        control for control in measured[0].precision
        if control != MODEL and all(control in one.precision for one in measured)
    ]  # fmt: skip
    estimates = {
        who: mean_precision([one.precision[who] for one in measured], iou, stratum)
        for who in (MODEL, *shared)
    }
    model = estimates[MODEL]
    against = {control: _difference(model, estimates[control]) for control in shared}
    return score_of(
        model,
        task="grounding",
        set=name,
        stratum=stratum,
        metric="ap",
        n=sum(one.regions(stratum) for one in measured),
        chance=estimates["random box"].value,
        controls={control: estimates[control].value for control in shared},
        conditions=conditions,
        details={
            "iou": iou,
            "boxes": "predicted",
            "differences": {control: found.as_json() for control, found in against.items()},
            "labels": sum(len(one.detection.labels) for one in measured),
            "pictures": sum(len(one.detection.part.records) for one in measured),
            "draws": DRAWS,
        },
    )


def _difference(first: Estimate, second: Estimate) -> Estimate:
    """Of two precisions on the same draws, which are moved to where their mean is the value."""
    value, draws_D = first.value - second.value, first.draws - second.draws
    return Estimate(value, draws_D + (value - np.nanmean(draws_D)))
