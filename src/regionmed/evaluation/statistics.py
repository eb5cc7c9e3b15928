"""What an answer earns, means that no common label rules, and how sure they are.

Every interval is a bootstrap over groups (patients where known, else families of twins, else
pictures): DRAWS times as many groups as there are, drawn with return, seeded by a name, so that the
same question gives the same interval. Legend: N answers, L labels, C columns, G groups, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS = 2000
LEVELS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value and its bootstrap distribution, `draws` (D,); NaN where a draw held no answer."""

    value: float
    draws: Floats

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return float(np.nanquantile(self.draws, LEVELS[0]))

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return float(np.nanquantile(self.draws, LEVELS[1]))

    def as_json(self) -> dict[str, float]:
        """value, low, high."""
        return {"value": self.value, "low": self.low, "high": self.high}


def expected_hits(similarity_NL: NDArray[Any], truth_N: NDArray[Any]) -> Floats:
    """What each row earns when it names its highest column; tied columns share the credit.

    similarity_NL  higher is nearer; truth_N  the right column of each row
    returns        0..1 a row: 1 / ties where the truth is among the highest, else 0,
                   so that a row of equal numbers earns exactly 1 / L
    """
    highest_NL = similarity_NL == similarity_NL.max(axis=1, keepdims=True)
    hit_N = highest_NL[np.arange(len(truth_N)), truth_N]
    return hit_N / highest_NL.sum(axis=1)


def macro_mean(
    values_N: ArrayLike, columns_N: ArrayLike, groups_N: Sequence[str], seed: str
) -> Estimate:
    """The mean over columns of the mean value in each; with labels as columns: macro accuracy.

    value = (1 / C) sum_c (sum of the values of c / their number). A draw that lacks a column leaves
    it out of its mean. With one column this is the plain mean.
    """
    sums_GC, counts_GC = _by_group(np.asarray(values_N, float), columns_N, groups_N)
    weights_DG = group_weights(len(sums_GC), seed)
    everything_1G = np.ones((1, len(sums_GC)))
    value = float(_mean_of_ratios(everything_1G, sums_GC, counts_GC)[0])
    return Estimate(value, _mean_of_ratios(weights_DG, sums_GC, counts_GC))


def mean(values_N: ArrayLike, groups_N: Sequence[str], seed: str) -> Estimate:
    """The plain mean over answers."""
    return macro_mean(values_N, np.zeros(len(groups_N), int), groups_N, seed)


def paired_difference(
    first_N: ArrayLike,
    second_N: ArrayLike,
    columns_N: ArrayLike,
    groups_N: Sequence[str],
    seed: str,
) -> Estimate:
    """macro_mean of `first` minus that of `second`, both on the same answers and the same draws."""
    difference_N = np.asarray(first_N, float) - np.asarray(second_N, float)
    return macro_mean(difference_N, columns_N, groups_N, seed)


def differences(
    hits_N: ArrayLike,
    control_hits: Mapping[str, ArrayLike],
    columns_N: ArrayLike,
    groups_N: Sequence[str],
    seed: str,
) -> dict[str, Estimate]:
    """The paired difference to each control."""
    return {
        name: paired_difference(hits_N, control, columns_N, groups_N, seed)
        for name, control in control_hits.items()
    }


def mean_of_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over sets, each drawn by itself: every set weighs the same."""
    draws_D = _mean_of_known(np.array([estimate.draws for estimate in estimates]), axis=0)
    return Estimate(float(np.mean([estimate.value for estimate in estimates])), draws_D)


def macro_auroc(
    scores_NL: Floats, truth_N: NDArray[Any], groups_N: Sequence[str], seed: str
) -> Estimate:
    """Mean over labels of the area under the curve, each label against all others.

    AUROC_l = P(score of a positive > score of a negative) + P(equal) / 2. In a draw w over groups
    it is w' A_l w / (w' p_l)(w' n_l), where A_l counts the won pairs between every two groups. A
    draw without positives or without negatives of a label skips it. Every label needs both in N.
    """
    number_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    groups = int(number_N.max()) + 1
    member_GN = (np.arange(groups)[:, None] == number_N).astype(float)
    weights_DG = np.vstack([np.ones((1, groups)), group_weights(groups, seed)])
    columns = []
    for label in range(scores_NL.shape[1]):
        positive_N = truth_N == label
        won_PN = _won(scores_NL[positive_N, label], scores_NL[~positive_N, label])
        won_GG = member_GN[:, positive_N] @ won_PN @ member_GN[:, ~positive_N].T
        won_D = ((weights_DG @ won_GG) * weights_DG).sum(axis=1)
        positives_D = weights_DG @ member_GN[:, positive_N].sum(axis=1)
        negatives_D = weights_DG @ member_GN[:, ~positive_N].sum(axis=1)
        columns.append(_ratio(won_D, positives_D * negatives_D))
    area_D = _mean_of_known(np.array(columns), axis=0)
    return Estimate(float(area_D[0]), area_D[1:])


def resampled(
    metric: Callable[[Floats], float], groups_N: Sequence[str], seed: str, draws: int = DRAWS
) -> Estimate:
    """A metric of weighted answers and its bootstrap over groups.

    metric  from weights (N,), how often each answer is counted, to a value; NaN where a draw says
            nothing, as an area under a curve does without positives
    """
    number_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    weights_DG = group_weights(int(number_N.max()) + 1, seed)[:draws]
    value = metric(np.ones(len(number_N)))
    return Estimate(value, np.array([metric(weights_G[number_N]) for weights_G in weights_DG]))


def group_weights(groups: int, seed: str) -> Floats:
    """How often each group is in each draw: (DRAWS, groups), each row sums to `groups`."""
    generator = np.random.default_rng(list(seed.encode()))
    return generator.multinomial(groups, np.full(groups, 1 / groups), size=DRAWS).astype(float)


def _by_group(
    values_N: Floats, columns_N: ArrayLike, groups_N: Sequence[str]
) -> tuple[Floats, Floats]:
    column_N = np.unique(np.asarray(columns_N), return_inverse=True)[1]
    group_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    shape = (int(group_N.max()) + 1, int(column_N.max()) + 1)
    sums_GC, counts_GC = np.zeros(shape), np.zeros(shape)
    np.add.at(sums_GC, (group_N, column_N), values_N)
    np.add.at(counts_GC, (group_N, column_N), 1)
    return sums_GC, counts_GC


def _mean_of_ratios(weights_DG: Floats, sums_GC: Floats, counts_GC: Floats) -> Floats:
    return _mean_of_known(_ratio(weights_DG @ sums_GC, weights_DG @ counts_GC), axis=1)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """NaN where there is nothing to divide by."""
    unknown = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=unknown, where=denominator > 0)


def _mean_of_known(values: Floats, axis: int) -> Floats:
    """The mean that leaves NaN out, and is NaN where there is nothing else (np.nanmean warns)."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return _ratio(total, known.sum(axis=axis).astype(float))


def _won(positives: Floats, negatives: Floats) -> Floats:
    """1 where a positive stands above a negative, one half where they are equal; (P, N)."""
    ranks = rankdata(np.concatenate([positives, negatives]), method="dense")
    difference = ranks[: len(positives), None] - ranks[None, len(positives) :]
    return (np.sign(difference) + 1) / 2
