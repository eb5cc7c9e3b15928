"""Average precision and hits: by hand, against scikit-learn, and over every order of the ties."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from regionmed.evaluation.ranking import METRICS, RANKS, average_precision, ranking, values_of


def by_shuffling(scores: list[int], right: list[bool]) -> list[float]:
    """METRICS as plain loops: the mean over all orders that the scores allow."""
    found = []
    for order in permutations(range(len(scores))):
        ranked = [scores[item] for item in order]
        if ranked != sorted(scores, reverse=True):
            continue
        hits = [right[item] for item in order]
        precisions = [sum(hits[: n + 1]) / (n + 1) for n, is_right in enumerate(hits) if is_right]
        found.append([np.mean(precisions), *(float(any(hits[:k])) for k in RANKS)])
    return np.mean(found, axis=0).tolist()


def test_right_items_first_and_third_give_the_mean_of_1_and_two_thirds() -> None:
    ranked = ranking(np.array([0.9, 0.5, 0.7]), np.array([True, True, False]))
    assert values_of(*ranked.blocks()).tolist() == pytest.approx([(1 + 2 / 3) / 2, 1, 1, 1])


def test_one_right_among_three_that_tie_is_first_second_or_third() -> None:
    ranked = ranking(np.zeros(3), np.array([False, True, False]))
    expected = [(1 + 1 / 2 + 1 / 3) / 3, 1 / 3, 1, 1]
    assert values_of(*ranked.blocks()).tolist() == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_ties_earn_the_mean_over_all_their_orders(items: list[tuple[int, bool]]) -> None:
    scores, right = [score for score, _ in items], [is_right for _, is_right in items]
    found = values_of(*ranking(np.array(scores), np.array(right)).blocks())
    if any(right):
        assert found.tolist() == pytest.approx(by_shuffling(scores, right))
    else:
        assert np.isnan(found).all()


def test_without_ties_average_precision_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for share in (0.01, 0.3, 0.9):
        scores, right = generator.random(400), generator.random(400) < share
        right[0] = True
        found = average_precision(*ranking(scores, right).blocks())
        assert found == pytest.approx(average_precision_score(right, scores))


def test_an_item_counted_thrice_weighs_as_three_that_tie() -> None:
    scores, right = np.array([0.2, 0.9, 0.5, 0.5]), np.array([True, False, True, False])
    counts = np.array([3.0, 1.0, 0.0, 2.0])
    copied = np.repeat(np.arange(4), counts.astype(int))
    expected = values_of(*ranking(scores[copied], right[copied]).blocks())
    found = values_of(*ranking(scores, right).blocks(counts))
    assert dict(zip(METRICS, found, strict=True)) == pytest.approx(
        dict(zip(METRICS, expected, strict=True))
    )
