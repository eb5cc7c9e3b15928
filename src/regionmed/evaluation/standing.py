"""Where the best right item of each query stands in its gallery, both ways, in tiles.

100,000 pictures against 100,000 texts are ten thousand million similarities: no matrix of them is
kept. Two rules make the counts exact. Equal vectors are compared once, so that a right item and
its copies tie whatever a matrix product does to the last bit; and the similarity of a right pair
is taken from the very product that its rivals are counted in.
Legend: N pictures · T texts · E embedding · P right pairs · U distinct vectors · Q queries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from regionmed.errors import UsageError
from regionmed.progress import Track, silent

TILE = 1024  # vectors a side: a tile of similarities, 4 MB, stays in the cache while it is counted

Values = NDArray[np.float64]
Integers = NDArray[np.int64]
Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """For each query that has a right item, what surrounds the best of its right items.

    queries_Q  row of the query among all pictures, or texts
    better_Q   items of the gallery that are nearer to the query than its best right item
    tied_Q     items exactly as near, the best right item itself among them
    right_tied_Q, right_Q  right items among the tied ones, and in the whole gallery
    gallery    number of items
    """

    queries_Q: Integers
    better_Q: Integers
    tied_Q: Integers
    right_tied_Q: Integers
    right_Q: Integers
    gallery: int

    def recall(self, k: int) -> Values:
        """The chance that a right item stands among the first k, ties in random order; 0..1.

        With a better items, t tied, m right among these, and s = min(k - a, t) places left:
        1 - C(t - m, s) / C(t, s), and 0 where s <= 0. Equal numbers give exactly chance.
        """
        places_Q = np.minimum(k - self.better_Q, self.tied_Q)
        any_right_Q = _any_right(self.tied_Q, self.right_tied_Q, np.maximum(places_Q, 0))
        return np.where(places_Q > 0, any_right_Q, 0.0)

    def chance(self, k: int) -> Values:
        """What `recall` would be of a gallery in random order."""
        gallery_Q = np.full(len(self.right_Q), self.gallery)
        return _any_right(gallery_Q, self.right_Q, np.minimum(k, gallery_Q))

    def first_right_rank(self) -> Values:
        """The expected rank of the first right item, from 1: a + (t + 1) / (m + 1)."""
        return self.better_Q + (self.tied_Q + 1) / (self.right_tied_Q + 1)

    def reciprocal_rank(self) -> Values:
        """The expected 1 / rank of the first right item, ties in random order.

        The sum over x = 1 .. t - m + 1 of C(t - x, m - 1) / C(t, m) / (a + x).
        """
        cases_C3 = np.stack([self.better_Q, self.tied_Q, self.right_tied_Q], axis=1)
        distinct_C3, case_Q = np.unique(cases_C3, axis=0, return_inverse=True)
        return np.array([_reciprocal(*case) for case in distinct_C3])[case_Q.reshape(-1)]


def standings(
    images_NE: Numbers,
    texts_TE: Numbers,
    pictures_P: Integers,
    texts_P: Integers,
    track: Track = silent,
) -> tuple[Standing, Standing]:
    """The texts' standing for every picture, and the pictures' standing for every text.

    images_NE, texts_TE   unit rows, so that a product is a cosine
    pictures_P, texts_P   the right pairs, each once: a picture may have several right texts and a
                          text several right pictures; fastest where pairs of near pictures are
                          near texts, because only tiles that hold a right pair are made twice
    Raises UsageError where widths differ, a vector is not finite or no pair is given.
    """
    _check(images_NE, texts_TE, pictures_P)
    pictures, texts = _distinct(images_NE), _distinct(texts_TE)
    value_P = _values_of_pairs(pictures, texts, pictures_P, texts_P)
    by_picture = _Counts(pictures, texts.copies_U, _best(pictures_P, value_P, len(images_NE)))
    by_text = _Counts(texts, pictures.copies_U, _best(texts_P, value_P, len(texts_TE)))
    tiles_across, tiles_down = _tiles(pictures), _tiles(texts)
    for across in track(tiles_across, "retrieval", len(tiles_across)):
        for down in tiles_down:
            similarity_UU = _product(pictures, texts, across, down)
            by_picture.add(similarity_UU, across, down)
            by_text.add(similarity_UU.T, down, across)
    return (
        by_picture.standing(pictures_P, value_P, len(texts_TE)),
        by_text.standing(texts_P, value_P, len(images_NE)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Distinct:
    vectors_UE: Numbers  # in the order of first appearance
    number_N: Integers  # which of them each of the N is
    copies_U: NDArray[np.float32]


def _distinct(vectors_NE: Numbers) -> _Distinct:
    rows = np.ascontiguousarray(vectors_NE)
    number_of: dict[bytes, int] = {}
    number_N = np.array(
        [
            number_of.setdefault(hashlib.blake2b(row, digest_size=16).digest(), len(number_of))
            for row in rows
        ]
    )
    first_U = np.unique(number_N, return_index=True)[1]
    copies_U = np.bincount(number_N).astype(np.float32)
    return _Distinct(rows if len(first_U) == len(rows) else rows[first_U], number_N, copies_U)


class _Counts:
    """Better and tied items of every query of one direction, tile by tile."""

    def __init__(self, asking: _Distinct, copies_U: NDArray[np.float32], best_Q: Numbers) -> None:
        self.best_Q, self.copies_U, self.number_Q = best_Q, copies_U, asking.number_N
        self.order_Q = np.argsort(asking.number_N, kind="stable")
        self.sorted_Q = asking.number_N[self.order_Q]
        self.better_Q, self.as_near_Q = np.zeros((2, len(best_Q)), np.int64)

    def add(self, similarity_UU: Numbers, asked: slice, gallery: slice) -> None:
        first, last = np.searchsorted(self.sorted_Q, [asked.start, asked.stop])
        weights_U = self.copies_U[gallery]
        for start in range(first, last, TILE):  # equal queries may have different right items
            queries = self.order_Q[start : min(start + TILE, last)]
            rows = self.number_Q[queries] - asked.start
            all_once = len(rows) == len(similarity_UU) == last - first
            nearness = similarity_UU if all_once else similarity_UU[rows]
            best_Q1 = self.best_Q[queries, None]
            # a float32 sum of whole numbers is exact up to 16 million
            self.better_Q[queries] += _weigh(nearness > best_Q1, weights_U)
            self.as_near_Q[queries] += _weigh(nearness >= best_Q1, weights_U)

    def standing(self, queries_P: Integers, value_P: Numbers, gallery: int) -> Standing:
        number = len(self.best_Q)
        right_Q = np.bincount(queries_P, minlength=number)
        is_best_P = value_P == self.best_Q[queries_P]
        right_tied_Q = np.bincount(queries_P[is_best_P], minlength=number)
        queries = np.flatnonzero(right_Q)
        return Standing(
            queries,
            self.better_Q[queries],
            (self.as_near_Q - self.better_Q)[queries],
            right_tied_Q[queries],
            right_Q[queries],
            gallery,
        )


def _check(images_NE: Numbers, texts_TE: Numbers, pictures_P: Integers) -> None:
    if images_NE.shape[1] != texts_TE.shape[1]:
        raise UsageError(
            f"pictures have {images_NE.shape[1]} dimensions and texts {texts_TE.shape[1]}; "
            "retrieval compares vectors of one space, so embed both with the same model"
        )
    for name, vectors in (("pictures", images_NE), ("texts", texts_TE)):
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise UsageError(
                f"{len(bad)} of the {name}' vectors hold NaN or infinity, the first in row "
                f"{bad[0]}; embed these again or leave them out"
            )
    if not len(pictures_P):
        raise UsageError("retrieval needs at least one picture with a right text, got none")


def _tiles(distinct: _Distinct) -> list[slice]:
    number = len(distinct.vectors_UE)
    return [slice(start, min(start + TILE, number)) for start in range(0, number, TILE)]


def _product(pictures: _Distinct, texts: _Distinct, across: slice, down: slice) -> Numbers:
    return pictures.vectors_UE[across] @ texts.vectors_UE[down].T


def _values_of_pairs(
    pictures: _Distinct, texts: _Distinct, pictures_P: Integers, texts_P: Integers
) -> Numbers:
    picture_P, text_P = pictures.number_N[pictures_P], texts.number_N[texts_P]
    value_P = np.zeros(len(picture_P), pictures.vectors_UE.dtype)
    across, down = _tiles(pictures), _tiles(texts)
    for (row, column), members in _by_tile(picture_P // TILE, text_P // TILE):
        similarity_UU = _product(pictures, texts, across[row], down[column])
        places = picture_P[members] - row * TILE, text_P[members] - column * TILE
        value_P[members] = similarity_UU[places]
    return value_P


def _by_tile(rows_P: Integers, columns_P: Integers) -> Iterator[tuple[tuple[int, int], Integers]]:
    """Each tile that holds pairs, and which pairs."""
    order = np.lexsort((columns_P, rows_P))
    tiles_P2 = np.stack([rows_P, columns_P], axis=1)[order]
    starts = np.flatnonzero((np.diff(tiles_P2, axis=0, prepend=-1) != 0).any(axis=1))
    for members in np.split(order, starts[1:]):
        yield (int(rows_P[members[0]]), int(columns_P[members[0]])), members


def _best(queries_P: Integers, value_P: Numbers, number: int) -> Numbers:
    """The similarity of each query's best right item; nothing reaches that of a query without."""
    best_Q = np.full(number, -np.inf, value_P.dtype)
    np.maximum.at(best_Q, queries_P, value_P)
    return np.where(np.isneginf(best_Q), np.inf, best_Q).astype(value_P.dtype)


def _weigh(flags_QU: NDArray[np.bool_], copies_U: NDArray[np.float32]) -> Integers:
    return (flags_QU.astype(np.float32) @ copies_U).astype(np.int64)


def _any_right(items: Integers, right: Integers, drawn: Integers) -> Values:
    """1 - C(items - right, drawn) / C(items, drawn): at least one right among the drawn."""
    wrong = items - right
    possible = drawn <= wrong
    drawn = np.where(possible, drawn, 0)
    log_none = _log_choose(wrong, drawn) - _log_choose(items, drawn)
    return np.where(possible, -np.expm1(log_none), 1.0)


def _reciprocal(better: int, tied: int, right: int) -> float:
    place = np.arange(1, tied - right + 2)
    log_share = _log_choose(tied - place, np.full_like(place, right - 1))
    log_share -= _log_choose(np.array(tied), np.array(right))
    return float((np.exp(log_share) / (better + place)).sum())


def _log_choose(items: Integers, drawn: Integers) -> Values:
    return gammaln(items + 1) - gammaln(drawn + 1) - gammaln(items - drawn + 1)
