"""Areas and accuracies against slow loops; equal confidences, perfect and reversed order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmed.evaluation.confidence import calibration_error
from regionmed.evaluation.selective import (
    accuracy_at,
    area_under_risk,
    reliability,
    selective_curve,
)


def expected_wrong(sure: list[float], right: list[float]) -> list[float]:
    """How many of the first k answers are wrong, for each k: each of a tie is as likely next."""
    wrong, total = [], 0.0
    for value in sorted(set(sure), reverse=True):
        tied = [1 - r for s, r in zip(sure, right, strict=True) if s == value]
        wrong += [total + (taken + 1) * sum(tied) / len(tied) for taken in range(len(tied))]
        total += sum(tied)
    return wrong


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.sampled_from([2, 5, 1000]))
def test_area_and_accuracies_are_those_of_a_slow_loop(seed: int, n: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    sure = (generator.integers(0, levels, n) / levels).tolist()
    right = generator.choice([0.0, 0.5, 1.0], n).tolist()
    wrong = expected_wrong(sure, right)
    risks = [wrong[k] / (k + 1) for k in range(n)]
    assert area_under_risk(sure, right, np.ones(n)) == pytest.approx(sum(risks) / n)
    coverages = [(k + 1) / n for k in range(n)]
    assert accuracy_at(coverages, sure, right) == pytest.approx([1 - risk for risk in risks])


def test_four_answers_by_hand() -> None:
    """Right, wrong, right, right from the surest down: risks 0, 1/2, 1/3, 1/4."""
    sure, right = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 1]
    assert area_under_risk(sure, right, np.ones(4)) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert accuracy_at([0.25, 0.5, 0.75, 1.0], sure, right) == pytest.approx([1, 0.5, 2 / 3, 0.75])


def test_a_weight_is_a_number_of_copies_and_no_answer_says_nothing() -> None:
    sure, right = np.array([0.9, 0.8, 0.8, 0.1]), np.array([0.0, 1.0, 0.5, 1.0])
    weights = np.array([2, 0, 3, 1])
    copied = area_under_risk(np.repeat(sure, weights), np.repeat(right, weights), np.ones(6))
    assert area_under_risk(sure, right, weights) == pytest.approx(copied)
    assert np.isnan(area_under_risk(sure, right, np.zeros(4)))


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_equal_confidences_have_the_plain_error_and_accuracy(n: int, seed: int) -> None:
    right = (np.random.default_rng(seed).random(n) < 0.7).astype(float)
    area = area_under_risk(np.full(n, 0.3), right, np.ones(n))
    assert area == pytest.approx(1 - right.mean())
    assert accuracy_at([0.01, 0.5, 1], np.full(n, 0.3), right) == pytest.approx(right.mean())


def test_no_order_is_better_than_the_oracles_nor_worse_than_its_reverse() -> None:
    generator = np.random.default_rng(3)
    right = (generator.random(200) < 0.6).astype(float)
    best, worst = (area_under_risk(order, right, np.ones(200)) for order in (right, -right))
    for _ in range(20):
        assert best <= area_under_risk(generator.random(200), right, np.ones(200)) <= worst
    curve = selective_curve("a", generator.random(200), right)
    assert np.all(curve.accuracy_C <= curve.oracle_C + 1e-12)
    # an oracle errs only once all right answers are taken
    assert curve.oracle_C == pytest.approx(np.minimum(1, right.mean() / curve.coverage_C))
    assert curve.accuracy_C[-1] == pytest.approx(curve.random)


def test_the_bins_of_the_diagram_sum_to_the_calibration_error() -> None:
    generator = np.random.default_rng(4)
    stated = generator.random(500) ** 2
    came = (generator.random(500) < 0.5).astype(float)
    found = reliability("a", np.append(stated, 1.0), np.append(came, 1.0))
    assert found.count_B.sum() == 501
    gaps = found.count_B * np.abs(found.stated_B - found.came_B)
    error = calibration_error(np.append(stated, 1.0), np.append(came, 1.0), np.ones(501))
    assert np.nansum(gaps) / 501 == pytest.approx(error)
    assert np.isnan(reliability("a", np.array([0.5]), np.array([1.0])).came_B[0])
