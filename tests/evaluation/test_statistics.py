"""Means, areas and intervals against scikit-learn, SciPy and slow loops."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import recall_score, roc_auc_score

from regionmed.evaluation.statistics import (
    DRAWS,
    Estimate,
    expected_hits,
    group_weights,
    macro_auroc,
    macro_mean,
    mean,
    mean_of_estimates,
    paired_difference,
)


def test_a_tie_shares_the_credit() -> None:
    similarity = np.array([[0.9, 0.1, 0.1], [0.5, 0.5, 0.1], [0.5, 0.5, 0.1], [0.2, 0.2, 0.2]])
    assert expected_hits(similarity, np.array([0, 0, 2, 1])) == pytest.approx([1, 0.5, 0, 1 / 3])


def test_equal_scores_earn_exactly_chance_however_the_labels_are_spread() -> None:
    truth = np.array([0] * 90 + [1] * 9 + [2])
    hits = expected_hits(np.ones((100, 3)), truth)
    assert macro_mean(hits, truth, [str(i) for i in range(100)], "t").value == pytest.approx(1 / 3)


def test_macro_accuracy_is_scikit_learns_macro_recall() -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice(4, 300, p=[0.7, 0.2, 0.07, 0.03])
    similarity = generator.random((300, 4))
    hits = expected_hits(similarity, truth)
    value = macro_mean(hits, truth, [str(i % 50) for i in range(300)], "t").value
    expected = recall_score(truth, similarity.argmax(1), average="macro")
    assert value == pytest.approx(expected, abs=1e-12)


def test_a_draw_is_the_macro_mean_of_the_rows_it_drew() -> None:
    """Slow loop over the first draws; the rare label is missing from some of them."""
    generator = np.random.default_rng(1)
    groups = [f"p{i // 3}" for i in range(24)]
    columns = np.array([0] * 12 + [1] * 11 + [2])
    values = generator.random(24)
    draws = macro_mean(values, columns, groups, "seed").draws
    weights = group_weights(8, "seed")
    names = sorted(set(groups))
    lacking = 0
    for draw in range(40):
        rows = [
            i
            for g, name in enumerate(names)
            for _ in range(int(weights[draw, g]))
            for i in range(24)
            if groups[i] == name
        ]
        parts = [[values[i] for i in rows if columns[i] == c] for c in range(3)]
        lacking += not parts[2]
        expected = np.mean([np.mean(part) for part in parts if part])
        assert draws[draw] == pytest.approx(expected)
    assert lacking


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(2).normal(0.6, 0.2, 120)
    ours = mean(values, [f"{i:03}" for i in range(120)], "x")
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=3)
    low, high = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.004)


def test_answers_of_one_group_move_together_so_the_interval_widens() -> None:
    values = np.repeat(np.random.default_rng(3).integers(0, 2, 20), 10)
    alone = mean(values, [f"{i:03}" for i in range(200)], "x")
    together = mean(values, [f"{i // 10:03}" for i in range(200)], "x")
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_another_a_different_one() -> None:
    values, groups = np.arange(10.0), [str(i) for i in range(10)]
    first, again = mean(values, groups, "a"), mean(values, groups, "a")
    assert (first.draws == again.draws).all()
    assert (first.draws != mean(values, groups, "b").draws).any()


def test_a_pair_that_always_differs_by_the_same_is_surer_with_more_patients() -> None:
    def width(patients: int) -> float:
        names = list(map(str, range(patients)))
        second = np.random.default_rng(4).random(patients) / 2
        found = paired_difference(second + 0.25, second, np.zeros(patients), names, "p")
        assert found.value == pytest.approx(0.25)
        assert found.low <= 0.25 <= found.high
        return found.high - found.low

    assert width(5) > width(50) > width(500) > 0


def test_area_under_the_curve_is_scikit_learns_with_ties() -> None:
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 3, 80)
    scores = generator.integers(0, 5, (80, 3)).astype(float)
    area = macro_auroc(scores, truth, [f"{i // 2}" for i in range(80)], "a")
    expected = np.mean([roc_auc_score(truth == label, scores[:, label]) for label in range(3)])
    assert area.value == pytest.approx(expected)


def test_a_drawn_area_is_scikit_learns_with_the_draw_as_weights() -> None:
    generator = np.random.default_rng(6)
    truth, scores = generator.integers(0, 2, 60), generator.random((60, 2))
    groups = [f"{i // 3:02}" for i in range(60)]
    area = macro_auroc(scores, truth, groups, "w")
    for draw, weights_G in enumerate(group_weights(20, "w")[:20]):
        weight_N = np.repeat(weights_G, 3)
        parts = [
            roc_auc_score(truth == label, scores[:, label], sample_weight=weight_N)
            for label in range(2)
        ]
        assert area.draws[draw] == pytest.approx(np.mean(parts))


def test_equal_scores_have_an_area_of_one_half() -> None:
    truth = np.array([0] * 9 + [1] * 3)
    area = macro_auroc(np.ones((12, 2)), truth, list("abcdefghijkl"), "c")
    assert (area.value, area.low, area.high) == (0.5, 0.5, 0.5)


def test_every_set_weighs_the_same_in_a_mean_over_sets() -> None:
    one, two = (Estimate(v, np.full(DRAWS, v)) for v in (0.2, 0.8))
    assert mean_of_estimates([one, two]).value == pytest.approx(0.5)
