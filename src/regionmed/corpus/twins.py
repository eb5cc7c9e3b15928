"""Pictures that are the same: byte for byte, or to the eye.

Near twins are found in two steps. A difference hash (imagehash, 64 bits) proposes pairs that differ
in few bits; the grey correlation of the two pictures at 48 x 48 decides. Pairs are proposed through
shared bands of the hash, so the cost does not grow with the square of the corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

RADIUS = 7  # bits of 64 in which two hashes may differ
LEAST_CORRELATION = 0.95  # of the grey values at 48 x 48, as the data kit's cards count twins
SIDE = 48
_BANDS = RADIUS + 1  # of 8 bits: hashes RADIUS apart agree in one of them at least
_ENOUGH = 192  # pixels of the shorter side that a look is taken from; every n-th of larger pictures
_FLAT = 2.0  # grey levels: a picture with a smaller spread looks like any other flat one


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is kept of a picture to find its twins."""

    sha256: str
    hash: np.uint64
    grey: NDArray[np.uint8]  # (48 * 48,)


def look_at(pixels: NDArray[np.uint8], sha256: str) -> Look:
    """The look of a picture; pixels (H, W) or (H, W, 3) uint8."""
    step = max(1, min(pixels.shape[:2]) // _ENOUGH)
    image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    if image.mode == "RGB":
        image = image.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BOX).convert("L")
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    bits = imagehash.dhash(small).hash
    return Look(sha256, np.packbits(bits).view(np.uint64)[0], np.asarray(small).reshape(-1))


def twin_pairs(looks: Sequence[Look]) -> list[tuple[int, int, float]]:
    """Near pairs, and each picture with the one before it whose file has the same bytes."""
    pairs = {(i, j): likeness for i, j, likeness in near_pairs(looks)}
    pairs |= dict.fromkeys(_equal_pairs([look.sha256 for look in looks]), 1.0)
    return [(i, j, likeness) for (i, j), likeness in sorted(pairs.items())]


def near_pairs(looks: Sequence[Look]) -> list[tuple[int, int, float]]:
    """Pairs (i < j) that look alike, with their grey correlation."""
    if not looks:
        return []
    hashes_N = np.array([look.hash for look in looks], dtype=np.uint64)
    greys_NP = _standardised(np.stack([look.grey for look in looks]))
    pairs: dict[tuple[int, int], float] = {}
    for first, second in _near_hashes(hashes_N):
        likeness = np.einsum("np,np->n", greys_NP[first], greys_NP[second])
        for i, j, value in zip(first, second, likeness, strict=True):
            if value >= LEAST_CORRELATION:
                pairs[int(i), int(j)] = float(value)
    return [(i, j, likeness) for (i, j), likeness in sorted(pairs.items())]


def families(count: int, ties: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` things the smallest index it is tied to, over any number of steps."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in ties:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return [root(i) for i in range(count)]


def ties_of(keys: Sequence[Hashable | None]) -> Iterator[tuple[int, int]]:
    """Ties between each thing and the first one with the same key; None ties nothing."""
    first: dict[Hashable, int] = {}
    for i, key in enumerate(keys):
        if key is not None and first.setdefault(key, i) != i:
            yield first[key], i


def _equal_pairs(digests: Sequence[str]) -> Iterator[tuple[int, int]]:
    by_digest: defaultdict[str, list[int]] = defaultdict(list)
    for i, digest in enumerate(digests):
        by_digest[digest].append(i)
    for members in by_digest.values():
        yield from pairwise(members)


def _near_hashes(hashes_N: NDArray[np.uint64]) -> Iterator[tuple[NDArray, NDArray]]:
    """Index pairs whose hashes differ in at most RADIUS bits, in arrays; a pair may come twice."""
    bands_NB = hashes_N.view(np.uint8).reshape(len(hashes_N), _BANDS)
    for band in range(_BANDS):
        order = np.argsort(bands_NB[:, band], kind="stable")
        sorted_bands = bands_NB[order, band]
        bounds = np.flatnonzero(np.diff(sorted_bands)) + 1
        for bucket in np.split(order, bounds):
            for at in range(len(bucket) - 1):
                others = bucket[at + 1 :]
                apart = np.bitwise_count(hashes_N[others] ^ hashes_N[bucket[at]])
                near = others[apart <= RADIUS]
                if len(near):
                    here = np.full(len(near), bucket[at])
                    yield np.minimum(here, near), np.maximum(here, near)


def _standardised(greys_NP: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows of mean 0 and length 1; flat pictures become zeros, which correlate with nothing."""
    rows = greys_NP.astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(spread < _FLAT, 0, rows / np.maximum(lengths, 1e-6)).astype(np.float32)
