"""Reading regions from a dense map: RoIAlign of axis-aligned boxes, and masked pooling.

B images · R regions · C channels · H W rows, columns · n bins a side · K = 4 edges

A bilinear sample on a grid is a product of two hat functions, so RoIAlign of an axis-aligned box
is separable: out = Wy F Wx^T. The small matrices are exact, batched and need no custom kernel; with
8 regions a picture their backward pass is faster on a CPU than torchvision's
(benchmarks/roi_align.py).
RoIAlign: He et al. 2017 (arXiv 1703.06870); pixel centres as in torchvision's `aligned=True`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SAMPLES = 4  # bilinear samples along each side of a bin


def bin_weights(
    low: Float[Tensor, "*B"], high: Float[Tensor, "*B"], bins: int, cells: int
) -> Float[Tensor, "*B n cells"]:
    """How much each cell of one axis counts in each bin from `low` to `high` (0..1 of the axis).

    A sample further than one cell outside the map counts as nothing; nearer, as the edge cell.
    """
    steps = (torch.arange(bins * SAMPLES, device=low.device, dtype=low.dtype) + 0.5) / (
        bins * SAMPLES
    )
    # cell k has its centre at k: the map's edge lies at -0.5
    place = (low[..., None] + (high - low)[..., None] * steps) * cells - 0.5
    inside = (place >= -1) & (place <= cells)
    place = torch.where(inside, place.clamp(0, cells - 1), -2.0)  # from there no hat is in reach
    cell = torch.arange(cells, device=low.device, dtype=low.dtype)
    hat = (1 - (place[..., None] - cell).abs()).clamp(min=0)
    return hat.unflatten(-2, (bins, SAMPLES)).mean(-2)


def roi_align(
    map_BCHW: Float[Tensor, "B C H W"], boxes_BR4: Float[Tensor, "B R K"], bins: int
) -> Float[Tensor, "B R C n n"]:
    """Mean of bilinear samples in n x n bins of each box (unit coordinates of the map)."""
    height, width = map_BCHW.shape[-2:]
    low_BR2, high_BR2 = boxes_BR4[..., :2], boxes_BR4[..., 2:]
    if height == width:  # both axes at once: with few boxes it is the calls that cost
        columns_BRnW, rows_BRnH = bin_weights(low_BR2, high_BR2, bins, width).unbind(2)
    else:
        columns_BRnW = bin_weights(low_BR2[..., 0], high_BR2[..., 0], bins, width)
        rows_BRnH = bin_weights(low_BR2[..., 1], high_BR2[..., 1], bins, height)
    # columns first: one matrix product per picture serves all its boxes; channels stay last, as
    # they lie in memory
    map_BHWC = map_BCHW.permute(0, 2, 3, 1)
    narrowed_BHkC = columns_BRnW.flatten(1, 2)[:, None] @ map_BHWC
    narrowed_BRHxC = narrowed_BHkC.unflatten(2, columns_BRnW.shape[1:3]).transpose(1, 2)
    found_BRyxC = (rows_BRnH @ narrowed_BRHxC.flatten(3)).unflatten(3, (bins, -1))
    return found_BRyxC.permute(0, 1, 4, 2, 3)


def masked_mean(
    map_BCHW: Float[Tensor, "B C H W"], cover_BRHW: Float[Tensor, "B R H W"]
) -> Float[Tensor, "B R C"]:
    """Mean of the cells weighted by how much of each the region covers; zeros for an empty mask."""
    weight = cover_BRHW.flatten(2)
    total = weight.sum(-1, keepdim=True)
    summed = torch.einsum("bcp,brp->brc", map_BCHW.flatten(2), weight)
    return summed / total.clamp(min=1e-6)


def scaled_boxes(boxes_BR4: Float[Tensor, "B R K"], factor: float) -> Float[Tensor, "B R K"]:
    """The boxes enlarged around their centres, cut at the picture."""
    centre = (boxes_BR4[..., :2] + boxes_BR4[..., 2:]) / 2
    half = (boxes_BR4[..., 2:] - boxes_BR4[..., :2]) / 2 * factor
    return torch.cat((centre - half, centre + half), -1).clamp(0, 1)
