"""Copies of pictures that were compressed, resized, inverted, mirrored, brightened or trimmed.

Three steps, each for fewer pairs than the one before:
1. 16 x 16 `crisp` greys of all pairs, mirrored or trimmed too: the 24 most alike go on;
2. these are laid over one another at 16 and 32 pixels (shift and stretch along the axes): three
   go on;
3. the overlay is refined at 64 x 64; a correlation there of LEAST or more is a copy.

Step 1 is matrix products: 18 x 512 operations a pair, so 1,000 pictures against 100,000 are
0.9 Tflop, and 5 kB of memory for each of the 100,000. The rest costs about 10 ms a picture, however
many there are to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.corpus.overlay import Floats, crisp, laid_over, overlay
from regionmed.progress import Track, silent

LEAST = 0.9  # chosen on train and val rows of the data kit; see benchmarks/planted_leak.py
_ALIKE, _OVERLAID = 24, 3  # candidates of a picture after steps 1 and 2
_TRIMMED = 0.05  # of width and height: the corners that step 1 tries beside the whole picture
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
    views_VNP = np.stack([_rows(view) for view in _views(firsts_NSS)])
    starts = range(0, len(seconds_MSS), _AT_ONCE)
    copies: list[Copy] = []
    for start in track(starts, "looking for copies", len(starts)):
        some = seconds_MSS[start : start + _AT_ONCE]
        both_2MSS = np.concatenate([some, some[:, :, ::-1]])  # as it is, and mirrored
        rows, firsts = _most_alike(both_2MSS, views_VNP)
        for row, first, likeness in laid_pairs(both_2MSS, firsts_NSS, rows, firsts):
            if likeness >= least:
                copies.append(Copy(first, start + row, likeness))
    return sorted(copies, key=lambda copy: (copy.second, -copy.likeness, copy.first))


def laid_pairs(
    both_2MSS: NDArray[np.uint8],
    firsts_NSS: NDArray[np.uint8],
    rows: NDArray[np.intp],
    firsts: NDArray[np.intp],
) -> Iterator[tuple[int, int, float]]:
    """(second, first, likeness) of the three pairs of every second that agree best when laid over.

    both_2MSS     greys of the seconds, then the same mirrored
    rows, firsts  the candidates: rows of both_2MSS and of firsts_NSS
    """
    count = len(both_2MSS) // 2
    places_N4 = np.zeros((len(rows), 4), np.float32)
    for side, steps, kept in ((16, 4, _ALIKE), (32, 5, _OVERLAID), (64, 3, _OVERLAID)):
        places_N4, likeness_N = overlay(
            crisp(both_2MSS, side)[rows], crisp(firsts_NSS[firsts], side), places_N4, steps
        )
        chosen = _best(rows % count, likeness_N, kept)
        rows, firsts, places_N4 = rows[chosen], firsts[chosen], places_N4[chosen]
    seen: set[tuple[int, int]] = set()
    for row, first, likeness in zip(rows, firsts, likeness_N[chosen], strict=True):
        pair = int(row) % count, int(first)
        if pair not in seen:  # a symmetric picture is alike mirrored too
            seen.add(pair)
            yield *pair, float(likeness)


def _views(greys_NSS: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8] | Floats]:
    """The whole pictures, then each of their four corners without _TRIMMED of width and height."""
    yield greys_NSS
    for y in (-_TRIMMED, _TRIMMED):
        for x in (-_TRIMMED, _TRIMMED):
            place_4 = np.array([y, -_TRIMMED, x, -_TRIMMED], np.float32)
            places_N4 = np.broadcast_to(place_4, (len(greys_NSS), 4))
            yield laid_over(greys_NSS.astype(np.float32), places_N4)[0]


def _rows(greys_NSS: NDArray[np.uint8] | Floats) -> Floats:
    """Unit rows (N, 256); zeros for flat pictures."""
    rows = crisp(greys_NSS, 16).reshape(len(greys_NSS), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-6), np.float32)


def _most_alike(
    both_2MSS: NDArray[np.uint8], views_VNP: Floats
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The _ALIKE best of both orientations for each picture: rows of `both`, rows of the firsts.

    Either picture may be the trimmed one, so each view of one meets the whole of the other.
    """
    count, firsts = len(both_2MSS) // 2, views_VNP.shape[1]
    whole_2MP, *trimmed = [_rows(view) for view in _views(both_2MSS)]
    alike_2MN = np.zeros((2 * count, firsts), np.float32)
    for mine, theirs in [
        *((whole_2MP, view) for view in views_VNP),
        *((view, views_VNP[0]) for view in trimmed),
    ]:
        np.maximum(alike_2MN, np.abs(mine @ theirs.T), out=alike_2MN)
    alike_MA = np.concatenate([alike_2MN[:count], alike_2MN[count:]], axis=1)
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
