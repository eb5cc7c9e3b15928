"""Selective prediction: what accuracy is left when a model may decline its least sure answers.

Answers are taken from the surest down; coverage is the share that is taken, risk the share of those
that is wrong. AURC, the area under the risk over all coverages, is (1 / N) sum_k risk of the first
k answers, lower is better (Geifman and El-Yaniv, 2017). Answers that are equally sure come in any
order, so what is expected of them is counted: equal confidences everywhere give the plain error.
Legend: N answers, B blocks of equal confidence or bins, C coverages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from regionmed.evaluation.confidence import BINS
from regionmed.evaluation.statistics import Floats

COVERAGES = (0.5, 0.7, 0.8, 0.9, 1.0)  # of which a score tells the accuracy
STEPS = 100  # of the curve that is drawn


@dataclass(frozen=True, slots=True, eq=False)
class SelectiveCurve:
    """Accuracy over coverage, to be drawn; `random` is the accuracy of any order."""

    set: str
    coverage_C: Floats  # 0.01, 0.02, ... 1
    accuracy_C: Floats
    random: float
    oracle_C: Floats  # of one who declines wrong answers first


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What was stated and how often it came true, by BINS equal bins of 0..1.

    stated_B, came_B   means of the answers in a bin; NaN where it is empty
    """

    set: str
    stated_B: Floats
    came_B: Floats
    count_B: NDArray[np.int64]


def area_under_risk(sure_N: ArrayLike, right_N: ArrayLike, weights_N: ArrayLike) -> float:
    """AURC of answers that count as often as their weights say, whole numbers; NaN where all are 0.

    sure_N   confidences, higher is surer; right_N 0..1, what each answer earned

    A block of W answers with e wrong ones, after K answers with E wrong ones, adds
    sum_{j=1..W} (E + j e / W) / (K + j) = E h + (e / W) (W - K h), h = H(K + W) - H(K), where H are
    the harmonic numbers.
    """
    count_B, wrong_B = _blocks(sure_N, 1 - np.asarray(right_N, float), weights_N)
    if not len(count_B):
        return float("nan")
    before_B = np.cumsum(count_B) - count_B
    wrong_before_B = np.cumsum(wrong_B) - wrong_B
    harmonic_B = digamma(before_B + count_B + 1) - digamma(before_B + 1)
    rate_B = wrong_B / count_B
    total = (wrong_before_B * harmonic_B + rate_B * (count_B - before_B * harmonic_B)).sum()
    # a risk is never outside 0..1, but a sum of thousands of rounded ones may be
    return float(np.clip(total / count_B.sum(), 0.0, 1.0))


def accuracy_at(coverage_C: ArrayLike, sure_N: ArrayLike, right_N: ArrayLike) -> Floats:
    """Accuracy (C,) of the surest share of the answers; a share that cuts an answer takes a part.

    coverage_C   above 0, at most 1
    """
    count_B, right_B = _blocks(sure_N, right_N, np.ones(len(np.asarray(right_N))))
    taken_C = np.asarray(coverage_C, float) * count_B.sum()
    counts, rights = np.append(0, np.cumsum(count_B)), np.append(0, np.cumsum(right_B))
    earned_C: Floats = np.interp(taken_C, counts, rights) / taken_C
    return earned_C


def selective_curve(name: str, sure_N: Floats, right_N: Floats) -> SelectiveCurve:
    """The curve of a set's answers at STEPS coverages."""
    coverage_C = np.arange(1, STEPS + 1) / STEPS
    return SelectiveCurve(
        name,
        coverage_C,
        accuracy_at(coverage_C, sure_N, right_N),
        float(right_N.mean()),
        accuracy_at(coverage_C, right_N, right_N),
    )


def reliability(name: str, stated_N: Floats, came_N: Floats) -> Reliability:
    """What calibration_error sums, bin by bin, to be drawn."""
    bin_N = np.minimum((stated_N * BINS).astype(int), BINS - 1)
    count_B = np.bincount(bin_N, minlength=BINS)
    nothing_B = np.full(BINS, np.nan)
    stated_B, came_B = (
        np.divide(
            np.bincount(bin_N, values_N, minlength=BINS),
            count_B,
            out=nothing_B.copy(),
            where=count_B > 0,
        )
        for values_N in (stated_N, came_N)
    )
    return Reliability(name, stated_B, came_B, count_B)


def _blocks(sure_N: ArrayLike, values_N: ArrayLike, weights_N: ArrayLike) -> tuple[Floats, Floats]:
    """Answers of equal confidence together, surest first: their weight (B,), their values' sum."""
    weights = np.asarray(weights_N, float)
    _, block_N = np.unique(-np.asarray(sure_N, float), return_inverse=True)
    count_B: Floats = np.bincount(block_N, weights).astype(float)
    value_B: Floats = np.bincount(block_N, weights * np.asarray(values_N, float)).astype(float)
    return count_B[count_B > 0], value_B[count_B > 0]
