"""Estimate: a value, how far drawing groups anew moves it, and an interval that holds 95 %.

The plain percentile bootstrap promises 95 % and holds less on small sets, much less near 0 and 1,
and gives [1, 1] where every answer is right. So the bootstrap gives the standard error alone, and
the interval has a form that keeps its promise (benchmarks/bootstrap_coverage.py measures it):

share       of answers worth 0..1: Wilson's interval with n = p (1 - p) / error^2, the number of
            independent answers that would be as sure, after Korn and Graubard for surveys
difference  of two such shares on the same answers: Agresti and Min's, which adds two answers, half
            a one that only the first gets right and half a one that only the second does
free        anything else: percentiles of the draws, moved outward after Hesterberg (2015)

All use Student's t with `freedom`. Where no draw differs from another, n is `least`: the number of
groups, so that fifty patients who are all right give [.93, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
Kind = Literal["share", "difference", "free"]

LEVEL = 0.975  # of each end: 95 % between them
NOTHING = 1e-9  # a standard error below this is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value, its bootstrap distribution, and what the form of its interval needs.

    draws    (D,); NaN where a draw held no answer
    error    standard error; None: the standard deviation of the draws
    freedom  degrees of freedom of `error`, 1 or more
    least    kinds share and difference: independent answers to count where `error` is 0;
             infinite where the value is exact, as chance is for equal scores
    square   kind difference: the mean square of the differences
    """

    value: float
    draws: Floats
    kind: Kind = "free"
    error: float | None = None
    freedom: float = math.inf
    least: float = math.nan
    square: float = math.nan

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.interval[1]

    @property
    def spread(self) -> float:
        """The standard error."""
        return float(np.nanstd(self.draws)) if self.error is None else self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends, within 0..1 for a share and -1..1 for a difference."""
        t = float(stdtrit(self.freedom, LEVEL))
        if self.kind == "share":
            return _wilson(self.value, self._answers(self.value * (1 - self.value)), t)
        if self.kind == "difference":
            centre, error = self._agresti_min()
            return max(centre - t * error, -1.0), min(centre + t * error, 1.0)
        outward = t * self.spread / max(float(np.nanstd(self.draws)), NOTHING)
        tail = float(stdtr(math.inf, -outward)) if self.spread > NOTHING else 1 - LEVEL
        low, high = np.nanquantile(self.draws, (tail, 1 - tail))
        return float(low), float(high)

    @property
    def p_value(self) -> float:
        """Two-sided p that the true value is 0: below .05 just where a difference's interval is.

        It comes from the same t-distribution and not from counting draws: 2,000 draws know no p
        below .001, which Holm's correction over a table of some hundred rows makes 1.
        """
        centre, error = (
            self._agresti_min() if self.kind == "difference" else (self.value, self.spread)
        )
        if error < NOTHING:
            return 1.0 if abs(centre) < NOTHING else 0.0
        return float(2 * stdtr(self.freedom, -abs(centre) / error))

    def as_json(self) -> dict[str, float]:
        """value, low, high."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def _answers(self, variance: float) -> float:
        """The number of independent answers of this variance that would be as sure."""
        # a mean over sets that are each all right has an error of theirs and no variance of its own
        certain = self.spread < NOTHING or variance < NOTHING
        return self.least if certain else variance / self.spread**2

    def _agresti_min(self) -> tuple[float, float]:
        answers = self._answers(max(self.square - self.value**2, 0.0))
        if math.isinf(answers):
            return self.value, 0.0
        centre = answers * self.value / (answers + 2)
        square = (answers * self.square + 1) / (answers + 2)
        return centre, math.sqrt(max(square - centre**2, 0.0) / (answers + 2))


def drawn_share(value: float, draws: Floats, groups_N: Sequence[str]) -> Estimate:
    """The Estimate of a metric within 0..1 whose draws over groups were made elsewhere.

    groups_N  of the answers that limit how sure the metric is: positives, where these are rare
    """
    effective = effective_groups(_sizes(groups_N))
    error, freedom = float(np.nanstd(draws)), max(effective - 1, 1.0)
    corrected = error * math.sqrt((freedom + 1) / freedom)
    return Estimate(value, draws, "share", corrected, freedom, least=effective)


def mean_of_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over sets, each drawn by itself: every set weighs the same.

    A set whose draws do not differ brings half the width of its own interval as its error.
    """
    number = len(estimates)
    draws_D = mean_of_known(np.array([estimate.draws for estimate in estimates]), axis=0)
    errors = np.array([_error_in_mean(estimate) for estimate in estimates])
    kinds = {estimate.kind for estimate in estimates}
    unsure = sum(1 / estimate.least for estimate in estimates)  # 0 where every value is exact
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        draws_D,
        kind=kinds.pop() if len(kinds) == 1 else "free",
        error=float(np.sqrt((errors**2).sum())) / number,
        freedom=joint_freedom(errors**2, [estimate.freedom for estimate in estimates]),
        least=number**2 / unsure if unsure else math.inf,
        square=float(np.mean([estimate.square for estimate in estimates])),
    )


def joint_freedom(variances: ArrayLike, freedoms: ArrayLike) -> float:
    """Degrees of freedom of a sum of independent variances, after Satterthwaite; 1 or more."""
    variance, freedom = np.asarray(variances, float), np.asarray(freedoms, float)
    if variance.sum() == 0:
        return max(float(freedom.min()), 1.0)
    below = float((variance**2 / freedom).sum())
    return max(float(variance.sum() ** 2 / below), 1.0) if below > 0 else math.inf


def effective_groups(sizes_G: ArrayLike) -> float:
    """Kish's number of groups of equal size that count as much: (sum n)^2 / sum n^2."""
    sizes = np.asarray(sizes_G, float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def mean_of_known(values: Floats, axis: int) -> Floats:
    """The mean that leaves NaN out, and is NaN where there is nothing else (np.nanmean warns)."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return ratio(total, known.sum(axis=axis).astype(float))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """NaN where there is nothing to divide by."""
    unknown = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=unknown, where=denominator > 0)


def _sizes(groups_N: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(groups_N), return_counts=True)[1]


def _error_in_mean(estimate: Estimate) -> float:
    if estimate.spread > NOTHING or estimate.kind == "free":
        return estimate.spread
    return (estimate.high - estimate.low) / 2 / float(stdtrit(estimate.freedom, LEVEL))


def _wilson(share: float, answers: float, t: float) -> tuple[float, float]:
    """Wilson's score interval of a share, with t in the place of the normal quantile."""
    weight = t * t / answers
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return max(centre - half, 0.0), min(centre + half, 1.0)
