"""A transformers CLIP or SigLIP in a folder gives its own vectors, without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
    SiglipModel,
)

import regionmed
from regionmed.batches.cache import place_picture
from regionmed.errors import CheckpointError, RecipeError
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip

TEXTS = ["a nodule", "no nodule in the left lung", "a nodule " * 40]  # the last is cut


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def as_unit_rows(features: object) -> np.ndarray:
    """What get_image_features gives: the tensor itself before transformers 5, an output since."""
    rows = features if isinstance(features, torch.Tensor) else features.pooler_output
    return torch.nn.functional.normalize(rows, dim=-1).numpy()


def placed_pixels(picture: Image.Image) -> np.ndarray:
    return place_picture(picture, 64)[0]


@pytest.mark.usefixtures("no_sockets")
def test_a_clip_gives_the_vectors_of_transformers_itself(
    clip: tuple[Path, CLIPModel], picture: Image.Image
) -> None:
    folder, original = clip
    model = regionmed.load(f"transformers:{folder}")
    processor = CLIPImageProcessor.from_pretrained(folder)
    pixels = processor(Image.fromarray(placed_pixels(picture)), return_tensors="pt")
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt"
    )
    with torch.no_grad():
        images = as_unit_rows(original.get_image_features(pixels["pixel_values"]))
        texts = as_unit_rows(
            original.get_text_features(tokens["input_ids"], tokens["attention_mask"])
        )
    assert model.image_size == 64
    assert np.abs(model.encode_image([picture]) - images).max() < 1e-5
    assert np.abs(model.encode_text(TEXTS) - texts).max() < 1e-5


@pytest.mark.usefixtures("no_sockets")
def test_a_siglip_reads_padded_texts_as_transformers_does(
    siglip: tuple[Path, SiglipModel], picture: Image.Image
) -> None:
    folder, original = siglip
    model = regionmed.load(f"transformers:{folder}")
    processor = SiglipImageProcessor.from_pretrained(folder)
    pixels = processor(Image.fromarray(placed_pixels(picture)), return_tensors="pt")
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)(
        TEXTS, padding="max_length", truncation=True, max_length=16, return_tensors="pt"
    )
    with torch.no_grad():
        images = as_unit_rows(original.get_image_features(pixels["pixel_values"]))
        texts = as_unit_rows(original.get_text_features(tokens["input_ids"]))
    assert np.abs(model.encode_image([picture]) - images).max() < 1e-5
    assert np.abs(model.encode_text(TEXTS) - texts).max() < 1e-5
    assert model.encode_text(["a nodule"])[0] == pytest.approx(texts[0], abs=1e-5)


def test_a_region_of_a_transformers_clip_is_its_crop(
    clip: tuple[Path, CLIPModel], picture: Image.Image
) -> None:
    model = regionmed.load(f"transformers:{clip[0]}")
    # the letterboxed 64 x 40 picture lies 12 pixels down, at its own size; a crop shows 1.2 times
    # the box: 20 x 30 around (20, 32) becomes 24 x 36
    placed = Image.fromarray(placed_pixels(picture))
    crop = placed.resize((64, 64), Image.Resampling.BICUBIC, box=(8, 14, 32, 50))
    region = model.encode_regions(picture, np.array([[10, 5, 30, 35]]))
    assert np.abs(region - model.encode_image([crop])).max() < 1e-5


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_regions_can_be_trained_on_its_patches(
    request: pytest.FixtureRequest, picture: Image.Image, kind: str
) -> None:
    folder, original = request.getfixturevalue(kind)
    name = f"transformers:{folder}"
    grown = RegionClip(ModelConfig(image_tower=name, text_tower=name))
    assert grown.image_tower.level_channels == (32, 32)
    moved = grown.encode_image([picture], [np.array([[5.0, 5.0, 30.0, 20.0]])])
    assert np.abs(moved - regionmed.load(name).encode_image([picture])).max() < 1e-6
    # row 1, column 2 of the last map is patch 1 * 4 + 2 of what transformers calls its last state
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        states = original.vision_model(pixels, output_hidden_states=True).hidden_states[-1]
        last = grown.image_tower.trunk(pixels).levels[-1]
    class_tokens = 1 if kind == "clip" else 0
    assert torch.equal(last[0, :, 1, 2], states[0, class_tokens + 6])


def test_the_same_weights_have_the_same_fingerprint(clip: tuple[Path, CLIPModel]) -> None:
    name = f"transformers:{clip[0]}"
    assert regionmed.load(name).fingerprint == regionmed.load(name).fingerprint != ""


def _alter(folder: Path, what: str) -> None:
    if what.startswith("no "):
        (folder / what.removeprefix("no ")).unlink()
    elif what == "truncated":
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    elif what == "tensor":
        tensors = load_file(folder / "model.safetensors")
        del tensors["visual_projection.weight"]
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    else:
        file, key, value = {
            "bert": ("config.json", "model_type", "bert"),
            "size": ("preprocessor_config.json", "crop_size", {"height": 32, "width": 32}),
            "scale": ("preprocessor_config.json", "rescale_factor", 1.0),
            "null": ("preprocessor_config.json", "rescale_factor", None),
        }[what]
        settings = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**settings, key: value}))


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no config.json", "has no config.json"),
        ("no preprocessor_config.json", "has no preprocessor_config.json"),
        ("no model.safetensors", "transformers cannot load"),
        ("no tokenizer.json", "no tokenizer of its text tower: it needs tokenizer.json"),
        ("bert", "is a BertModel"),
        ("tensor", "lack 1 tensors of its config.json, 'visual_projection.weight'"),
        ("size", r"makes pictures of \[32\] pixels, config.json expects 64"),
        ("truncated", "transformers cannot load .*SafetensorError"),
        ("null", r"does not bring pixels to 0..1 \(rescale_factor None\)"),
        ("scale", "does not bring pixels to 0..1"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_in_one_sentence(
    clip: tuple[Path, CLIPModel], tmp_path: Path, what: str, message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(clip[0], folder)
    _alter(folder, what)
    with pytest.raises(CheckpointError, match=message):
        regionmed.load(f"transformers:{folder}")


def test_one_transformers_tower_alone_is_no_model() -> None:
    with pytest.raises(RecipeError, match="gives both towers or none"):
        ModelConfig(image_tower="transformers:somewhere", text_tower="minilm")
