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
    low_BR: Float[Tensor, "B R"], high_BR: Float[Tensor, "B R"], bins: int, cells: int
) -> Float[Tensor, "B R n cells"]:
    """How much each cell of one axis counts in each bin from `low` to `high` (0..1 of the axis).

    A sample further than one cell outside the map counts as nothing; nearer, as the edge cell.
    """
    steps = (torch.arange(bins * SAMPLES, device=low_BR.device, dtype=low_BR.dtype) + 0.5) / (
        bins * SAMPLES
    )
    # cell k has its centre at k: the map's edge lies at -0.5
    place = (low_BR[..., None] + (high_BR - low_BR)[..., None] * steps) * cells - 0.5
    inside = (place >= -1) & (place <= cells)
    cell = torch.arange(cells, device=low_BR.device, dtype=low_BR.dtype)
    hat = (1 - (place.clamp(0, cells - 1)[..., None] - cell).abs()).clamp(min=0)
    hat = hat * inside[..., None]
    return hat.unflatten(-2, (bins, SAMPLES)).mean(-2)


def roi_align(
    map_BCHW: Float[Tensor, "B C H W"], boxes_BR4: Float[Tensor, "B R K"], bins: int
) -> Float[Tensor, "B R C n n"]:
    """Mean of bilinear samples in n x n bins of each box (unit coordinates of the map)."""
    height, width = map_BCHW.shape[-2:]
    rows_BRnH = bin_weights(boxes_BR4[..., 1], boxes_BR4[..., 3], bins, height)
    columns_BRnW = bin_weights(boxes_BR4[..., 0], boxes_BR4[..., 2], bins, width)
    # columns first: one matrix product per picture serves all its boxes
    regions = columns_BRnW.flatten(1, 2)
    narrowed = torch.einsum("bchw,bkw->bkch", map_BCHW, regions)
    narrowed = narrowed.unflatten(1, columns_BRnW.shape[1:3])
    return torch.einsum("brxch,bryh->brcyx", narrowed, rows_BRnH)


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
