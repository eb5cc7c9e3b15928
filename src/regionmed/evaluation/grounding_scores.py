"""From grounding answers to scores: pointing, miou, cnr and ap by set, by size, and over sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from regionmed.evaluation.detection_scores import score_detection
from regionmed.evaluation.grounding import Grounded, GroundingAnswers
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.score import Conditions, Score, joint_conditions, score_of
from regionmed.evaluation.statistics import (
    Estimate,
    differences,
    macro_mean,
    mean_of_estimates,
)
from regionmed.evaluation.strata import LEAST_IN_STRATUM, SIZES, group_of
from regionmed.geometry import size_stratum

EARNED: dict[str, Callable[[Grounded], tuple[float, dict[str, float]]]] = {
    "pointing": lambda one: (one.pointing, one.pointing_controls),
    "miou": lambda one: (one.overlap, one.overlap_controls),
    "cnr": lambda one: (one.contrast, one.contrast_controls),
}
BOUNDED = ("pointing", "miou")  # 0..1 a question, as Outcomes are


def score_grounding(answers: Sequence[GroundingAnswers]) -> list[Score]:
    """Each metric for each set, for each size of the label's largest region, and their means.

    Average precision of the proposed boxes comes last (score_detection).
    """
    if not answers:
        return []
    conditions = joint_conditions([one.part.conditions for one in answers])
    scores: list[Score] = []
    for metric in EARNED:
        rows = [(one, answer) for one in answers for answer in one.answers]
        for one in answers:
            own = [(one, answer) for answer in one.answers]
            scores.append(_score(metric, one.part.name, "all", own, one.part.conditions))
        scores.append(_mean_over_sets(metric, answers, conditions))
        for size in SIZES:
            part = [(one, a) for one, a in rows if size_stratum(a.largest) == size]
            if len(part) >= LEAST_IN_STRATUM:
                scores.append(_score(metric, "mean:all", size, part, conditions))
    detections = [one.detection for one in answers if one.detection is not None]
    return [*scores, *score_detection(detections)]


def outcomes_of(answers: GroundingAnswers) -> list[Outcomes]:
    """What each question earned, named "record_id#label": pointing and miou.

    Not cnr, which has no bounds, and not ap, which is no mean over questions.
    """
    records = [answers.part.records[one.row] for one in answers.answers]
    return [
        Outcomes(
            task="grounding",
            set=answers.part.name,
            metric=metric,
            boxes="none",
            items=tuple(
                f"{record.id}#{one.label}"
                for record, one in zip(records, answers.answers, strict=True)
            ),
            groups=tuple(group_of(record) for record in records),
            columns=(answers.part.name,) * len(records),
            strata=tuple(
                (size_stratum(one.largest), *([f"modality:{r.modality}"] if r.modality else []))
                for r, one in zip(records, answers.answers, strict=True)
            ),
            values_N=np.array([EARNED[metric](one)[0] for one in answers.answers]),
        )
        for metric in BOUNDED
    ]


def _score(
    metric: str,
    name: str,
    stratum: str,
    rows: Sequence[tuple[GroundingAnswers, Grounded]],
    conditions: Conditions,
) -> Score:
    """The mean over questions; where rows are of several sets, every set weighs the same."""
    estimate, against = _estimates(metric, rows, f"grounding {name} {stratum}")
    return _as_score(metric, name, stratum, len(rows), estimate, against, conditions)


def _mean_over_sets(
    metric: str, answers: Sequence[GroundingAnswers], conditions: Conditions
) -> Score:
    each = [
        _estimates(metric, [(one, a) for a in one.answers], f"grounding {one.part.name} all")
        for one in answers
    ]
    shared = [name for name in each[0][1] if all(name in against for _, against in each)]
    against = {name: mean_of_estimates([found[name] for _, found in each]) for name in shared}
    total = mean_of_estimates([estimate for estimate, _ in each])
    count = sum(len(one.answers) for one in answers)
    return _as_score(metric, "mean:all", "all", count, total, against, conditions)


def _estimates(
    metric: str, rows: Sequence[tuple[GroundingAnswers, Grounded]], seed: str
) -> tuple[Estimate, dict[str, Estimate]]:
    """The value, and its paired difference to each control that all rows have."""
    earned = [EARNED[metric](answer) for _, answer in rows]
    values = np.array([value for value, _ in earned])
    sets = [one.part.name for one, _ in rows]
    groups = [f"{one.part.name}/{group_of(one.part.records[a.row])}" for one, a in rows]
    shared = [name for name in earned[0][1] if all(name in controls for _, controls in earned)]
    controls = {name: np.array([found[name] for _, found in earned]) for name in shared}
    against = differences(values, controls, np.array(sets), groups, seed)
    return macro_mean(values, np.array(sets), groups, seed), against


def _as_score(
    metric: str,
    name: str,
    stratum: str,
    count: int,
    estimate: Estimate,
    against: dict[str, Estimate],
    conditions: Conditions,
) -> Score:
    controls = {control: estimate.value - found.value for control, found in against.items()}
    return score_of(
        estimate,
        task="grounding",
        set=name,
        stratum=stratum,
        metric=metric,
        n=count,
        chance=controls["random map"],
        controls=controls,
        conditions=conditions,
        details={
            "boxes": "none",
            "differences": {control: found.as_json() for control, found in against.items()},
        },
    )
