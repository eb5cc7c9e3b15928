"""Areas under curves agree with scikit-learn, ties and weights included; one class says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from regionmed.evaluation.label_curves import areas_of_draws, label_areas, placements
from regionmed.evaluation.statistics import macro_auroc

TABLES = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 4), st.integers(2, 30))
def test_both_areas_are_scikit_learns_under_any_weights(seed: int, levels: int, n: int) -> None:
    """Few levels of score make many ties; weights of 0 are groups that a draw left out."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (n, 1)).astype(float)
    truth = generator.random((n, 1)) < 0.5
    truth[:2, 0] = True, False
    weights = generator.integers(0, 3, (1, n)).astype(float)
    weights[0, :2] = 1
    roc, precision = areas_of_draws(scores, truth, weights)[:, 0, 0]
    given_ = {"y_score": scores[:, 0], "sample_weight": weights[0]}
    assert roc == pytest.approx(roc_auc_score(truth[:, 0], **given_))
    assert precision == pytest.approx(average_precision_score(truth[:, 0], **given_))


def test_constant_scores_give_one_half_and_the_prevalence() -> None:
    truth = np.array([[True], [False], [False], [False]])
    found = label_areas(np.full((4, 1), 0.3), truth, list("abcd"), "seed")
    assert found.auroc.value == 0.5
    assert found.auprc.value == 0.25


def test_a_label_of_one_class_is_left_out_of_the_mean() -> None:
    """Label 0: both positives above both negatives, area 1; labels 1 and 2 have one class only."""
    scores = np.array([[0.9], [0.8], [0.2], [0.1]]) * np.ones((1, 3))
    truth = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
    found = label_areas(scores, truth, list("abcd"), "seed")
    assert (found.auroc.value, found.auprc.value) == (1.0, 1.0)
    assert np.isnan(found.auroc_L[1:]).all()
    with pytest.raises(ValueError, match="no label has both"):
        label_areas(scores[:, 1:], truth[:, 1:], list("abcd"), "seed")


def test_draws_that_lose_a_class_are_unknown_and_the_interval_is_not() -> None:
    truth = np.array([[True], [False], [False]])
    found = label_areas(np.array([[0.5], [0.1], [0.9]]), truth, list("abc"), "seed")
    assert np.isnan(found.auroc.draws).any()
    assert 0 <= found.auroc.low <= found.auroc.high <= 1


def test_labels_that_compete_get_the_macro_auroc_of_statistics() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 3, 40)
    scores = generator.normal(0, 1, (40, 3)).round(1)
    groups = [f"g{n // 2}" for n in range(40)]
    ours = label_areas(scores, truth[:, None] == np.arange(3), groups, "seed").auroc
    theirs = macro_auroc(scores, truth, groups, "seed")
    assert ours.value == pytest.approx(theirs.value)
    np.testing.assert_allclose(ours.draws, theirs.draws)


def test_the_mean_placement_of_a_labels_positives_is_its_area() -> None:
    generator = np.random.default_rng(4)
    scores = generator.integers(0, 4, (30, 2)).astype(float)
    truth = generator.random((30, 2)) < 0.4
    placed = placements(scores, truth)
    for label in range(2):
        values = [value for _, column, value in placed if column == label]
        area = roc_auc_score(truth[:, label], scores[:, label])
        assert np.mean(values) == pytest.approx(area)
    assert placements(scores, np.ones((30, 2), bool)) == []
