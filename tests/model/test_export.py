"""A plain RegionClip leaves as an open_clip folder and gives the same vectors there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import regionmed
from regionmed.errors import CheckpointError
from regionmed.model.config import TINY
from regionmed.model.export import export_open_clip
from regionmed.model.region_clip import RegionClip

TEXTS = ["a nodule", "", "No focal consolidation; the left lung (upper lobe) is clear.", "x " * 200]


@pytest.fixture(scope="module")
def plain() -> RegionClip:
    """Projections of random weights and of biases that are far from 0."""
    torch.manual_seed(7)
    model = RegionClip(replace(TINY, image_size=96, detail=1, regions="none"))
    for projection in (model.image_projection, model.text_projection):
        torch.nn.init.normal_(projection.bias, std=0.1)
    return model


@pytest.fixture(scope="module")
def exported(plain: RegionClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_open_clip(plain, tmp_path_factory.mktemp("exports") / "plain")


@pytest.mark.usefixtures("no_sockets")
def test_open_clip_alone_gives_the_same_vectors(plain: RegionClip, exported: Path) -> None:
    clip = open_clip.create_model(f"local-dir:{exported}", require_pretrained=True).eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{exported}")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        normal = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
        images = clip.encode_image(normal, normalize=True).numpy()
        texts = clip.encode_text(tokenizer(TEXTS), normalize=True).numpy()
    assert np.abs(plain.embed(pixels).images - images).max() < 1e-5
    assert np.abs(plain.encode_text(TEXTS) - texts).max() < 1e-5
    assert clip.logit_scale.item() == pytest.approx(plain.log_scale.item())


def test_the_bias_and_the_length_are_in_the_folder_and_not_dropped(
    plain: RegionClip, exported: Path
) -> None:
    """Without the added layer, the way open_clip would do it, the vectors differ by far more."""
    features = plain.text_features(TEXTS)
    with torch.no_grad():
        no_bias = torch.nn.functional.normalize(features @ plain.text_projection.weight.T, dim=-1)
    assert np.abs(no_bias.numpy() - plain.encode_text(TEXTS)).max() > 0.01
    assert json.loads((exported / "config.json").read_text())["num_hidden_layers"] == 7


def test_open_clips_own_preprocessing_places_a_picture_as_regionmed_does(
    plain: RegionClip, exported: Path
) -> None:
    smooth = np.random.default_rng(2).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(smooth).resize((300, 200), Image.Resampling.BICUBIC)
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{exported}")
    with torch.no_grad():
        theirs = clip.eval().encode_image(preprocess(picture)[None], normalize=True).numpy()
    assert (plain.encode_image([picture]) * theirs).sum() > 0.999


@pytest.mark.usefixtures("no_sockets")
def test_a_folder_that_was_moved_is_still_scored(
    plain: RegionClip, exported: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(exported, moved)
    settings = json.loads((moved / "open_clip_config.json").read_text())
    settings["model_cfg"]["text_cfg"]["hf_model_name"] = "no-such/place"
    (moved / "open_clip_config.json").write_text(json.dumps(settings))
    model = regionmed.load(f"open_clip:{moved}")
    pixels = np.random.default_rng(3).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    assert np.abs(model.embed(pixels).images - plain.embed(pixels).images).max() < 1e-5
    assert np.abs(model.encode_text(TEXTS) - plain.encode_text(TEXTS)).max() < 1e-5
    assert model.training_pictures is None


def test_what_open_clip_cannot_hold_is_refused(
    plain: RegionClip, exported: Path, untrained_model: RegionClip, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="only a plain CLIP of lite0 and minilm"):
        export_open_clip(untrained_model, tmp_path / "grown")
    with pytest.raises(CheckpointError, match="exists; an export is written to a new folder"):
        export_open_clip(plain, exported)
    norm = plain.text_tower.net.encoder.layer[-1].output.LayerNorm
    before = norm.bias.detach().clone()
    try:
        norm.bias.data += 0.01
        with pytest.raises(CheckpointError, match="no feature that is always 0"):
            export_open_clip(plain, tmp_path / "loud")
    finally:
        norm.bias.data = before
    assert not list(tmp_path.iterdir())
