"""Laying one picture over another: which shift and stretch along the axes makes them agree best?

Pictures here are square float32 greys on -1..1 in both axes, rid of slow changes and of contrast
(`crisp`), so that the shared anatomy of two patients counts little and the fine texture much.
The fit is Gauss-Newton: the target is regressed on the overlaid picture and its slopes; the factor
of the picture may be negative, so a copy with inverted contrast is found by the same steps.

Legend: N pairs · S pixels a side · 4 shift and stretch of y, shift and stretch of x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float32]

FARTHEST = 0.15  # of half a side, by which edges and middle may move
_RADIUS = 4.0  # pixels: slower changes than this are taken away
_FAINT = 1.0  # squared grey levels: a local contrast below this is not blown up to full contrast
_LONGEST_STEP = 0.06
_LEAST_FACTOR = 0.1
_RIDGE = np.array([1, 1, 1, 1, 0.01, 0.01], np.float32) * 1e-3  # for pictures without any slope


def crisp(greys_NSS: NDArray[np.uint8] | Floats, side: int) -> Floats:
    """Float32 (N, side, side): means of cells, less their surroundings, at even local contrast.

    `side` divides S. A flat picture becomes zeros.
    """
    count, whole, _ = greys_NSS.shape
    cell = whole // side
    cells = greys_NSS.reshape(count, side, cell, side, cell).astype(np.float32).mean((2, 4))
    fine = cells - gaussian_filter(cells, (0, _RADIUS, _RADIUS), truncate=2.5)
    power = gaussian_filter(fine * fine, (0, 2 * _RADIUS, 2 * _RADIUS), truncate=2.5)
    return np.asarray(fine / np.sqrt(power + _FAINT), np.float32)


def overlay(
    targets_NSS: Floats, pictures_NSS: Floats, starts_N4: Floats, steps: int
) -> tuple[Floats, Floats]:
    """The best of `steps` places of each picture over its target, the start included.

    returns  places (N, 4), and the correlation there, without its sign (N,): 1 is the same picture
    """
    best_N4 = places_N4 = starts_N4
    laid, inside = laid_over(pictures_NSS, places_N4)
    best_N = _correlation(targets_NSS, laid, inside)
    for _ in range(steps):
        places_N4 = places_N4 + _step(targets_NSS, laid, inside)
        places_N4 = np.clip(places_N4, -FARTHEST, FARTHEST)
        laid, inside = laid_over(pictures_NSS, places_N4)
        likeness_N = _correlation(targets_NSS, laid, inside)
        better = likeness_N > best_N
        best_N = np.where(better, likeness_N, best_N)
        best_N4 = np.where(better[:, None], places_N4, best_N4)
    return best_N4, best_N


def _grid(side: int) -> Floats:
    return ((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1).astype(np.float32)


def laid_over(pictures_NSS: Floats, places_N4: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The pictures (N, S, S) read at their places, bilinear; and bool: what lies inside."""
    side = pictures_NSS.shape[1]

    def along(shift_N: Floats, stretch_N: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        on_axis = (1 + stretch_N)[:, None] * _grid(side) + shift_N[:, None]
        pixel_NS = (on_axis + 1) * (side / 2) - 0.5
        reach = np.abs(pixel_NS[:, :, None] - np.arange(side, dtype=np.float32))
        weights_NSS = np.asarray(np.maximum(0, 1 - reach), np.float32)
        return weights_NSS, (pixel_NS >= 0) & (pixel_NS <= side - 1)

    rows_NSS, in_y = along(places_N4[:, 0], places_N4[:, 1])
    columns_NSS, in_x = along(places_N4[:, 2], places_N4[:, 3])
    laid = np.asarray(rows_NSS @ pictures_NSS @ columns_NSS.transpose(0, 2, 1), np.float32)
    return laid, in_y[:, :, None] & in_x[:, None, :]


def _correlation(first: Floats, second: Floats, inside: NDArray[np.bool_]) -> Floats:
    weights = inside.astype(np.float32)
    count = np.maximum(weights.sum((1, 2), keepdims=True), 1)
    a = (first - (first * weights).sum((1, 2), keepdims=True) / count) * weights
    b = (second - (second * weights).sum((1, 2), keepdims=True) / count) * weights
    power = (a * a).sum((1, 2)) * (b * b).sum((1, 2))
    return np.asarray(np.abs((a * b).sum((1, 2))) / np.sqrt(np.maximum(power, 1e-9)))


def _step(targets: Floats, laid: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The change of places (N, 4) that a regression of the target on picture and slopes asks."""
    count, side, _ = laid.shape
    grid = _grid(side)
    in_y, in_x = np.gradient(laid, 2 / side, axis=(1, 2))
    parts = [in_y, grid[:, None] * in_y, in_x, grid * in_x, laid, np.ones_like(laid)]
    columns_N6P = (np.stack(parts, 1) * inside[:, None]).reshape(count, 6, -1)
    products_N66 = columns_N6P @ columns_N6P.transpose(0, 2, 1)
    scale_N = np.trace(products_N66, axis1=1, axis2=2) / 6 + 1e-6
    products_N66 = products_N66 + scale_N[:, None, None] * np.diag(_RIDGE)
    answers_N61 = columns_N6P @ (targets * inside).reshape(count, -1, 1)
    solved_N6 = np.linalg.solve(products_N66, answers_N61)[:, :, 0]
    factor_N = solved_N6[:, 4]
    faint = np.abs(factor_N) < _LEAST_FACTOR
    factor_N = np.where(faint, np.copysign(_LEAST_FACTOR, factor_N), factor_N)
    step_N4 = np.clip(solved_N6[:, :4] / factor_N[:, None], -_LONGEST_STEP, _LONGEST_STEP)
    return np.asarray(step_N4, np.float32)
