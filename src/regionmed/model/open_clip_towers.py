"""The two towers of an open_clip model.

B images · C H W channels, rows, columns · N texts · E embedding
"""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from regionmed.model.tower import Groups, TowerReading, dense_depths, in_blocks


class OpenClipTower(nn.Module):
    """Any open_clip model (both its sides); dense levels are two or three depths of its trunk.

    Its mode never changes: no dropout, and BatchNorm keeps its stored statistics in training too.
    """

    stem_is_frozen = False
    joint = True

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip
        preprocess = getattr(self.clip.visual, "preprocess_cfg", {})
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        size: Any = self.clip.visual.image_size
        self.image_size: int = int(size[0] if isinstance(size, (tuple, list)) else size)
        black_BCHW = torch.zeros(1, 3, self.image_size, self.image_size)
        with torch.no_grad():
            every = self._read(black_BCHW, None)["image_intermediates"]
            self._depths = dense_depths([level.shape[-1] for level in every])
            probe = self.trunk(black_BCHW)
        self.level_channels = tuple(level.shape[1] for level in probe.levels)
        self.pooled_dim = probe.pooled_BD.shape[1]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """The pictures themselves: this tower is read in one leg."""
        return images_BCHW

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """Some depths of the trunk, fine to coarse, and the (projected) CLIP embedding."""
        read = self._read(early_BCHW, self._depths)
        return TowerReading(tuple(read["image_intermediates"]), read["image_features"])

    def _read(self, images_BCHW: Tensor, depths: list[int] | None) -> dict[str, Any]:
        return self.clip.visual.forward_intermediates(
            images_BCHW, indices=depths, output_fmt="NCHW"
        )

    def groups(self) -> Groups:
        """Its image side as trunk and its text side as text; its own temperature stays as it is."""
        names = [name for name, _ in self.named_parameters() if "clip.logit_" not in name]
        visual = [name for name in names if name.startswith("clip.visual.")]
        return {
            "trunk": in_blocks(visual),
            "text": in_blocks(name for name in names if not name.startswith("clip.visual.")),
        }

    def train(self, mode: bool = True) -> OpenClipTower:
        """Stays in evaluation mode."""
        return super().train(False)


class OpenClipText(nn.Module):
    """The text side of an open_clip model, by its own tokenizer; its weights stay in the tower."""

    def __init__(self, tower: OpenClipTower, tokenizer: Any) -> None:
        super().__init__()
        self._tower = (tower,)  # in a tuple: not registered, so the weights are stored once
        self.tokenizer = tokenizer
        self.width = tower.pooled_dim

    def groups(self) -> Groups:
        """None of its own: they are the tower's."""
        return {}

    def forward(self, texts: list[str]) -> Tensor:
        """float32 (N, E), not yet of length 1."""
        clip = self._tower[0].clip
        return clip.encode_text(self.tokenizer(texts).to(next(clip.parameters()).device))
