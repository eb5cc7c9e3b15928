"""Retrieval: does a picture find its caption among others, and a caption its picture?

Only sets whose pictures carry captions written by people. Captions are compared after white space
is folded; a caption that several pictures share is one text with several right pictures.
Legend: Q queries · G gallery · K ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from regionmed.evaluation.encode import Floats, encode_texts
from regionmed.evaluation.part import Part
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.statistics import mean
from regionmed.evaluation.strata import group_of
from regionmed.evaluation.subject import Scored

RANKS = (1, 5, 10)
LEAST_GALLERY = 20  # distinct captions: below this, ten of them are no search

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """Both directions of one set: `similarity_NT` of pictures and distinct captions, `right_NT`."""

    part: Part
    captions: tuple[str, ...]
    similarity_NT: Floats
    right_NT: Flags


def recall(similarity_QG: NDArray, right_QG: Flags, k: int) -> NDArray[np.float64]:
    """The chance that a right item stands among the first k, ties in random order; 0..1 a query.

    With a better items, t tied with the best right one, m of these right, and s = min(k - a, t)
    places left: 1 - C(t - m, s) / C(t, s), and 0 where s <= 0. Equal numbers give exactly chance.
    """
    better_Q, tied_Q, right_tied_Q = _around_best_right(similarity_QG, right_QG)
    places_Q = np.minimum(k - better_Q, tied_Q)
    return np.where(places_Q > 0, _any_right(tied_Q, right_tied_Q, np.maximum(places_Q, 0)), 0.0)


def first_right_rank(similarity_QG: NDArray, right_QG: Flags) -> NDArray[np.float64]:
    """The expected rank of the first right item, from 1: a + (t + 1) / (m + 1), as in `recall`."""
    better_Q, tied_Q, right_tied_Q = _around_best_right(similarity_QG, right_QG)
    return better_Q + (tied_Q + 1) / (right_tied_Q + 1)


def chance_recall(right_QG: Flags, k: int) -> float:
    """The mean recall at k of a gallery in random order."""
    gallery = np.full(len(right_QG), right_QG.shape[1])
    return float(_any_right(gallery, right_QG.sum(axis=1), np.minimum(k, gallery)).mean())


def run_retrieval(model: Scored, part: Part, images_NE: Floats) -> Retrieval | None:
    """Compare every captioned picture with every distinct caption; None where there are too few."""
    folded = [" ".join((record.texts.caption or "").split()) for record in part.records]
    captions = tuple(sorted({caption for caption in folded if caption}))
    if len(captions) < LEAST_GALLERY:
        return None
    similarity_NT = images_NE @ encode_texts(model, captions).T
    right_NT = np.array([[caption == own for caption in captions] for own in folded])
    return Retrieval(part, captions, similarity_NT, right_NT)


def score_retrieval(found: Retrieval) -> list[Score]:
    """Recall at 1, 5 and 10 in both directions, with the median rank of the first right item.

    The groups resampled are those of the query's picture; a caption's is that of its first picture.
    """
    groups_N = np.array([group_of(record) for record in found.part.records])
    captioned_N = found.right_NT.any(axis=1)
    pictures, captions = list(groups_N[captioned_N]), list(groups_N[found.right_NT.argmax(axis=0)])
    similarity, right = found.similarity_NT, found.right_NT
    # Pictures without a caption are no queries, but stay in the gallery for captions to skip.
    return [
        *_direction(found, "image to text", similarity[captioned_N], right[captioned_N], pictures),
        *_direction(found, "text to image", similarity.T, right.T, captions),
    ]


def _direction(
    found: Retrieval, direction: str, similarity_QG: NDArray, right_QG: Flags, groups_Q: list[str]
) -> list[Score]:
    return [
        score_of(
            mean(recall(similarity_QG, right_QG, k), groups_Q, f"retrieval {found.part.name}"),
            task="retrieval",
            set=found.part.name,
            metric=f"recall@{k}",
            n=len(similarity_QG),
            chance=chance_recall(right_QG, k),
            conditions=found.part.conditions,
            details={
                "direction": direction,
                "gallery": right_QG.shape[1],
                "median_rank": float(np.median(first_right_rank(similarity_QG, right_QG))),
            },
        )
        for k in RANKS
    ]


def _around_best_right(similarity_QG: NDArray, right_QG: Flags) -> tuple[NDArray, NDArray, NDArray]:
    """Items above the best right one, items equal to it (itself too), and the right among those."""
    best_Q1 = np.where(right_QG, similarity_QG, -np.inf).max(axis=1, keepdims=True)
    tied_QG = similarity_QG == best_Q1
    better_Q = (similarity_QG > best_Q1).sum(axis=1)
    return better_Q, tied_QG.sum(axis=1), (tied_QG & right_QG).sum(axis=1)


def _any_right(items: NDArray, right: NDArray, drawn: NDArray) -> NDArray[np.float64]:
    """1 - C(items - right, drawn) / C(items, drawn): at least one right among the drawn."""
    wrong = items - right
    possible = drawn <= wrong
    drawn = np.where(possible, drawn, 0)
    log_none = (
        gammaln(wrong + 1)
        - gammaln(wrong - drawn + 1)
        - gammaln(items + 1)
        + gammaln(items - drawn + 1)
    )
    return np.where(possible, -np.expm1(log_none), 1.0)
