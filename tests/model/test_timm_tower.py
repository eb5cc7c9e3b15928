"""Any network of timm gives what timm says of it, and dense maps, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import regionmed
from regionmed.errors import CheckpointError
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip
from regionmed.model.timm_tower import load_timm

Models = Callable[[str], tuple[Path, Any]]


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("test_resnet", (20, 10, 5)),
        ("test_convnext", (20, 10, 5)),
        ("test_efficientnet", (20, 10, 5)),
        ("test_vit", (10, 10)),
        ("test_vit3", (10, 10)),  # no class token, attention pooling
    ],
)
def test_a_folder_of_timm_gives_its_features_and_maps_fine_to_coarse(
    timm_model: Models, name: str, sides: tuple[int, ...]
):
    folder, net = timm_model(name)
    tower = load_timm(str(folder))
    assert tower.image_size == 160
    assert (tower.mean, tower.std) == (net.pretrained_cfg["mean"], net.pretrained_cfg["std"])
    pixels = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        reading = tower.trunk(tower.stem(pixels))
        own = net.forward_head(net.forward_features(pixels), pre_logits=True)
    assert torch.allclose(reading.pooled_BD, own, atol=1e-5)
    assert tuple(level.shape[-1] for level in reading.levels) == sides
    assert tuple(level.shape[1] for level in reading.levels) == tower.level_channels


def test_the_last_map_of_a_vit_holds_its_patches_row_by_row(timm_model: Models):
    folder, net = timm_model("test_vit")
    pixels = torch.rand(1, 3, 160, 160)
    kept = []
    handle = net.blocks[-1].register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.no_grad():
        net(pixels)
        last = load_timm(str(folder)).trunk(pixels).levels[-1]
    handle.remove()
    # row 2, column 3 of ten, behind one class token
    assert torch.allclose(last[0, :, 2, 3], kept[0][0, 1 + 23], atol=1e-5)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_name_with_a_file_of_weights_is_the_same_tower(timm_model: Models, file: str):
    folder, _ = timm_model("test_resnet")
    pixels = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        of_folder = load_timm(str(folder)).trunk(pixels).pooled_BD
        of_file = load_timm(f"test_resnet={folder / file}").trunk(pixels).pooled_BD
    assert torch.equal(of_folder, of_file)


def test_statistics_of_a_cnn_stay_as_they_came_in_training(timm_model: Models):
    tower = load_timm(str(timm_model("test_resnet")[0])).train()
    before = {name: tensor.clone() for name, tensor in tower.named_buffers()}
    tower.trunk(torch.rand(2, 3, 160, 160)).pooled_BD.sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in tower.named_buffers())
    assert tower.net.conv1[0].weight.grad is not None


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_timm_tower_beside_minilm_reads_regions_and_texts(timm_model: Models, name: str):
    model = RegionClip(ModelConfig(image_tower=f"timm:{timm_model(name)[0]}", embedding_dim=32))
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    boxes = np.array([[10.0, 10.0, 50.0, 40.0]])
    regions = model.encode_regions(picture, boxes)
    assert model.image_size == 160
    assert regions.shape == model.encode_text(["a nodule"]).shape == (1, 32)
    assert np.linalg.norm(regions) == pytest.approx(1, abs=1e-5)
    # before the first step a region moves nothing
    moved = model.encode_image([picture], [boxes])
    assert np.abs(moved - model.encode_image([picture])).max() < 1e-6


def test_a_name_whose_weights_are_not_here_says_so_offline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"is HF_HUB_OFFLINE set\?") as refusal:
        load_timm("resnet10t.c3_in1k")
    assert "\n" not in str(refusal.value)


def test_an_image_tower_alone_is_no_model(timm_model: Models):
    with pytest.raises(CheckpointError, match="an image tower alone, which knows no texts"):
        regionmed.load(f"timm:{timm_model('test_vit')[0]}")
