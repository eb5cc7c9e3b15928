"""Scales and familiarity: a weight is a copy, and the nearest is what a loop finds."""

import numpy as np
import pytest

from regionmed.model.confidence import CHUNK, equal_weights, familiarity, fitted_scale


def unit_rows(seed: int, rows: int, length: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, length))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(0, 0.3, (60, 3))
    truth = generator.integers(0, 3, 60)[:, None] == np.arange(3)
    weights = np.repeat([2.0, 1.0], 30)
    for several in (False, True):
        copied = [np.concatenate([rows, rows[:30]]) for rows in (scores, truth)]
        assert fitted_scale(scores, truth, several, weights) == pytest.approx(
            fitted_scale(*copied, several), rel=1e-4
        )


def test_a_vector_is_as_familiar_as_the_nearest_that_is_known() -> None:
    queries, known = unit_rows(0, CHUNK + 3), unit_rows(1, 5)
    found = familiarity(queries, known)
    by_hand = [max(float(query @ row) for row in known) for query in queries]
    assert found == pytest.approx(by_hand)
    assert familiarity(known, known) == pytest.approx(np.ones(5))
    assert familiarity(known[:0], known).shape == (0,)


def test_every_name_weighs_the_same_and_the_mean_weight_is_one() -> None:
    weights = equal_weights(["a", "b", "a", "a"])
    assert weights == pytest.approx([2 / 3, 2, 2 / 3, 2 / 3])
