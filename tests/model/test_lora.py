"""Adapters learn in place of a large tower's weights, are all that is stored, and merge on load."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import regionmed
from regionmed.errors import CheckpointError, RecipeError, UsageError
from regionmed.model.checkpoint import save_model
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip
from regionmed.model.tower import part_of

TEXTS = ["a nodule", "no nodule in the left lung"]


def adapted(name: str) -> RegionClip:
    text = "minilm" if name.startswith("timm:") else name
    torch.manual_seed(2)
    return RegionClip(ModelConfig(image_tower=name, text_tower=text, lora=2, embedding_dim=16))


def pixels_for(model: RegionClip) -> np.ndarray:
    side = model.image_size
    return np.random.default_rng(3).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


def learn(model: RegionClip) -> None:
    """Three steps of gradient on whatever the parts trunk and text offer."""
    moving = [*part_of(model, "trunk").values(), *part_of(model, "text").values()]
    model.requires_grad_(False)
    for parameter in moving:
        parameter.requires_grad_(True)
    optimizer = torch.optim.SGD(moving, lr=0.5)
    images = torch.from_numpy(pixels_for(model)).permute(0, 3, 1, 2)
    for _ in range(3):
        seen = model.read_early(model.stem(images)).images_BE
        said = model.project_texts(model.text_features(TEXTS))
        optimizer.zero_grad()
        ((seen * said).sum() + seen[0, 0]).backward()
        optimizer.step()


KINDS = ["timm test_vit", "open_clip vit", "biomedclip", "transformers siglip"]


@pytest.mark.parametrize("tower_name", KINDS, indirect=True)
def test_only_adapters_learn_and_a_stored_model_merges_to_the_same(tower_name: str, tmp_path: Path):
    model = adapted(tower_name)
    plain = RegionClip(
        ModelConfig(image_tower=tower_name, text_tower=model.config.text_tower, embedding_dim=16)
    )
    pixels = pixels_for(model)
    plain.load_state_dict(
        {n: t for n, t in model.state_dict().items() if "_projection" in n}, strict=False
    )
    # B is 0 at first: the tower is what it was
    start = model.embed(pixels).images
    assert np.abs(start - plain.embed(pixels).images).max() < 1e-6
    base = {n: t.clone() for n, t in model.state_dict().items() if "lora_" not in n}
    learn(model)
    for part in ("trunk", "text"):
        moved = part_of(model, part)
        assert moved
        assert all("lora_" in name for name in moved)
        assert all(p.abs().sum() > 0 for name, p in moved.items() if "lora_B" in name)
    after = model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in base.items())
    images, texts = model.embed(pixels).images, model.encode_text(TEXTS)
    assert np.abs(images - start).max() > 1e-3
    folder = save_model(model, tmp_path / "model", {})
    with safe_open(folder / "weights.safetensors", "pt") as stored:
        own = [name for name in stored.keys() if "_tower." in name]  # noqa: SIM118
    assert own
    assert all("lora_" in name for name in own)
    loaded = regionmed.load(folder)
    assert np.abs(loaded.embed(pixels).images - images).max() < 1e-5
    assert np.abs(loaded.encode_text(TEXTS) - texts).max() < 1e-5
    # what was loaded and merged is stored as it was before
    again = regionmed.load(save_model(loaded, tmp_path / "again", {}))
    assert again.fingerprint == loaded.fingerprint


def test_adapters_beside_other_weights_are_refused(
    timm_model: Callable[[str], tuple[Path, Any]], tmp_path: Path
):
    source = tmp_path / "vit"
    shutil.copytree(timm_model("test_vit")[0], source)
    folder = save_model(adapted(f"timm:{source}"), tmp_path / "model", {})
    from safetensors.torch import load_file, save_file

    tensors = load_file(source / "model.safetensors")
    tensors["pos_embed"][0, 0, 0] += 1
    save_file(tensors, source / "model.safetensors")
    with pytest.raises(CheckpointError, match="trained beside other weights"):
        regionmed.load(folder)


def test_a_cnn_without_linear_layers_takes_no_adapters(
    timm_model: Callable[[str], tuple[Path, Any]],
):
    with pytest.raises(RecipeError, match="TimmTower has no linear layers in its blocks"):
        adapted(f"timm:{timm_model('test_resnet')[0]}")


def test_without_peft_the_extra_is_named(
    timm_model: Callable[[str], tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r"regionmed\[lora\]"):
        adapted(f"timm:{timm_model('test_vit')[0]}")
