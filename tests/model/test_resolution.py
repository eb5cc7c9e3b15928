"""Towers read other sizes than their own: positions are resampled, their own size is exact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regionmed.model.config import ModelConfig
from regionmed.model.timm_tower import load_timm
from regionmed.model.tower import ImageTower
from regionmed.model.towers import build_towers

# 96 and 128 are to 64 what 336 and 448 are to 224
KINDS = [
    "open_clip vit", "open_clip convnext", "open_clip siglip", "biomedclip",
    "transformers clip", "transformers siglip", "timm test_vit", "timm test_resnet",
]  # fmt: skip


def tower_at(name: str, size: int) -> ImageTower:
    if name.startswith("timm:"):
        return load_timm(name.removeprefix("timm:"), size)
    return build_towers(ModelConfig(image_tower=name, text_tower=name, image_size=size))[0]


def smooth_picture(size: int) -> Tensor:
    """The same slow waves at any number of pixels a side: float32 (1, 3, size, size)."""
    place = (torch.arange(size) + 0.5) / size
    red = torch.sin(5 * place)[:, None] * torch.cos(4 * place)
    green = torch.cos(6 * place)[:, None] * torch.cos(3 * place)
    return torch.stack((red, green, red * green))[None]


@torch.no_grad()
@pytest.mark.parametrize("tower_name", KINDS, indirect=True)
def test_a_towers_own_size_is_exact_and_others_give_similar_vectors(tower_name: str):
    tower = tower_at(tower_name, 0)
    size = tower.image_size
    reading = tower.trunk(tower.stem(smooth_picture(size)))
    same = tower_at(tower_name, size).trunk(smooth_picture(size))
    assert torch.equal(reading.pooled_BD, same.pooled_BD)
    for larger in {64: (96, 128), 160: (224, 320)}[size]:
        grown = tower_at(tower_name, larger)
        assert grown.image_size == larger
        read = grown.trunk(smooth_picture(larger))
        assert [level.shape[-1] * size for level in read.levels] == [
            level.shape[-1] * larger for level in reading.levels
        ]
        # random weights, whose positions weigh more than those of a trained tower
        assert torch.cosine_similarity(read.pooled_BD, reading.pooled_BD).item() > 0.8
