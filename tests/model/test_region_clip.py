"""Without regions it is the CLIP it grew from; at the door, places are file pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import regionmed
from regionmed.batches.cache import place_picture
from regionmed.errors import CheckpointError, FrameError
from regionmed.model.checkpoint import save_model
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip

SMALL_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 64, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint as open_clip itself writes it: open_clip_config.json and weights."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("clip")
    clip = open_clip.CLIP(**{**SMALL_CLIP, "quick_gelu": False})
    torch.save(clip.state_dict(), folder / "open_clip_pytorch_model.bin")
    config = {
        "model_cfg": SMALL_CLIP,
        "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_an_open_clip_folder_gives_the_vectors_of_open_clip_itself(
    clip_folder: Path, picture: Image.Image
) -> None:
    model = regionmed.load(f"open_clip:{clip_folder}")
    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{clip_folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{clip_folder}")
    placed = torch.from_numpy(place_picture(picture, 64)[0]).permute(2, 0, 1)[None] / 255
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    pixels = (placed - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    with torch.no_grad():
        images = clip.eval().encode_image(pixels, normalize=True).numpy()
        texts = clip.encode_text(tokenizer(["a nodule", "no nodule"]), normalize=True).numpy()
    assert np.abs(model.encode_image([picture]) - images).max() < 1e-6
    assert np.abs(model.encode_text(["a nodule", "no nodule"]) - texts).max() < 1e-6


def test_without_a_region_and_at_step_0_with_one_the_picture_is_the_plain_clips(
    clip_folder: Path, picture: Image.Image
) -> None:
    name = f"open_clip:{clip_folder}"
    plain = regionmed.load(name)
    grown = RegionClip(ModelConfig(image_tower=name, text_tower=name))
    expected = plain.encode_image([picture])
    assert np.abs(grown.encode_image([picture]) - expected).max() < 1e-6
    moved = grown.encode_image([picture], [np.array([[5.0, 5.0, 30.0, 20.0]])])
    assert np.abs(moved - expected).max() < 1e-6
    assert grown.encode_regions(picture, np.array([[5.0, 5.0, 30.0, 20.0]])).shape == (1, 32)


def test_the_tiny_models_picture_is_its_towers_projected(untrained_model: RegionClip) -> None:
    side = untrained_model.image_size  # twice what the tower sees
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    tower = untrained_model.image_tower.net
    halved = pixels.reshape(2, side // 2, 2, side // 2, 2, 3).mean((2, 4))
    normal = torch.from_numpy(halved).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        pooled = tower.bn2(tower.conv_head(tower.blocks(tower.bn1(tower.conv_stem(normal)))))
        plain = untrained_model.image_projection(pooled.mean((2, 3)))
    expected = torch.nn.functional.normalize(plain, dim=-1).numpy()
    assert np.abs(untrained_model.embed(pixels).images - expected).max() < 1e-5
    boxes = [np.array([[0.1, 0.1, 0.5, 0.5]], np.float32), np.zeros((0, 4), np.float32)]
    assert np.array_equal(
        untrained_model.embed(pixels, boxes).images, untrained_model.embed(pixels).images
    )


def test_the_door_and_the_harness_read_the_same_region(
    untrained_model: RegionClip, picture: Image.Image
) -> None:
    pixels, placement = place_picture(picture, untrained_model.image_size)
    x0, y0, x1, y1 = 8.0, 4.0, 40.0, 36.0
    unit = np.array([[x0, y0, x1, y1]]) * placement.x_scale
    unit = (
        unit + np.array([0, placement.y_shift, 0, placement.y_shift])
    ) / untrained_model.image_size
    inside = untrained_model.embed(pixels[None], [unit.astype(np.float32)])
    door = untrained_model.encode_regions(picture, np.array([[x0, y0, x1, y1]]))
    assert np.abs(door - inside.regions[0]).max() < 1e-5
    assert inside.gates[0].tolist() == [[1.0, 1.0]]


def test_one_many_and_no_regions_give_unit_rows(
    untrained_model: RegionClip, picture: Image.Image
) -> None:
    assert untrained_model.encode_regions(picture, np.zeros((0, 4))).shape == (0, 256)
    three = untrained_model.encode_regions(picture, np.array([[0, 0, 64, 40]] * 3))
    assert three.dtype == np.float32
    assert np.allclose(np.linalg.norm(three, axis=1), 1, atol=1e-6)
    assert untrained_model.encode_text([]).shape == (0, 256)


def test_a_box_past_the_picture_is_refused_in_file_pixels(
    untrained_model: RegionClip, picture: Image.Image
) -> None:
    with pytest.raises(FrameError, match=r"64 x 40 px"):
        untrained_model.encode_regions(picture, np.array([[10, 10, 300, 30]]))


def test_a_text_has_a_map_over_the_model_frame(untrained_model: RegionClip) -> None:
    pixels = np.zeros((2, 448, 448, 3), np.uint8)
    maps = untrained_model.heat(pixels, [["a nodule"], ["a disc", "a nodule"]])
    assert [rows.shape for rows in maps] == [(1, 28, 28), (2, 28, 28)]
    assert np.allclose(maps[0][0], maps[1][1], atol=1e-6)
    assert 0 < maps[0].min() <= maps[0].max() < 1


def test_a_saved_model_comes_back_as_it_was(untrained: Path, untrained_model: RegionClip) -> None:
    again = regionmed.load(untrained)
    assert again.fingerprint == untrained_model.fingerprint
    pixels = np.full((1, 224, 224, 3), 90, np.uint8)
    assert np.array_equal(again.embed(pixels).images, untrained_model.embed(pixels).images)
    names = {path.name for path in untrained.iterdir()}
    assert names == {"weights.safetensors", "config.json", "model.json"}


def _break(folder: Path, what: str) -> None:
    weights = folder / "weights.safetensors"
    if what == "tampered":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif what == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "foreign":
        torch.save({"a": torch.zeros(1)}, weights)
    elif what == "missing":
        weights.unlink()
    elif what == "config":
        (folder / "config.json").write_text('{"imagetower": "lite0"}')
    elif what == "list":
        (folder / "config.json").write_text("[]")
    elif what == "text":
        (folder / "config.json").write_text('{"image_size": "large"}')
    elif what == "other":
        (folder / "model.json").write_text('{"a": 1}')


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("tampered", "is not the file that model.json was written for"),
        ("cut", "damaged"),
        ("foreign", "damaged"),
        ("missing", "has no weights.safetensors"),
        ("config", "has no field imagetower"),
        ("list", "a JSON object, got list"),
        ("text", "image_size must be a whole number"),
        ("other", "not one that regionmed wrote"),
    ],
)
def test_a_broken_checkpoint_is_refused_in_one_sentence(
    untrained_model: RegionClip, tmp_path: Path, what: str, message: str
) -> None:
    folder = save_model(untrained_model, tmp_path / "model", {})
    _break(folder, what)
    with pytest.raises(regionmed.errors.RegionmedError, match=message):
        regionmed.load(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "not a finished run"),
        ("open_clip:no-such-model", "open_clip has no weights"),
    ],
)
def test_a_wrong_name_is_refused_in_one_sentence(name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        regionmed.load(name)
