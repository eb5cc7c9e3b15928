"""What an answer earns, means that no common label rules, and how sure they are.

Every estimate is drawn by a bootstrap over groups (patients where known, else families of twins,
else pictures): DRAWS times as many groups as there are, drawn with return, seeded by a name, so
that the same question gives the same interval; intervals.py makes the interval from the draws.
Legend: N answers, L labels, C columns, G groups, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, rankdata

from regionmed.evaluation.intervals import (
    NOTHING,
    Kind,
    drawn_share,
    effective_groups,
    joint_freedom,
    mean_of_known,
    ratio,
)
from regionmed.evaluation.intervals import (
    Estimate as Estimate,
)
from regionmed.evaluation.intervals import (
    mean_of_estimates as mean_of_estimates,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS = 2000


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
    it out of its mean. With one column this is the plain mean. Values within 0..1 are a share.
    NaN stands for an answer that was not asked: it counts nowhere.
    """
    values, columns, groups = _known(np.asarray(values_N, float), columns_N, groups_N)
    inside = bool(values.min() >= 0 and values.max() <= 1)
    return _macro(values, columns, groups, seed, "share" if inside else "free")


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
    difference, columns, groups = _known(difference_N, columns_N, groups_N)
    inside = bool(np.abs(difference).max() <= 1)
    return _macro(difference, columns, groups, seed, "difference" if inside else "free")


def _known(
    values_N: Floats, columns_N: ArrayLike, groups_N: Sequence[str]
) -> tuple[Floats, NDArray[Any], Sequence[str]]:
    """The answers that are not NaN."""
    known_N = ~np.isnan(values_N)
    if known_N.all():
        return values_N, np.asarray(columns_N), groups_N
    return values_N[known_N], np.asarray(columns_N)[known_N], list(np.asarray(groups_N)[known_N])


def differences(
    hits_N: ArrayLike,
    control_hits: Mapping[str, ArrayLike],
    columns_N: ArrayLike,
    groups_N: Sequence[str],
    seed: str,
) -> dict[str, Estimate]:
    """The paired difference to each control that was asked at all."""
    return {
        name: paired_difference(hits_N, control, columns_N, groups_N, seed)
        for name, control in control_hits.items()
        if not np.isnan(np.asarray(control, float)).all()
    }


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
    areas, rarer = [], []
    for label in range(scores_NL.shape[1]):
        positive_N = truth_N == label
        won_PN = _won(scores_NL[positive_N, label], scores_NL[~positive_N, label])
        won_GG = member_GN[:, positive_N] @ won_PN @ member_GN[:, ~positive_N].T
        sizes_2G = np.array([member_GN[:, rows].sum(axis=1) for rows in (positive_N, ~positive_N)])
        won_D = ((weights_DG @ won_GG) * weights_DG).sum(axis=1)
        areas.append(ratio(won_D, (weights_DG @ sizes_2G.T).prod(axis=1)))
        # the rarer of the two sides limits how sure an area is
        rarer.append(min(sizes_2G, key=effective_groups))
    areas_DC = np.array(areas).T
    return estimate_of_columns(areas_DC[0], areas_DC[1:], np.array(rarer).T, "share")


def resampled(
    metric: Callable[[Floats], float], groups_N: Sequence[str], seed: str, draws: int = DRAWS
) -> Estimate:
    """A metric of weighted answers and its bootstrap over groups.

    metric  from weights (N,), how often each answer is counted, to a value; NaN where a draw says
            nothing, as an area under a curve does without positives. A metric that stays within
            0..1 has the interval of a share.
    """
    number_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    weights_DG = group_weights(int(number_N.max()) + 1, seed)[:draws]
    value = metric(np.ones(len(number_N)))
    draws_D = np.array([metric(weights_G[number_N]) for weights_G in weights_DG])
    everything = np.append(draws_D[~np.isnan(draws_D)], value)
    if everything.min() < 0 or everything.max() > 1:
        return Estimate(value, draws_D)
    return drawn_share(value, draws_D, groups_N)


@lru_cache(maxsize=4)  # a score, its strata and its controls ask for the same draws
def group_weights(groups: int, seed: str) -> Floats:
    """How often each group is in each draw: (DRAWS, groups), read-only; rows sum to `groups`."""
    generator = np.random.default_rng(list(seed.encode()))
    counts_DG = generator.multinomial(groups, np.full(groups, 1 / groups), size=DRAWS)
    weights_DG: Floats = counts_DG.astype(float)
    weights_DG.flags.writeable = False
    return weights_DG


def _macro(
    values_N: Floats, columns_N: ArrayLike, groups_N: Sequence[str], seed: str, kind: Kind
) -> Estimate:
    sums_GC, counts_GC = by_group(values_N, columns_N, groups_N)
    weights_DG = group_weights(len(sums_GC), seed)
    value_C = sums_GC.sum(axis=0) / counts_GC.sum(axis=0)
    square_C = by_group(values_N**2, columns_N, groups_N)[0].sum(axis=0) / counts_GC.sum(axis=0)
    draws_DC = ratio(weights_DG @ sums_GC, weights_DG @ counts_GC)
    return estimate_of_columns(value_C, draws_DC, counts_GC, kind, float(square_C.mean()))


def estimate_of_columns(
    value_C: Floats,
    draws_DC: Floats,
    sizes_GC: Floats,
    kind: Kind,
    square: float = float("nan"),
) -> Estimate:
    """The mean over columns; its error corrects the bootstrap's, which is too small for few groups.

    sizes_GC  answers of each group in each column

    Each column borrows what drawing with return keeps of its variance too little (`_kept`), from
    the variance a group that all columns have together, so that a label of one patient is no
    certainty. Groups of unequal size lack more, because the estimate leans towards the large ones:
    twice their leverage sum n^3 / (sum n^2 sum n) above that of equal groups, as in the jackknife.
    Degrees of freedom count groups by their effective number (Kish): a few large ones are few.
    """
    draws_D = mean_of_known(draws_DC, axis=1)
    variance_C = _variance_of_known(draws_DC)
    effective_C = sizes_GC.sum(axis=0) ** 2 / (sizes_GC**2).sum(axis=0)
    leverage_C = (sizes_GC**3).sum(axis=0) / ((sizes_GC**2).sum(axis=0) * sizes_GC.sum(axis=0))
    groups_C = (sizes_GC > 0).sum(axis=0)
    kept_C = _kept(groups_C, len(sizes_GC))
    lacking_C = np.maximum(1 - kept_C, 0) + 2 * (leverage_C - 1 / groups_C)
    borrowed = 1 if len(value_C) > 1 else 0
    freedom_C = np.maximum(effective_C - 1 + borrowed, 1.0)
    pooled = (effective_C**2 * variance_C).sum() / max(float((effective_C * kept_C).sum()), 0.5)
    corrected_C = variance_C + lacking_C * pooled / effective_C
    added = (corrected_C - variance_C).sum() / len(value_C) ** 2
    error = np.sqrt(float(np.nanvar(draws_D)) + float(added))
    first = abs(float(value_C[0]))
    # All answers earned the same and none was right or wrong: equal scores, whose chance is exact.
    # A difference is never exact: its arms are, and five patients say little of the sixth.
    same = error < NOTHING and bool(np.ptp(value_C) < NOTHING)
    exact = kind == "share" and same and 0 < first < 1
    return Estimate(
        float(value_C.mean()),
        draws_D,
        kind,
        error=float(error),
        freedom=min(joint_freedom(corrected_C, freedom_C), max(len(sizes_GC) - 1, 1)),
        least=np.inf if exact else float(len(value_C) ** 2 / (1 / effective_C).sum()),
        square=square,
    )


def by_group(
    values_N: Floats, columns_N: ArrayLike, groups_N: Sequence[str]
) -> tuple[Floats, Floats]:
    """Sums of values and their counts, each (G, C), in the order of the names."""
    column_N = np.unique(np.asarray(columns_N), return_inverse=True)[1]
    group_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    shape = (int(group_N.max()) + 1, int(column_N.max()) + 1)
    sums_GC, counts_GC = np.zeros(shape), np.zeros(shape)
    np.add.at(sums_GC, (group_N, column_N), values_N)
    np.add.at(counts_GC, (group_N, column_N), 1)
    return sums_GC, counts_GC


def _kept(groups_C: Integers, groups: int) -> Floats:
    """The share of a mean's variance that drawing `groups` with return shows, by column.

    A column that g of them hold shows (g - 1) / g of the variance a group, divided by the number n
    that a draw holds, binomial and not 0, in place of g: (g - 1) E(1 / n). One group shows nothing.
    """
    number_N = np.arange(1, groups + 1)
    drawn_NC = binom.pmf(number_N[:, None], groups, groups_C / groups)
    inverse_C = (drawn_NC / number_N[:, None]).sum(axis=0) / drawn_NC.sum(axis=0)
    return (groups_C - 1) * inverse_C


def _variance_of_known(draws_DC: Floats) -> Floats:
    middle_C = mean_of_known(draws_DC, axis=0)
    return np.nan_to_num(mean_of_known((draws_DC - middle_C) ** 2, axis=0))


def _won(positives: Floats, negatives: Floats) -> Floats:
    """1 where a positive stands above a negative, one half where they are equal; (P, N)."""
    ranks = rankdata(np.concatenate([positives, negatives]), method="dense")
    difference = ranks[: len(positives), None] - ranks[None, len(positives) :]
    return (np.sign(difference) + 1) / 2
