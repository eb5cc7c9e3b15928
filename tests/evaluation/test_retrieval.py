"""Recall and ranks on matrices one can check by eye, against torchmetrics, and chance for ties."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import retrieval_hit_rate

from regionmed.evaluation.retrieval import chance_recall, first_right_rank, recall


def test_any_of_several_right_items_counts() -> None:
    similarity = np.array([[0.9, 0.1, 0.8], [0.2, 0.3, 0.7]])
    right = np.array([[True, False, True], [False, True, False]])
    assert recall(similarity, right, 1).tolist() == [1.0, 0.0]
    assert recall(similarity, right, 2).tolist() == [1.0, 1.0]
    assert first_right_rank(similarity, right).tolist() == [1.0, 2.0]


def test_a_tie_is_ranked_as_it_would_be_on_average() -> None:
    """Two of three tied items follow one better: the right one is second or third or fourth."""
    similarity = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    right = np.array([[False, False, True, False, False]])
    assert [float(recall(similarity, right, k)[0]) for k in (1, 2, 3, 4, 5)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1, 1]
    )
    assert first_right_rank(similarity, right)[0] == pytest.approx(3)


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_equal_numbers_give_exactly_chance(k: int) -> None:
    generator = np.random.default_rng(0)
    right = generator.random((30, 40)) < 0.08
    right[np.arange(30), generator.integers(0, 40, 30)] = True
    assert recall(np.zeros((30, 40)), right, k).mean() == pytest.approx(chance_recall(right, k))


def test_chance_of_one_right_in_a_gallery_is_k_over_its_size() -> None:
    assert chance_recall(np.eye(128, dtype=bool), 5) == pytest.approx(5 / 128)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_without_ties_recall_is_the_hit_rate_of_torchmetrics(k: int) -> None:
    generator = np.random.default_rng(1)
    similarity, right = generator.random((50, 60)), generator.random((50, 60)) < 0.05
    right[:, 0] = True
    expected = [
        retrieval_hit_rate(torch.from_numpy(s), torch.from_numpy(r), top_k=k).item()
        for s, r in zip(similarity, right, strict=True)
    ]
    assert recall(similarity, right, k).tolist() == pytest.approx(expected)


def test_expected_recall_is_the_mean_over_shuffles() -> None:
    """Ties broken at random four thousand times, counted by hand."""
    generator = np.random.default_rng(2)
    similarity = generator.integers(0, 3, (1, 12)).astype(float)
    right = np.zeros((1, 12), bool)
    right[0, :3] = True
    hits = []
    for _ in range(4000):
        order = np.lexsort((generator.random(12), -similarity[0]))
        hits.append(right[0, order[:2]].any())
    assert recall(similarity, right, 2)[0] == pytest.approx(np.mean(hits), abs=0.03)
