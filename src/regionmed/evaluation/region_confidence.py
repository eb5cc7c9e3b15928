"""How sure region answers are: calibration, selective prediction, and regions of other sets.

The softmax scale is fitted on the set's val regions. A region is as familiar as its nearest train
region of the set; whether that tells the set's own regions from those of the other sets is scored
as an area under the ROC curve. Two sets of one kind of picture, such as two of blood films, are
hard to tell apart and need not be: `by_set` says which. Legend: R regions · L labels · V val
regions · K train regions · E embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from regionmed.evaluation.confidence import BINS, UNFITTED, calibration_error
from regionmed.evaluation.encode import Floats, Rows, encode_texts
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.score import Score, joint_conditions, score_of
from regionmed.evaluation.selective import (
    COVERAGES,
    Reliability,
    SelectiveCurve,
    accuracy_at,
    area_under_risk,
    reliability,
    selective_curve,
)
from regionmed.evaluation.statistics import (
    Estimate,
    expected_hits,
    macro_auroc,
    mean_of_estimates,
    resampled,
)
from regionmed.evaluation.statistics import Floats as Floats64
from regionmed.evaluation.subject import Scored
from regionmed.model.confidence import familiarity, fitted_scale

CALIBRATED, FAMILIAR = "region_classification", "out_of_distribution"
MOST_OF_A_SET = 200  # foreign regions, so that a set of thousands does not stand for all the others


@dataclass(frozen=True, slots=True, eq=False)
class RegionConfidence:
    """What is needed to say how sure the answers about a set's regions are."""

    answers: RegionAnswers
    scale: float | None  # fitted on val; None where val is scored or too small
    regions_RE: Floats  # of answers.asked.places
    known_KE: Floats  # train regions of the set; may be empty

    @property
    def right_R(self) -> Floats64:  # noqa: N802 - names carry axes
        """What each answer earned, 0..1; ties share it."""
        return expected_hits(self.answers.similarity_RL, self.answers.asked.truth_R)

    @property
    def stated_R(self) -> Floats64:  # noqa: N802
        """The probability of each answer: the highest of its softmax."""
        return self.stated_at(UNFITTED if self.scale is None else self.scale)

    def stated_at(self, scale: float) -> Floats64:
        """The same (R,) at another scale."""
        scaled_RL = self.answers.similarity_RL.astype(float) * scale
        highest_R: Floats64 = softmax(scaled_RL, axis=1).max(axis=1)
        return highest_R

    @property
    def curve(self) -> SelectiveCurve:
        """Accuracy over coverage, for the report."""
        return selective_curve(self.answers.part.name, self.stated_R, self.right_R)

    @property
    def reliability(self) -> Reliability:
        """Stated and come true by bins, for the report."""
        return reliability(self.answers.part.name, self.stated_R, self.right_R)


def run_confidence(
    model: Scored, answers: RegionAnswers, train: Rows, val: Rows, test: Rows
) -> RegionConfidence:
    """Fit the scale on val regions of the labels asked; keep vectors for familiarity.

    test   whose regions are those of answers.asked.places, or more
    """
    split = answers.part.conditions.split
    # nothing is fitted on what is scored
    scale = None if split == "val" else _scale(model, answers, val)
    known_KE = train.regions_RE[:0] if split == "train" else train.regions_RE
    row_of = {place: row for row, place in enumerate(test.places)}
    asked = [row_of[place] for place in answers.asked.places]
    return RegionConfidence(answers, scale, test.regions_RE[asked], known_KE)


def score_selective(found: Sequence[RegionConfidence]) -> list[Score]:
    """ECE and AURC of each set, the AUROC of its regions against other sets', and their means."""
    scores: list[Score] = []
    for metric, estimated in (("ece", _calibration), ("aurc", _selection)):
        members = [(one, *estimated(one)) for one in found]
        scores += [_score(CALIBRATED, metric, *member) for member in members]
        if members:
            scores.append(_mean(CALIBRATED, metric, members))
    told = [
        (one, *_familiarity(one, others))
        for one in found
        if len(one.known_KE) and (others := [other for other in found if other is not one])
    ]
    scores += [_score(FAMILIAR, "auroc", *member) for member in told]
    if told:
        scores.append(_mean(FAMILIAR, "auroc", told))
    return scores


def _scale(model: Scored, answers: RegionAnswers, val: Rows) -> float | None:
    """Each label weighs as it does in val, of which `val` holds at most some regions a label."""
    labels, phrases = answers.asked.labels, answers.part.phrases
    named = [val.records[row].regions[number].label for row, number in val.places]
    rows = [row for row, label in enumerate(named) if label in labels]
    truth_V = np.array([labels.index(named[row]) for row in rows], int)
    in_val = Counter(region.label for record in val.records for region in record.regions)
    held = Counter(named)
    weights_V = np.array([in_val[named[row]] / held[named[row]] for row in rows])
    texts_LE = encode_texts(model, [phrases[label] for label in labels])
    scores_VL = val.regions_RE[rows] @ texts_LE.T
    return fitted_scale(scores_VL, truth_V[:, None] == np.arange(len(labels)), False, weights_V)


def _calibration(one: RegionConfidence) -> tuple[Estimate, float, dict[str, Any]]:
    """The calibration error at the fitted scale; one who states 1 / L makes none."""
    right_R, stated_R = one.right_R, one.stated_R
    estimate = resampled(
        lambda weights_R: calibration_error(stated_R, right_R, weights_R),
        one.answers.groups,
        _seed(one),
    )
    unfitted = calibration_error(one.stated_at(UNFITTED), right_R, np.ones(len(right_R)))
    details = {"bins": BINS, "unfitted": {"scale": UNFITTED, "value": unfitted}}
    return estimate, 0.0, details | _scale_said(one)


def _selection(one: RegionConfidence) -> tuple[Estimate, float, dict[str, Any]]:
    """AURC beside that of a random order, which is the plain error, and of an oracle's."""
    right_R, stated_R = one.right_R, one.stated_R
    estimate = resampled(
        lambda weights_R: area_under_risk(stated_R, right_R, weights_R),
        one.answers.groups,
        _seed(one),
    )
    accuracy_C = accuracy_at(COVERAGES, stated_R, right_R)
    taken = {f"{coverage:.0%}": float(a) for coverage, a in zip(COVERAGES, accuracy_C, strict=True)}
    oracle = area_under_risk(right_R, right_R, np.ones(len(right_R)))
    details = {"accuracy_at_coverage": taken, "oracle": oracle}
    return estimate, float(1 - right_R.mean()), details | _scale_said(one)


def _familiarity(
    one: RegionConfidence, others: Sequence[RegionConfidence]
) -> tuple[Estimate, float, dict[str, Any]]:
    """How often one of the set's regions is more familiar than one of another set."""
    kept = [_evenly(len(other.regions_RE)) for other in others]
    own_R = familiarity(one.regions_RE, one.known_KE)
    foreign = [
        familiarity(other.regions_RE[rows], one.known_KE)
        for other, rows in zip(others, kept, strict=True)
    ]
    own_groups = [f"own {group}" for group in one.answers.groups]
    groups = [
        f"{other.answers.part.name} {other.answers.groups[row]}"
        for other, rows in zip(others, kept, strict=True)
        for row in rows
    ]

    def told(foreign_R: Floats64, names: list[str]) -> Estimate:
        values = np.concatenate([own_R, foreign_R])[:, None]
        is_foreign = np.arange(len(values)) >= len(own_R)
        return macro_auroc(values, is_foreign.astype(int), own_groups + names, _seed(one))

    by_set = {
        other.answers.part.name: _area(own_R, values)
        for other, values in zip(others, foreign, strict=True)
    }
    details = {"by_set": by_set, "known_regions": len(one.known_KE)}
    return told(np.concatenate(foreign), groups), 0.5, details


def _area(own_R: Floats64, foreign_R: Floats64) -> float:
    own = np.arange(len(own_R) + len(foreign_R)) < len(own_R)
    return float(roc_auc_score(own, np.concatenate([own_R, foreign_R])))


def _evenly(number: int) -> list[int]:
    """At most MOST_OF_A_SET of `number` rows, evenly spaced."""
    count = min(number, MOST_OF_A_SET)
    return [row * number // count for row in range(count)]


Member = tuple[RegionConfidence, Estimate, float, dict[str, Any]]


def _score(
    task: str,
    metric: str,
    one: RegionConfidence,
    estimate: Estimate,
    chance: float,
    details: dict[str, Any],
) -> Score:
    return score_of(
        estimate,
        task=task,
        set=one.answers.part.name,
        metric=metric,
        n=len(one.regions_RE),
        chance=chance,
        conditions=one.answers.part.conditions,
        details={"boxes": "given", "labels": len(one.answers.asked.labels), **details},
    )


def _mean(task: str, metric: str, members: Sequence[Member]) -> Score:
    return score_of(
        mean_of_estimates([estimate for _, estimate, _, _ in members]),
        task=task,
        set="mean:all",
        metric=metric,
        n=sum(len(one.regions_RE) for one, *_ in members),
        chance=float(np.mean([chance for _, _, chance, _ in members])),
        conditions=joint_conditions([one.answers.part.conditions for one, *_ in members]),
        details={"boxes": "given", "sets": [one.answers.part.name for one, *_ in members]},
    )


def _scale_said(one: RegionConfidence) -> dict[str, Any]:
    if one.scale is None:
        return {"scale": UNFITTED, "scale_from": "unfitted: val is scored or too small"}
    return {"scale": one.scale, "scale_from": "fitted on val"}


def _seed(one: RegionConfidence) -> str:
    return f"regions {one.answers.part.name} all"
