"""When an answer is unsure: what an index learns from its val rows, and what it then says.

Three things make an answer unsure, each fitted or set when the index is built:

unfamiliar     the region's nearest train region lies farther than that of all but FLAGGED of the
               val regions, every set weighing the same; so 1 in 20 regions of a known kind is
               flagged for nothing. Whole pictures are compared with whole pictures.
nearly equal   the best two findings are less than LEAST_LEAD apart in probability
unlikely       the best finding's probability is below LEAST_LIKELY: it is more likely wrong

A finding's similarity is that of its best wording; over all findings of the index the probability
is softmax(similarity * scale). It is calibrated on val rows of these corpora and holds for regions
like them, so an unfamiliar region is given none. Val rows that the checkpoint was trained on are
left out. Legend: Q queries · V val rows · F findings · T their wordings · E embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from regionmed.model.confidence import (
    CHUNK,
    LEAST_TO_FIT,
    equal_weights,
    familiarity,
    fitted_scale,
)

FLAGGED = 0.05  # of val rows
LEAST_LEAD = 0.1
LEAST_LIKELY = 0.5

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Familiar:
    """What counts as familiar among regions, or among whole pictures."""

    least: float  # cosine to the nearest train row; below it: unfamiliar
    known: int  # train rows
    rows: int  # val rows it was fitted on
    flagged: float = FLAGGED  # the share of these below `least`, every set weighing the same


@dataclass(frozen=True, slots=True)
class Calibration:
    """How similarities of findings become probabilities, and from when on these are unsure."""

    scale: float
    rows: int  # val regions it was fitted on
    least_lead: float = LEAST_LEAD
    least_likely: float = LEAST_LIKELY


@dataclass(frozen=True, slots=True)
class Certainty:
    """What an index knows; each None where too few val rows (LEAST_TO_FIT) or no train rows are."""

    regions: Familiar | None
    pictures: Familiar | None
    findings: Calibration | None

    def as_json(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of an answer's certainty: one sentence each, or None."""

    unsure: str | None = None
    unjudged: str | None = None  # what could not be judged; why
    probability: dict[str, float] | None = None  # finding -> 0..1, summing to 1


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The findings of an index and all wordings of each, finding after finding."""

    names: tuple[str, ...]  # a finding's phrase each
    wordings_TE: Floats
    first_F: NDArray[np.int64]  # row of each finding's first wording

    def similarity(self, queries_QE: Floats) -> Floats:
        """Cosine (Q, F) to the best wording of each finding."""
        parts = [np.zeros((0, len(self.names)))]
        for start in range(0, len(queries_QE), CHUNK):
            cosine_QT = queries_QE[start : start + CHUNK] @ self.wordings_TE.T
            parts.append(np.maximum.reduceat(cosine_QT, self.first_F, axis=1))
        return np.concatenate(parts)


def findings_of(
    about: Sequence[str], chosen: Iterable[int], sentences_SE: Floats
) -> Findings | None:
    """Findings from the chosen sentences, by what they are about; None where none is chosen."""
    rows = sorted(chosen, key=lambda row: (about[row], row))
    if not rows:
        return None
    names, first = np.unique([about[row] for row in rows], return_index=True)
    return Findings(tuple(str(name) for name in names), sentences_SE[rows], first)


def fit_familiar(known_KE: Floats, val_VE: Floats, sets_V: Sequence[str]) -> Familiar | None:
    """The threshold below which FLAGGED of the val rows lie; None from too few rows."""
    if not len(known_KE) or len(val_VE) < LEAST_TO_FIT:
        return None
    near_V = familiarity(val_VE, known_KE)
    order = np.argsort(near_V, kind="stable")
    reached = np.cumsum(equal_weights(sets_V)[order]) / len(order)
    least = near_V[order][int(np.searchsorted(reached, FLAGGED))]
    return Familiar(float(least), len(known_KE), len(near_V))


def fit_calibration(
    findings: Findings | None, val_VE: Floats, truth_V: Sequence[str], sets_V: Sequence[str]
) -> Calibration | None:
    """The scale of least negative log likelihood, every set weighing the same.

    truth_V   the finding of each val region; None where there are fewer than two findings
    """
    if findings is None or len(findings.names) < 2:
        return None
    column = {name: number for number, name in enumerate(findings.names)}
    rows = [row for row, name in enumerate(truth_V) if name in column]
    truth = np.array([column[truth_V[row]] for row in rows], int)
    table_VF = truth[:, None] == np.arange(len(column))
    weights_V = equal_weights([sets_V[row] for row in rows]) if rows else None
    scale = fitted_scale(findings.similarity(val_VE[rows]), table_VF, False, weights_V)
    return None if scale is None else Calibration(scale, len(rows))


def judge(
    certainty: Certainty,
    findings: Findings | None,
    query_E: Floats,
    known_KE: Floats,
    *,
    region: bool,
) -> Judgement:
    """How sure an answer about a region, or about a whole picture, may be.

    known_KE   the train rows of that kind, which `certainty` was fitted with
    findings   None where probabilities are not asked: other sentences than the index's were given
    """
    kind = "region" if region else "picture"
    familiar = certainty.regions if region else certainty.pictures
    if familiar is None:
        return Judgement(
            unjudged=f"how sure this is; the index was made with too few val {kind}s to tell"
        )
    near = float(familiarity(query_E[None], known_KE)[0])
    if near < familiar.least:
        said = (
            f"this {kind} looks like none of the {familiar.known:,} train {kind}s of this index: "
            f"the nearest has similarity {near:.2f}, and {1 - familiar.flagged:.0%} of {kind}s of "
            f"its sets reach {familiar.least:.2f}"
        )
        return Judgement(unsure=_spaced(said))
    calibration = certainty.findings
    if not region or findings is None or calibration is None:
        return Judgement(unjudged=_no_probability(region, findings, calibration))
    scaled_F = findings.similarity(query_E[None])[0].astype(float) * calibration.scale
    probability = dict(zip(findings.names, softmax(scaled_F).tolist(), strict=True))
    return Judgement(_doubt(list(probability.values()), calibration), None, probability)


def _doubt(probabilities: Sequence[float], limits: Calibration) -> str | None:
    best, second = sorted(probabilities, reverse=True)[:2]
    if best - second < limits.least_lead:
        return _spaced(f"the best two answers are nearly as likely: {best:.0%} and {second:.0%}")
    if best < limits.least_likely:
        return _spaced(f"the best answer is more likely wrong than right: {best:.0%}")
    return None


def _no_probability(
    region: bool, findings: Findings | None, calibration: Calibration | None
) -> str:
    if not region:
        return "how likely its sentences are; a whole picture is checked for familiarity alone"
    if findings is None:
        return "how likely sentences of your own are; only those of the index are calibrated"
    return (
        "this index was made with too few val regions, or with one finding, to give probabilities"
    )


def _spaced(said: str) -> str:
    return said.replace("%", " %")
