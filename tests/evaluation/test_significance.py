"""Chance by permutation, seeds and corrections, against SciPy and by hand."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from regionmed.evaluation.significance import (
    beaten_by_chance,
    difference_over_seeds,
    holm,
    over_seeds,
    permutation_chance,
)
from regionmed.evaluation.statistics import (
    expected_hits,
    group_weights,
    macro_mean,
    mean,
    paired_difference,
)


def names(number: int, each: int = 1) -> list[str]:
    return [f"{row // each:05}" for row in range(number)]


def test_equal_scores_are_chance_in_every_permutation() -> None:
    truth = np.array([0] * 30 + [1] * 5 + [2] * 5)
    chance = permutation_chance(np.ones((40, 3)), truth, names(40, 2), "c")
    assert chance.draws == pytest.approx(np.full(len(chance.draws), 1 / 3))
    assert beaten_by_chance(1 / 3, chance) == 1.0


def test_chance_by_permutation_agrees_with_scipys() -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice(3, 90, p=[0.6, 0.3, 0.1])
    similarity = generator.random((90, 3))
    similarity[np.arange(90), truth] += 0.15

    def accuracy(labels: np.ndarray) -> float:
        hits = expected_hits(similarity, labels)
        return float(np.mean([hits[labels == label].mean() for label in range(3)]))

    theirs = permutation_test(
        (truth,),
        accuracy,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=2000,
        rng=1,
    )
    chance = permutation_chance(similarity, truth, names(90), "c")
    ends = np.quantile(theirs.null_distribution, (0.025, 0.975))
    assert (chance.low, chance.high) == pytest.approx(tuple(ends), abs=0.02)
    assert chance.value == pytest.approx(theirs.null_distribution.mean(), abs=0.01)
    assert beaten_by_chance(accuracy(truth), chance) == pytest.approx(theirs.pvalue, abs=0.02)


def test_labels_of_one_patient_are_permuted_together_so_chance_is_wider() -> None:
    truth = np.repeat(np.arange(20) % 2, 10)
    similarity = np.random.default_rng(1).random((20, 2)).repeat(10, axis=0)
    alone = permutation_chance(similarity, truth, names(200), "c")
    together = permutation_chance(similarity, truth, names(200, 10), "c")
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_answers_of_a_group_need_not_stand_together() -> None:
    truth = np.tile([0, 1], 30)
    similarity = np.random.default_rng(2).random((60, 2))
    order = np.random.default_rng(3).permutation(60)
    groups = np.array(names(60, 1))
    mixed = permutation_chance(similarity[order], truth[order], groups[order].tolist(), "c")
    assert mixed.draws == pytest.approx(
        permutation_chance(similarity, truth, groups.tolist(), "c").draws
    )


def test_holm_by_hand() -> None:
    """.005 x 4, .01 x 3, .03 x 2, .04 x 1 lifted to .06 below it; order kept, 1 at most."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_seed_is_the_mean_of_its_answers() -> None:
    values = np.random.default_rng(4).random((1, 40)) < 0.7
    one, plain = over_seeds(values, np.zeros(40), names(40), "s"), mean(values[0], names(40), "s")
    assert (one.value, one.low, one.high) == (plain.value, plain.low, plain.high)
    assert one.draws == pytest.approx(plain.draws)


def test_seeds_that_differ_widen_the_interval_by_their_variance() -> None:
    """By hand: error^2 is that of the mean answers plus the seeds' variance / 3."""
    generator = np.random.default_rng(5)
    values = (generator.random((3, 300)) < np.array([[0.5], [0.7], [0.9]])).astype(float)
    found = over_seeds(values, np.zeros(300), names(300), "s")
    answers = mean(values.mean(axis=0), names(300), "s")
    by_hand = answers.spread**2 + np.var(values.mean(axis=1), ddof=1) / 3
    assert found.spread**2 == pytest.approx(by_hand)
    assert found.high - found.low > 3 * (answers.high - answers.low)
    assert 2 <= found.freedom < 3


def test_a_draw_over_seeds_is_a_slow_loop_over_drawn_groups_and_seeds() -> None:
    generator = np.random.default_rng(6)
    values, columns = generator.random((3, 24)), np.arange(24) % 2
    found = over_seeds(values, columns, names(24, 3), "s")
    groups, seeds = group_weights(8, "s"), group_weights(3, "s seeds")
    for draw in range(20):
        weights = np.repeat(groups[draw], 3)
        each = [
            np.mean([np.average(one[columns == c], weights=weights[columns == c]) for c in (0, 1)])
            for one in values
        ]
        assert found.draws[draw] == pytest.approx(np.average(each, weights=seeds[draw]))


def test_the_difference_of_seeds_is_paired_by_item_and_not_by_seed() -> None:
    generator = np.random.default_rng(7)
    first = (generator.random((3, 200)) < 0.8).astype(float)
    second = (generator.random((2, 200)) < 0.6).astype(float)
    found = difference_over_seeds(first, second, np.zeros(200), names(200), "d")
    again = difference_over_seeds(first[::-1], second[::-1], np.zeros(200), names(200), "d")
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert (found.low, found.high) == pytest.approx((again.low, again.high))
    items = paired_difference(
        first.mean(axis=0), second.mean(axis=0), np.zeros(200), names(200), "d"
    )
    assert found.spread >= items.spread
    assert found.p_value < 0.01


def test_the_p_of_a_pair_agrees_with_scipys_sign_flips() -> None:
    generator = np.random.default_rng(8)
    first, second = generator.random((2, 80)) < np.array([[0.62], [0.5]])
    ours = paired_difference(first, second, np.zeros(80), names(80), "p")
    theirs = permutation_test(
        (first.astype(float) - second,),
        np.mean,
        permutation_type="samples",
        n_resamples=4000,
        rng=0,
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.05)
    assert macro_mean(first, np.zeros(80), names(80), "p").value > 0.5
