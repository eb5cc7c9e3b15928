"""Average precision and hits of a ranking whose ties stand in random order.

A ranking is a row of blocks, best first; a block holds items that tie. All values are the
expectation over the orders of each block (McSherry and Najork, ECIR 2008), so that a ranking of
equal scores, which is one block, earns exactly what a shuffled gallery earns: chance.
Legend: N items · B blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

RANKS = (1, 5, 10)
METRICS = ("ap", *(f"recall@{k}" for k in RANKS))

Floats = NDArray[np.float64]
Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Items sorted by score once, to be counted many times with other weights.

    order_N   the items, best first; starts_B  where each block of equal scores begins in it
    right_N   whether an item is right, in that order
    """

    order_N: NDArray[np.int64]
    starts_B: NDArray[np.int64]
    right_N: NDArray[np.bool_]

    def blocks(self, counts_N: Numbers | None = None) -> tuple[Numbers, Numbers]:
        """How many items each block holds, and how many of them are right.

        counts_N   how often each item is counted, in the items' own order; once where left out
        """
        counts = np.ones(len(self.order_N)) if counts_N is None else counts_N[self.order_N]
        items_B = np.add.reduceat(counts, self.starts_B)
        right_B = np.add.reduceat(counts * self.right_N, self.starts_B)
        return items_B[items_B > 0], right_B[items_B > 0]


def ranking(scores_N: Numbers, right_N: NDArray[np.bool_]) -> Ranking:
    """Sort items by score, highest first; at least one item is needed."""
    order_N = np.argsort(-scores_N, kind="stable")
    sorted_N = scores_N[order_N]
    begins_N = np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]])
    return Ranking(order_N, np.flatnonzero(begins_N), right_N[order_N])


def values_of(items_B: Numbers, right_B: Numbers) -> Floats:
    """METRICS of a ranking by blocks; NaN where nothing is right."""
    if not right_B.sum():
        return np.full(len(METRICS), np.nan)
    hits = [hit(items_B, right_B, k) for k in RANKS]
    return np.array([average_precision(items_B, right_B), *hits])


def average_precision(items_B: Numbers, right_B: Numbers) -> float:
    """The expected mean, over right items, of the share of right items down to each.

    Before a block of t items with m right stand a items with r right. Each place a + j (j = 1..t)
    holds a right item with probability m / t, and then r + 1 + (j - 1) c right ones are expected
    down to it, with c = (m - 1) / (t - 1). With harmonic numbers H the block adds
        m / t * (c t + (r + 1 - c (a + 1)) (H(a + t) - H(a))).
    """
    total = right_B.sum()
    before_B, right_before_B = np.cumsum(items_B) - items_B, np.cumsum(right_B) - right_B
    some = right_B > 0
    t, m, a, r = items_B[some], right_B[some], before_B[some], right_before_B[some]
    c = (m - 1) / np.maximum(t - 1, 1)
    harmonic = digamma(a + t + 1) - digamma(a + 1)
    added = m / t * (c * t + (r + 1 - c * (a + 1)) * harmonic)
    return float(added.sum() / total)


def hit(items_B: Numbers, right_B: Numbers, k: int) -> float:
    """The chance that a right item stands among the first k: the recall@k of retrieval.py."""
    first = int(np.argmax(right_B > 0))
    items, right = items_B[first], right_B[first]
    places = int(min(k - items_B[:first].sum(), items))
    if places <= 0:
        return 0.0
    drawn = np.arange(places)
    return float(1 - np.prod(np.maximum(items - right - drawn, 0) / (items - drawn)))
