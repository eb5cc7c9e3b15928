"""Intervals against SciPy's, by hand, and where plain percentiles collapse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t, ttest_1samp
from sklearn.metrics import roc_auc_score

from regionmed.evaluation.intervals import (
    Estimate,
    drawn_share,
    effective_groups,
    joint_freedom,
    mean_of_estimates,
)
from regionmed.evaluation.statistics import (
    macro_auroc,
    macro_mean,
    mean,
    paired_difference,
    resampled,
)


def names(number: int, each: int = 1) -> list[str]:
    return [f"{row // each:05}" for row in range(number)]


@pytest.mark.parametrize("right", [3, 100, 390, 399])
def test_a_share_has_wilsons_interval_on_many_groups(right: int) -> None:
    hits = np.arange(400) < right
    theirs = binomtest(right, 400).proportion_ci(method="wilson")
    ours = mean(hits, names(400), "w")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_fifty_patients_all_right_are_no_certainty() -> None:
    """By hand: Wilson at p = 1 is n / (n + t^2), with t of 49 degrees of freedom."""
    estimate = mean(np.ones(50), names(50), "all")
    assert estimate.low == pytest.approx(50 / (50 + t.ppf(0.975, 49) ** 2))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    none = mean(np.zeros(50), names(50), "none")
    assert (none.low, none.high) == pytest.approx((0.0, 1 - estimate.low))


def test_all_right_counts_patients_and_not_their_regions() -> None:
    few = mean(np.ones(200), names(200, each=20), "all")
    assert few.low == pytest.approx(mean(np.ones(10), names(10), "all").low)


def test_one_patient_says_next_to_nothing() -> None:
    estimate = mean(np.ones(30), ["only"] * 30, "one")
    assert estimate.low < 0.01
    assert estimate.high == 1


def test_chance_of_equal_scores_is_exact() -> None:
    estimate = mean(np.full(40, 1 / 3), names(40), "chance")
    assert (estimate.low, estimate.high) == pytest.approx((1 / 3, 1 / 3))


def test_a_label_of_one_patient_is_no_certainty_in_a_macro_mean() -> None:
    """Plain percentiles would take the label of one patient, right in all draws, for settled."""
    columns = np.array([0] * 60 + [1] * 5)
    values = np.concatenate([np.arange(60) % 2, np.ones(5)])
    groups = names(60) + ["one patient"] * 5
    estimate = macro_mean(values, columns, groups, "rare")
    assert estimate.high - estimate.low > 2 * np.ptp(np.quantile(estimate.draws, (0.025, 0.975)))


def test_two_models_that_answer_alike_may_still_differ() -> None:
    """By hand after Agresti and Min: (0 +- t sqrt(1 / 52 / 52))."""
    hits = np.arange(50) % 2
    alike = paired_difference(hits, hits, np.zeros(50), names(50), "alike")
    assert alike.high == pytest.approx(t.ppf(0.975, 49) / 52)
    assert alike.low == -alike.high
    assert alike.p_value == 1.0


def test_a_difference_has_students_interval_and_p_on_many_groups() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 500)) < np.array([[0.6], [0.5]])
    ours = paired_difference(first, second, np.zeros(500), names(500), "d")
    theirs = ttest_1samp(first.astype(float) - second, 0)
    ends = theirs.confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((ends.low, ends.high), abs=0.004)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=0.35)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=2, max_size=30))
def test_zero_is_outside_just_where_p_is_below_five_percent(
    answers: list[float],
) -> None:
    number = len(answers)
    found = paired_difference(answers, np.zeros(number), np.zeros(number), names(number), "p")
    assert -1 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(1, 6))
def test_a_share_lies_in_its_interval_within_zero_and_one(values: list[float], each: int) -> None:
    found = mean(values, names(len(values), each), "inside")
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_values_outside_zero_and_one_keep_percentiles_moved_outward() -> None:
    values = np.random.default_rng(1).normal(2, 3, 30)
    found = mean(values, names(30), "free")
    plain = np.quantile(found.draws, (0.025, 0.975))
    ends = ttest_1samp(values, 0).confidence_interval()
    assert found.low < plain[0]
    assert found.high > plain[1]
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=0.25)


def test_draws_alone_keep_their_percentiles() -> None:
    draws = np.random.default_rng(2).normal(size=2000)
    found = Estimate(0.0, draws)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, (0.025, 0.975))))


def test_a_perfect_ranking_is_no_certainty() -> None:
    """Two labels, each with twenty patients on its rarer side: 40 answers, 20 degrees."""
    truth = np.arange(40) % 2
    area = macro_auroc(np.stack([-truth, truth], axis=1).astype(float), truth, names(40), "auc")
    assert area.value == 1
    assert area.low == pytest.approx(40 / (40 + t.ppf(0.975, 20) ** 2))


def test_a_metric_of_weights_is_the_area_that_is_made_of_pairs() -> None:
    generator = np.random.default_rng(3)
    truth, score, groups = generator.integers(0, 2, 60), generator.random(60), names(60)

    def area(weights: np.ndarray) -> float:
        return float(roc_auc_score(truth, score, sample_weight=weights))

    weighed = resampled(area, groups, "r", draws=200)
    paired = macro_auroc(np.stack([-score, score], axis=1), truth, groups, "r")
    assert weighed.value == pytest.approx(paired.value)
    assert weighed.draws == pytest.approx(paired.draws[:200])
    assert (weighed.low, weighed.high) == pytest.approx((paired.low, paired.high), abs=0.03)


def test_kish_counts_a_large_group_as_few() -> None:
    assert effective_groups([4, 4, 4]) == pytest.approx(3)
    assert effective_groups([10, 1, 1]) == pytest.approx(144 / 102)


def test_welchs_degrees_of_freedom_are_a_case_of_satterthwaites() -> None:
    """By hand: 1/10 + 4/20 of 9 and 19 degrees: .09 / (.01/9 + .04/19)."""
    assert joint_freedom([0.1, 0.2], [9, 19]) == pytest.approx(0.09 / (0.01 / 9 + 0.04 / 19))


def test_a_set_that_is_all_right_keeps_its_doubt_in_a_mean_over_sets() -> None:
    sure = mean(np.ones(20), names(20), "sure")
    half = mean(np.arange(200) % 2, names(200), "half")
    total = mean_of_estimates([sure, half])
    assert total.value == pytest.approx(0.75)
    doubt = (sure.high - sure.low) / 2
    assert total.spread >= np.hypot(doubt / t.ppf(0.975, 19), half.spread) / 2 - 1e-12
    assert total.kind == "share"


def test_draws_made_elsewhere_get_a_shares_interval() -> None:
    found = drawn_share(1.0, np.ones(2000), names(50))
    assert found.low == pytest.approx(mean(np.ones(50), names(50), "all").low)


def test_a_mean_of_sets_that_are_all_right_is_not_certain_and_one_of_exact_values_is() -> None:
    right = mean(np.ones(20), [str(i) for i in range(20)], "a")
    both = mean_of_estimates([right, right])
    assert both.value == 1
    assert 0.85 < both.low < 1
    assert both.high == pytest.approx(1)
    exact = Estimate(0.5, np.full(9, 0.5), "difference", error=0.0, least=np.inf, square=0.25)
    assert mean_of_estimates([exact, exact]).interval == (0.5, 0.5)
