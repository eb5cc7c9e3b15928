"""Proposals: the boxes that a heat map of a phrase suggests, best first.

A proposal is the box around cells of the map that touch each other, corners too, and are at a
threshold or above; cells whose centre lies outside the picture are ignored. Where no cell is so
hot, the cells at FRACTION of the map's maximum stand in, and only those that touch the hottest
cell: somewhere the phrase must be, and a model that never grows sure still says where.
Legend: h w cells of the map, which covers the whole model frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from regionmed.errors import UsageError
from regionmed.geometry import Box, Placement

HOT = 0.5  # of a map of probabilities: more likely than not
FRACTION = 0.5  # of the maximum, where nothing is hot
TOUCHING = np.ones((3, 3), bool)  # the eight cells around a cell

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One suggested place."""

    box: Box  # in the frame 'file', inside the picture
    score: float  # the highest heat in it, 0..1


def cells_inside(placement: Placement, height: int, width: int) -> Flags:
    """Which of height x width cells over the model frame have their centre in the picture."""
    back, target = placement.inverse(), placement.target
    x = (np.arange(width) + 0.5) * target.width / width * back.x_scale + back.x_shift
    y = (np.arange(height) + 0.5) * target.height / height * back.y_scale + back.y_shift
    picture = placement.source
    return ((y >= 0) & (y < picture.height))[:, None] & ((x >= 0) & (x < picture.width))[None]


def propose(
    map_hw: NDArray[np.floating], placement: Placement, threshold: float = HOT
) -> list[Proposal]:
    """Boxes around what is hot in a map, best first; at least one where a cell is in the picture.

    map_hw     float (h, w), 0..1, over the whole model frame
    placement  how the picture lies in the model frame
    returns    boxes of the picture's own frame, cut at its edges; the reach of a cell is its whole
               square, so each hot cell is covered. Of equal scores the upper left comes first.

    UsageError where a heat is not finite.
    """
    if not np.isfinite(map_hw).all():
        raise UsageError(
            "a heat map holds NaN or infinity, so no place can be proposed from it; check the "
            "weights of the model and its input pictures"
        )
    inside_hw = cells_inside(placement, *map_hw.shape)
    if not inside_hw.any():  # a sliver that runs between the centres of the cells
        return []
    hottest = float(map_hw[inside_hw].max())
    sure = hottest >= threshold
    # in double precision: a threshold rounded to the map's would let a cell below it in
    hot_hw = inside_hw & (map_hw.astype(float) >= (threshold if sure else FRACTION * hottest))
    groups_hw, _ = ndimage.label(hot_hw, structure=TOUCHING)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(groups_hw), start=1):
        own_hw = groups_hw[rows, columns] == number
        score = float(map_hw[rows, columns][own_hw].max())
        box = _file_box(rows, columns, map_hw.shape, placement)
        if box is not None:
            found.append(Proposal(box, score))
    found.sort(key=lambda proposal: -proposal.score)
    return found if sure else found[:1]


def _file_box(
    rows: slice, columns: slice, shape: tuple[int, ...], placement: Placement
) -> Box | None:
    """The outer edges of a block of cells in file pixels, cut at the picture."""
    target = placement.target
    x_side, y_side = target.width / shape[1], target.height / shape[0]
    edges = (
        columns.start * x_side,
        rows.start * y_side,
        columns.stop * x_side,
        rows.stop * y_side,
    )
    return placement.inverse().box(Box(*edges, target)).clipped()
