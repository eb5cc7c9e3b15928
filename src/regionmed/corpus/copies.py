"""Copies of pictures that were compressed, resized, inverted, mirrored, brightened or trimmed.

Three steps, each for fewer pairs than the one before:
1. 16 x 16 `crisp` greys of all pairs, mirrored too: the 24 most alike of each picture go on;
2. these are laid over one another at 32 x 32 (shift and stretch along the axes): three go on;
3. the overlay is refined at 64 x 64; a correlation there of LEAST or more is a copy.

Step 1 is one matrix product: 512 multiplications and additions a pair and orientation. The rest
costs about 10 ms a picture, however many there are to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.corpus.overlay import Floats, crisp, overlay
from regionmed.progress import Track, silent

LEAST = 0.9  # chosen on train and val rows of the data kit; see benchmarks/planted_leak.py
_ALIKE, _OVERLAID = 24, 3  # candidates of a picture after steps 1 and 2
_AT_ONCE = 32  # pictures: bounds the memory to 32 x _ALIKE overlays


@dataclass(frozen=True, slots=True)
class Copy:
    """Two pictures that are one: rows of the first and second greys."""

    first: int
    second: int
    likeness: float  # correlation of fine structure at 64 x 64 after the overlay, LEAST..1


def find_copies(
    firsts_NSS: NDArray[np.uint8],
    seconds_MSS: NDArray[np.uint8],
    track: Track = silent,
    least: float = LEAST,
) -> list[Copy]:
    """For each second picture up to three firsts that it is a copy of, the most alike first.

    Both are greys of greys.py, uint8 (N or M, 64, 64). Flat pictures are copies of nothing.
    """
    if not len(firsts_NSS) or not len(seconds_MSS):
        return []
    whole_NP = _rows(firsts_NSS)
    starts = range(0, len(seconds_MSS), _AT_ONCE)
    copies: list[Copy] = []
    for start in track(starts, "looking for copies", len(starts)):
        some = seconds_MSS[start : start + _AT_ONCE]
        for row, first, likeness in _copies_of(some, firsts_NSS, whole_NP):
            if likeness >= least:
                copies.append(Copy(first, start + row, likeness))
    return sorted(copies, key=lambda copy: (copy.second, -copy.likeness, copy.first))


def _copies_of(
    seconds_MSS: NDArray[np.uint8], firsts_NSS: NDArray[np.uint8], whole_NP: Floats
) -> Iterator[tuple[int, int, float]]:
    """(row of seconds, row of firsts, likeness) of the last step's pairs."""
    both_2MSS = np.concatenate([seconds_MSS, seconds_MSS[:, :, ::-1]])  # as it is, and mirrored
    rows, firsts = _most_alike(_rows(both_2MSS), whole_NP)
    places_N4 = np.zeros((len(rows), 4), np.float32)
    for side, steps, kept in ((32, 6, _OVERLAID), (64, 3, _OVERLAID)):
        places_N4, likeness_N = overlay(
            crisp(both_2MSS, side)[rows], crisp(firsts_NSS[firsts], side), places_N4, steps
        )
        chosen = _best(rows % len(seconds_MSS), likeness_N, kept)
        rows, firsts, places_N4 = rows[chosen], firsts[chosen], places_N4[chosen]
    seen: set[tuple[int, int]] = set()
    for row, first, likeness in zip(rows, firsts, likeness_N[chosen], strict=True):
        pair = int(row) % len(seconds_MSS), int(first)
        if pair not in seen:  # a symmetric picture is alike mirrored too
            seen.add(pair)
            yield *pair, float(likeness)


def _rows(greys_NSS: NDArray[np.uint8]) -> Floats:
    """Unit rows (N, 256); zeros for flat pictures."""
    rows = crisp(greys_NSS, 16).reshape(len(greys_NSS), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-6), np.float32)


def _most_alike(both_2MP: Floats, whole_NP: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The _ALIKE best of both orientations for each picture: rows of `both`, rows of `whole`."""
    count, firsts = len(both_2MP) // 2, len(whole_NP)
    alike_MA = np.abs(
        np.concatenate([both_2MP[:count] @ whole_NP.T, both_2MP[count:] @ whole_NP.T], axis=1)
    )
    kept = min(_ALIKE, 2 * firsts)
    columns = np.argpartition(-alike_MA, kept - 1, axis=1)[:, :kept]
    rows = np.repeat(np.arange(count), kept) + count * (columns.reshape(-1) >= firsts)
    return rows, columns.reshape(-1) % firsts


def _best(groups_N: NDArray[np.intp], likeness_N: Floats, kept: int) -> NDArray[np.intp]:
    """Which entries are among the `kept` highest of their group, sorted by group, best first."""
    order = np.lexsort((-likeness_N, groups_N))
    sorted_groups = groups_N[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_groups, sorted_groups)
    return np.asarray(order[rank < kept])
