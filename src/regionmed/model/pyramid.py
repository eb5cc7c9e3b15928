"""Dense maps of a CNN or a ViT -> levels of one width, coarse meaning carried down to fine cells.

B images · C H W channels, rows, columns. The top-down sum is that of Lin et al. 2017 (arXiv
1612.03144), without its 3 x 3 convolutions.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Pyramid(nn.Module):
    """Lateral 1 x 1 convolutions, normalised, then added from coarse to fine."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1), nn.GroupNorm(1, width)) for count in channels
        )

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Levels fine to coarse, each (B, C_i, h, w) -> the same places, each (B, width, h, w)."""
        flat = [lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)]
        joined = [flat[-1]]
        for level in reversed(flat[:-1]):
            joined.append(level + F.interpolate(joined[-1], size=level.shape[-2:], mode="nearest"))
        return tuple(reversed(joined))
