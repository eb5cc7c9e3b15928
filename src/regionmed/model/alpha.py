"""The rival of Alpha-CLIP (Sun et al. 2024, arXiv 2312.03818): a region as one more channel.

Each region costs a forward of its own. In the original the channel enters beside the pixels; here
it enters behind the stem, which is frozen in every arm of the comparison. Weights start at 0.
R regions · C channels · H W rows, columns · K = 4 edges
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AlphaChannel(nn.Module):
    """Early maps of one picture -> the same for each of its regions, with the region marked."""

    def __init__(self, image_tower: Any) -> None:
        super().__init__()
        early = image_tower.level_channels[0] if image_tower.stem_is_frozen else 3
        self.mark = nn.Conv2d(1, early, 3, padding=1, bias=False)
        nn.init.zeros_(self.mark.weight)

    def forward(
        self, early_CHW: Float[Tensor, "*R C H W"], boxes_R4: Float[Tensor, "R K"]
    ) -> Float[Tensor, "R C H W"]:
        """One picture's early maps (or one a region) and boxes in 0..1 of it."""
        cover_RHW = box_cover(boxes_R4, early_CHW.shape[-2], early_CHW.shape[-1])
        return early_CHW + self.mark(cover_RHW[:, None])


def box_cover(boxes_R4: Float[Tensor, "R K"], height: int, width: int) -> Float[Tensor, "R H W"]:
    """How much of each cell a box covers, 0..1."""

    def along(low_R: Tensor, high_R: Tensor, cells: int) -> Tensor:
        edges = torch.arange(cells + 1, device=low_R.device) / cells
        upper = torch.minimum(edges[1:], high_R[:, None])
        return (upper - torch.maximum(edges[:-1], low_R[:, None])).clamp(min=0) * cells

    rows_RH = along(boxes_R4[:, 1], boxes_R4[:, 3], height)
    return rows_RH[:, :, None] * along(boxes_R4[:, 0], boxes_R4[:, 2], width)[:, None]
