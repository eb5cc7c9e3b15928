"""The door in: records with places in file pixels -> tensors with places in unit coordinates.

Inside the model a box is x0 y0 x1 y1 in 0..1 of the model frame, float32, origin at the outer
corner of the first pixel. Axes: B pictures, R regions, G cells a side of the dense map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from regionmed.geometry import Box, Placement
from regionmed.record import Record, Region

CROP = 1.2  # a crop's side in sides of its box


def unit_boxes(record: Record, placement: Placement) -> NDArray[np.float32]:
    """The record's boxes, float32 (R, 4) in unit coordinates of the placement's target frame."""
    return boxes_to_unit([region.box for region in record.regions], placement)


def boxes_to_unit(boxes: Sequence[Box], placement: Placement) -> NDArray[np.float32]:
    """Boxes of the placement's source frame as float32 (R, 4) in 0..1 of its target frame."""
    rows = [placement.box(box).unit() for box in boxes]
    return np.asarray(rows, np.float32).reshape(len(rows), 4)


def crop_boxes(boxes_R4: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a crop shows of a picture: CROP times the box around its centre, cut at the picture."""
    centre_R2 = (boxes_R4[:, :2] + boxes_R4[:, 2:]) / 2
    half_R2 = (boxes_R4[:, 2:] - boxes_R4[:, :2]) / 2 * CROP
    return np.concatenate((centre_R2 - half_R2, centre_R2 + half_R2), 1).clip(0, 1)


def cut_out(pixels_HWC: NDArray[np.uint8], boxes_R4: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Each box of a square picture, a little larger, stretched to the picture's own size.

    boxes_R4  x0 y0 x1 y1 in 0..1 of the picture
    returns   uint8 (R, S, S, 3); what is shown of the picture: crop_boxes
    """
    picture, side = Image.fromarray(pixels_HWC), pixels_HWC.shape[0]
    cut = [
        np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, box=tuple(side * box)))
        for box in crop_boxes(boxes_R4)
    ]
    return np.stack(cut) if cut else np.zeros((0, *pixels_HWC.shape), np.uint8)


def model_mask(region: Region, placement: Placement) -> NDArray[np.bool_]:
    """The region's pixels in the target frame, bool (H, W): its mask, else its box."""
    target = placement.target
    if region.mask is None:
        columns = (np.arange(target.width) + 0.5)[None]
        rows = (np.arange(target.height) + 0.5)[:, None]
        box = placement.box(region.box)
        inside = (columns >= box.x0) & (columns < box.x1) & (rows >= box.y0) & (rows < box.y1)
        return np.asarray(inside)
    back = placement.inverse()
    coefficients = (back.x_scale, 0, back.x_shift, 0, back.y_scale, back.y_shift)
    drawn = Image.fromarray(region.mask.pixels).transform(
        (target.width, target.height),
        Image.Transform.AFFINE,
        coefficients,
        Image.Resampling.NEAREST,
    )
    return np.asarray(drawn, bool)


def cell_coverage(region: Region, placement: Placement, grid: int) -> NDArray[np.float32]:
    """How much of each dense cell the region covers: float32 (grid, grid), 0..1."""
    if region.mask is None:
        box = placement.box(region.box).unit()
        return np.outer(_overlap(box[1], box[3], grid), _overlap(box[0], box[2], grid))
    mask = model_mask(region, placement)
    side = mask.shape[0] // grid
    cells = mask[: side * grid, : side * grid].reshape(grid, side, grid, side)
    return cells.mean((1, 3), dtype=np.float32)


def _overlap(low: float, high: float, grid: int) -> NDArray[np.float32]:
    edges = np.arange(grid + 1) / grid
    covered = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return (covered.clip(0) * grid).astype(np.float32)


def pad_boxes(boxes: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Ragged boxes as boxes_BR4 (float32) and present_BR (bool; False is padding, box 0 0 1 1)."""
    most = max((len(rows) for rows in boxes), default=0)
    boxes_BR4 = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(len(boxes), most, 1)
    present_BR = torch.zeros(len(boxes), most, dtype=torch.bool)
    for row, few in enumerate(boxes):
        boxes_BR4[row, : len(few)] = torch.from_numpy(np.asarray(few, np.float32).reshape(-1, 4))
        present_BR[row, : len(few)] = True
    return boxes_BR4, present_BR
