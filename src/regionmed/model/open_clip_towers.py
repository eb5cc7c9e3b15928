"""The two towers of an open_clip model.

B images · C H W channels, rows, columns · N texts · E embedding
"""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from regionmed.model.tower import TowerReading


class OpenClipTower(nn.Module):
    """Any open_clip model (both its sides); dense levels are two depths of its image trunk."""

    stem_is_frozen = False

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip
        preprocess = getattr(self.clip.visual, "preprocess_cfg", {})
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        size: Any = self.clip.visual.image_size
        self.image_size: int = int(size[0] if isinstance(size, (tuple, list)) else size)
        with torch.no_grad():
            probe = self.trunk(torch.zeros(1, 3, self.image_size, self.image_size))
        self.level_channels = tuple(level.shape[1] for level in probe.levels)
        self.pooled_dim = probe.pooled_BD.shape[1]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """The pictures themselves: this tower is read in one leg."""
        return images_BCHW

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """Two depths of the trunk, fine to coarse, and the (projected) CLIP embedding."""
        read = self.clip.visual.forward_intermediates(early_BCHW, indices=4, output_fmt="NCHW")
        maps = read["image_intermediates"]
        return TowerReading((maps[len(maps) // 2 - 1], maps[-1]), read["image_features"])


class OpenClipText(nn.Module):
    """The text side of an open_clip model, by its own tokenizer; its weights stay in the tower."""

    def __init__(self, tower: OpenClipTower, tokenizer: Any) -> None:
        super().__init__()
        self._tower = (tower,)  # in a tuple: not registered, so the weights are stored once
        self.tokenizer = tokenizer
        self.width = tower.pooled_dim

    def forward(self, texts: list[str]) -> Tensor:
        """float32 (N, E), not yet of length 1."""
        clip = self._tower[0].clip
        return clip.encode_text(self.tokenizer(texts).to(next(clip.parameters()).device))
