"""Counts in tiles against whole matrices, shuffles by hand, torchmetrics, and chance for ties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score
from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_reciprocal_rank

from regionmed.errors import UsageError
from regionmed.evaluation import standing as module
from regionmed.evaluation.standing import Standing, standings


def standing_in(similarity_QG: np.ndarray, right_QG: np.ndarray) -> Standing:
    """The standing in a matrix written out: its rows against one unit vector an item."""
    return standings(similarity_QG, np.eye(similarity_QG.shape[1]), *np.nonzero(right_QG))[0]


def brute_force(similarity_QG: np.ndarray, right_QG: np.ndarray) -> list[list[int]]:
    """Better, tied, right among the tied: one query after another, one item after another."""
    counted = []
    for similarity, right in zip(similarity_QG.tolist(), right_QG.tolist(), strict=True):
        if any(right):
            best = max(value for value, is_right in zip(similarity, right, strict=True) if is_right)
            tied = [
                is_right for value, is_right in zip(similarity, right, strict=True) if value == best
            ]
            counted.append([sum(value > best for value in similarity), len(tied), sum(tied)])
    return counted


def counts(standing: Standing) -> list[list[int]]:
    columns = (standing.better_Q, standing.tied_Q, standing.right_tied_Q)
    return np.stack(columns, axis=1).tolist()


def test_any_of_several_right_items_counts() -> None:
    similarity = np.array([[0.9, 0.1, 0.8], [0.2, 0.3, 0.7]])
    found = standing_in(similarity, np.array([[True, False, True], [False, True, False]]))
    assert found.recall(1).tolist() == [1.0, 0.0]
    assert found.recall(2).tolist() == [1.0, 1.0]
    assert found.first_right_rank().tolist() == [1.0, 2.0]
    assert found.reciprocal_rank() == pytest.approx([1.0, 0.5])


def test_a_tie_is_ranked_as_it_would_be_on_average() -> None:
    """Three tied items follow one better: the right one is second or third or fourth."""
    similarity = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    found = standing_in(similarity, np.array([[False, False, True, False, False]]))
    assert [found.recall(k)[0] for k in (1, 2, 3, 4, 5)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert found.first_right_rank()[0] == pytest.approx(3)
    assert found.reciprocal_rank()[0] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_equal_numbers_give_exactly_chance(k: int) -> None:
    generator = np.random.default_rng(0)
    right = generator.random((30, 40)) < 0.08
    right[np.arange(30), generator.integers(0, 40, 30)] = True
    found = standing_in(np.zeros((30, 40)), right)
    assert found.recall(k) == pytest.approx(found.chance(k))


def test_chance_of_one_right_in_a_gallery_is_k_over_its_size() -> None:
    found = standing_in(np.eye(128), np.eye(128, dtype=bool))
    assert found.chance(5) == pytest.approx(np.full(128, 5 / 128))


@pytest.mark.parametrize("k", [1, 5, 10])
def test_without_ties_recall_is_the_hit_rate_of_torchmetrics(k: int) -> None:
    generator = np.random.default_rng(1)
    similarity, right = generator.random((50, 60)), generator.random((50, 60)) < 0.05
    right[:, 0] = True
    found = standing_in(similarity, right)
    pairs = list(zip(torch.from_numpy(similarity), torch.from_numpy(right), strict=True))
    hits = [retrieval_hit_rate(values, flags, top_k=k).item() for values, flags in pairs]
    assert found.recall(k).tolist() == pytest.approx(hits)
    ranks = [retrieval_reciprocal_rank(values, flags).item() for values, flags in pairs]
    assert found.reciprocal_rank().tolist() == pytest.approx(ranks)


def test_the_reciprocal_rank_of_one_right_item_is_its_label_ranking_precision() -> None:
    generator = np.random.default_rng(5)
    similarity = generator.random((40, 30))
    right = np.eye(30, dtype=bool)[generator.integers(0, 30, 40)]
    expected = label_ranking_average_precision_score(right, similarity)
    assert standing_in(similarity, right).reciprocal_rank().mean() == pytest.approx(expected)


def test_expectations_are_means_over_shuffles() -> None:
    """Ties broken at random four thousand times, counted by hand."""
    generator = np.random.default_rng(2)
    similarity = generator.integers(0, 3, (1, 12)).astype(float)
    right = np.zeros((1, 12), bool)
    right[0, :3] = True
    first = []
    for _ in range(4000):
        order = np.lexsort((generator.random(12), -similarity[0]))
        first.append(1 + int(right[0, order].argmax()))
    found, ranks = standing_in(similarity, right), np.array(first)
    assert found.recall(2)[0] == pytest.approx((ranks <= 2).mean(), abs=0.03)
    assert found.first_right_rank()[0] == pytest.approx(ranks.mean(), abs=0.1)
    assert found.reciprocal_rank()[0] == pytest.approx((1 / ranks).mean(), abs=0.03)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99)
)
def test_tiles_count_what_one_look_at_the_whole_matrix_counts(
    pictures: int, texts: int, width: int, tile: int, seed: int
) -> None:
    """Whole numbers, so that products are exact and many items tie; many copies among both."""
    generator = np.random.default_rng(seed)
    images_NE = generator.integers(-1, 2, (pictures, width)).astype(np.float32)
    texts_TE = generator.integers(-1, 2, (texts, width)).astype(np.float32)
    right_NT = generator.random((pictures, texts)) < 0.3
    right_NT[generator.integers(pictures), generator.integers(texts)] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        by_picture, by_text = standings(images_NE, texts_TE, *np.nonzero(right_NT))
    similarity_NT = images_NE @ texts_TE.T
    assert counts(by_picture) == brute_force(similarity_NT, right_NT)
    assert counts(by_text) == brute_force(similarity_NT.T, right_NT.T)
    assert by_picture.queries_Q.tolist() == np.flatnonzero(right_NT.any(axis=1)).tolist()
    assert by_text.right_Q.tolist() == right_NT.sum(axis=0)[right_NT.any(axis=0)].tolist()


def test_copies_of_a_right_item_always_tie_with_it() -> None:
    """Where a vector lies in a product may change its last bit; a copy must still be a tie.

    Every text comes twice, and its copy's tile has another shape.
    """
    generator = np.random.default_rng(3)
    images_NE = generator.standard_normal((1500, 31), dtype=np.float32)
    texts_TE = np.concatenate([images_NE + 1, images_NE + 1])
    own = np.arange(1500)
    by_picture, by_text = standings(images_NE, texts_TE, own, own)
    assert (by_picture.tied_Q % 2 == 0).all()
    assert (by_picture.better_Q % 2 == 0).all()
    assert (by_picture.right_tied_Q == 1).all()
    assert (by_text.tied_Q == 1).all()


def test_two_spaces_are_not_compared() -> None:
    with pytest.raises(UsageError, match="pictures have 3 dimensions and texts 4"):
        standings(np.ones((2, 3)), np.ones((2, 4)), np.array([0]), np.array([0]))


def test_a_vector_that_is_not_a_number_is_named_by_its_row() -> None:
    texts_TE = np.ones((4, 3))
    texts_TE[2, 1] = np.nan
    with pytest.raises(UsageError, match=r"1 of the texts' vectors .* first in row 2"):
        standings(np.ones((2, 3)), texts_TE, np.array([0]), np.array([0]))


def test_without_a_right_pair_there_is_nothing_to_find() -> None:
    none = np.array([], dtype=int)
    with pytest.raises(UsageError, match="at least one picture with a right text"):
        standings(np.ones((2, 3)), np.ones((2, 3)), none, none)
