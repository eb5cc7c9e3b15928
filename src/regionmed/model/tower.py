"""What RegionClip needs of an image tower, and what a tower gives.

B images · C H W channels, rows, columns · D tower width

An image tower is read in two legs: `stem` (pixels to early maps; the part that may be frozen and
cached) and `trunk` (early maps to the dense levels and the picture's own feature).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class TowerReading:
    """One picture batch through an image tower.

    levels     dense maps, fine to coarse, each float32 (B, C, h, w)
    pooled_BD  the picture's own feature, float32
    """

    levels: tuple[Tensor, ...]
    pooled_BD: Tensor


class ImageTower(Protocol):
    """What RegionClip needs of an image tower."""

    level_channels: tuple[int, ...]
    pooled_dim: int
    stem_is_frozen: bool  # whether early maps may be cached in training
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """Early maps of normalised pictures."""
        ...

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """Dense levels and the pooled feature from early maps."""
        ...
