"""Is it more than luck: chance by permutation, seeds as a factor, many comparisons at once.

Legend: N answers, L labels, S seeds, C columns, D draws, K comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regionmed.evaluation.intervals import Estimate, Floats, joint_freedom, mean_of_known, ratio
from regionmed.evaluation.statistics import (
    by_group,
    expected_hits,
    group_weights,
    macro_mean,
    paired_difference,
)

PERMUTATIONS = 1000


def permutation_chance(
    similarity_NL: NDArray, truth_N: NDArray, groups_N: Sequence[str], seed: str
) -> Estimate:
    """Macro accuracy when labels have nothing to do with pictures; its interval holds 95 % of it.

    The labels of one set are permuted group by group: groups in random order, each with its labels
    in theirs, laid over the answers in theirs. Every label keeps its number, and labels that stand
    together in one patient stay together, which labels permuted one by one would hide.
    Equal scores give exactly 1 / L. `beaten_by_chance` says how often chance was as good.
    """
    credit_NL = _credit(similarity_NL)
    labels, truth = np.unique(truth_N, return_inverse=True)
    weight_N = 1 / np.bincount(truth)[truth] / len(labels)
    group_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    order_N = np.argsort(group_N, kind="stable")
    groups = int(group_N.max()) + 1
    generator = np.random.default_rng(list(seed.encode()))
    draws = np.zeros(PERMUTATIONS)
    for draw in range(PERMUTATIONS):
        place_G = generator.permutation(groups)
        laid_N = np.argsort(place_G[group_N], kind="stable")  # answers, group after group
        hits_N = credit_NL[order_N, np.asarray(truth_N)[laid_N]]
        draws[draw] = (hits_N * weight_N[laid_N]).sum()
    return Estimate(float(draws.mean()), draws)


def beaten_by_chance(value: float, chance: Estimate) -> float:
    """One-sided p: how often a permutation earned `value` or more, itself counted as one."""
    return float((1 + (chance.draws >= value - 1e-12).sum()) / (1 + len(chance.draws)))


def over_seeds(
    values_SN: ArrayLike, columns_N: ArrayLike, groups_N: Sequence[str], seed: str
) -> Estimate:
    """macro_mean of one arm that was trained with several seeds, each a row on the same answers.

    Both vary: groups are drawn once for all seeds, and seeds are drawn with return. A draw of three
    seeds shows but two thirds of their variance, so the error is put together from its parts:
    error^2 = error of the seeds' mean over groups^2 + variance of the seeds / S. One seed says
    nothing about others: its estimate is that of its answers alone.
    """
    values = np.asarray(values_SN, float)
    answers = macro_mean(values.mean(axis=0), columns_N, groups_N, seed)
    draws_D = _drawn(values, columns_N, groups_N, seed, f"{seed} seeds")
    return with_seeds(replace(answers, draws=draws_D), [seed_values(values, columns_N)])


def difference_over_seeds(
    first_SN: ArrayLike,
    second_SN: ArrayLike,
    columns_N: ArrayLike,
    groups_N: Sequence[str],
    seed: str,
) -> Estimate:
    """over_seeds of one arm minus that of another on the same answers and the same drawn groups.

    The seeds of both are drawn apart, because the first seed of one is no pair of the other's.
    """
    first, second = np.asarray(first_SN, float), np.asarray(second_SN, float)
    answers = paired_difference(first.mean(axis=0), second.mean(axis=0), columns_N, groups_N, seed)
    draws_D = _drawn(first, columns_N, groups_N, seed, f"{seed} seeds of the first")
    draws_D = draws_D - _drawn(second, columns_N, groups_N, seed, f"{seed} seeds of the second")
    return with_seeds(
        replace(answers, draws=draws_D),
        [seed_values(first, columns_N), seed_values(second, columns_N)],
    )


def with_seeds(answers: Estimate, arms: Sequence[Floats]) -> Estimate:
    """An Estimate of seeds' means, with the variance that other seeds would bring added.

    arms  the values (S,) of the seeds of each arm that enters it; one seed adds nothing
    """
    several = [value_S for value_S in arms if len(value_S) > 1]
    if not several:
        return answers
    variances = [answers.spread**2] + [
        float(value_S.var(ddof=1)) / len(value_S) for value_S in several
    ]
    freedoms = [answers.freedom] + [len(value_S) - 1.0 for value_S in several]
    return replace(
        answers,
        error=float(np.sqrt(sum(variances))),
        freedom=joint_freedom(variances, freedoms),
    )


def seed_values(values_SN: Floats, columns_N: ArrayLike) -> Floats:
    """The macro mean of each seed, (S,)."""
    columns = np.unique(np.asarray(columns_N), return_inverse=True)[1]
    means = [values_SN[:, columns == column].mean(axis=1) for column in range(columns.max() + 1)]
    return np.mean(means, axis=0)


def holm(p_K: Sequence[float]) -> list[float]:
    """P-values corrected for their number after Holm (1979), in the order given.

    The k-th smallest of K is multiplied by K - k + 1, never falls below one before it, and ends
    at 1: of all comparisons called below .05, the chance that even one is luck stays below .05.
    """
    p = np.asarray(p_K, float)
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(corrected, 1.0)
    return [float(value) for value in result]


def _credit(similarity_NL: NDArray) -> Floats:
    """What a row would earn for each label, were that the true one: (N, L)."""
    rows, labels = similarity_NL.shape
    return np.stack(
        [expected_hits(similarity_NL, np.full(rows, label)) for label in range(labels)], axis=1
    )


def _drawn(
    values_SN: Floats, columns_N: ArrayLike, groups_N: Sequence[str], seed: str, own: str
) -> Floats:
    """Draws (D,) of one arm's mean; `seed` names the draws of groups, `own` those of seeds."""
    draws = []
    for values_N in values_SN:
        sums_GC, counts_GC = by_group(values_N, columns_N, groups_N)
        weights_DG = group_weights(len(sums_GC), seed)
        draws.append(mean_of_known(ratio(weights_DG @ sums_GC, weights_DG @ counts_GC), axis=1))
    return (group_weights(len(draws), own) * np.array(draws).T).mean(axis=1)
