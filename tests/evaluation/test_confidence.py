"""The calibration error is a slow loop's and torchmetrics'; a fitted scale undoes a wrong one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from regionmed.evaluation.confidence import (
    BINS,
    calibration_error,
    fitted_scale,
    stated_and_true,
)


def slow_error(stated: list[float], came: list[float]) -> float:
    """By the definition, one bin after another."""
    total = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [
            (p, y)
            for p, y in zip(stated, came, strict=True)
            if low <= p < high or (p == 1 and number == BINS - 1)
        ]
        if inside:
            gap = np.mean([y for _, y in inside]) - np.mean([p for p, _ in inside])
            total += len(inside) / len(stated) * abs(float(gap))
    return total


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_error_is_a_slow_loops(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    stated = generator.choice([0.0, 0.01, 0.5, 0.7, 0.99, 1.0, *generator.random(5)], n)
    came = (generator.random(n) < 0.5).astype(float)
    assert calibration_error(stated, came, np.ones(n)) == pytest.approx(
        slow_error(list(stated), list(came))
    )


def test_both_forms_are_those_of_torchmetrics() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(0, 1, (200, 4))
    truth = generator.integers(0, 4, 200)
    stated, came = stated_and_true(scores, truth[:, None] == np.arange(4), False, 2.0)
    theirs = multiclass_calibration_error(
        torch.tensor(softmax(2 * scores, axis=1)), torch.tensor(truth), 4, n_bins=BINS
    )
    assert calibration_error(stated, came, np.ones(200)) == pytest.approx(float(theirs), abs=1e-6)
    table = generator.random((200, 4)) < 0.3
    stated, came = stated_and_true(scores, table, True, 2.0)
    theirs = binary_calibration_error(torch.tensor(stated), torch.tensor(came), n_bins=BINS)
    assert calibration_error(stated, came, np.ones(800)) == pytest.approx(float(theirs), abs=1e-6)


def test_a_weight_of_two_is_a_second_copy() -> None:
    stated, came = np.array([0.9, 0.2, 0.95]), np.array([1.0, 0.0, 0.0])
    twice = calibration_error(stated, came, np.array([2.0, 1.0, 0.0]))
    copied = calibration_error(stated[[0, 0, 1]], came[[0, 0, 1]], np.ones(3))
    assert twice == pytest.approx(copied)
    assert np.isnan(calibration_error(stated, came, np.zeros(3)))


def test_equal_scores_state_chance_and_are_right_as_often() -> None:
    truth = np.eye(4, dtype=bool)[[0, 1, 1, 2]]
    stated, came = stated_and_true(np.zeros((4, 4)), truth, False, 50.0)
    assert calibration_error(stated, came, np.ones(4)) == 0


def test_the_fitted_scale_is_the_one_that_made_the_truth() -> None:
    """Labels drawn from softmax(7 * scores): the likeliest scale is near 7."""
    generator = np.random.default_rng(1)
    scores = generator.normal(0, 0.3, (4000, 3))
    draws = [generator.choice(3, p=p) for p in softmax(7 * scores, axis=1)]
    truth = np.array(draws)[:, None] == np.arange(3)
    scale = fitted_scale(scores, truth, False)
    assert scale == pytest.approx(7, rel=0.1)
    stated, came = stated_and_true(scores, truth, False, 7.0)
    assert calibration_error(stated, came, np.ones(4000)) < 0.03
    assert fitted_scale(scores[:19], truth[:19], False) is None


def test_a_label_by_itself_is_fitted_by_its_own_likelihood() -> None:
    generator = np.random.default_rng(2)
    margins = generator.normal(0, 0.2, (4000, 1))
    truth = generator.random((4000, 1)) < 1 / (1 + np.exp(-11 * margins))
    assert fitted_scale(margins, truth, True) == pytest.approx(11, rel=0.1)
