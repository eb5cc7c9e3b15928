"""An open_clip folder in BiomedCLIP's layout answers for itself: no network, no guess."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import regionmed
from regionmed.batches.cache import place_picture
from regionmed.errors import CheckpointError

TEXTS = ["a nodule", "no nodule, left lung", "nodule " * 400]  # the last is cut at 256
MEAN, STD = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)


def assert_equal_vectors(folder: Path, clip: Any) -> None:
    """Of a picture and of texts, to 1e-5."""
    model = regionmed.load(f"open_clip:{folder}")
    pixels = np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    placed = torch.from_numpy(place_picture(Image.fromarray(pixels), 160)[0]) / 255
    normal = ((placed - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)[None]
    with torch.no_grad():
        images = clip.encode_image(normal, normalize=True).numpy()
        texts = clip.encode_text(clip.tokenizer(TEXTS), normalize=True).numpy()
    assert model.image_size == 160
    assert np.abs(model.encode_image([Image.fromarray(pixels)]) - images).max() < 1e-5
    assert np.abs(model.encode_text(TEXTS) - texts).max() < 1e-5


@pytest.mark.usefixtures("no_sockets")
def test_biomedclips_layout_loads_and_the_shapes_tell_its_text_model(
    biomedclip: tuple[Path, Any],
) -> None:
    folder, clip = biomedclip
    assert not (folder / "config.json").exists()
    assert "microsoft/" in (folder / "open_clip_config.json").read_text()
    assert_equal_vectors(folder, clip)


@pytest.mark.usefixtures("no_sockets")
def test_a_weights_file_of_an_older_transformers_loads_too(
    biomedclip: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, clip = biomedclip
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    tensors = torch.load(older / "open_clip_pytorch_model.bin", weights_only=True)
    tensors["text.transformer.embeddings.position_ids"] = torch.arange(256)[None]
    torch.save(tensors, older / "open_clip_pytorch_model.bin")
    assert_equal_vectors(older, clip)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("beside", ["in the folder", "in a folder of its own"])
def test_a_config_of_the_text_model_is_taken_from_where_it_lies(
    narrow: tuple[Path, Any], tmp_path: Path, beside: str
) -> None:
    folder, clip = narrow
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    config = folder.with_name("narrow-text") / "config.json"
    if beside == "in the folder":
        shutil.copy(config, copy)
    else:  # people point hf_model_name to a folder on their disk
        (copy / "text").mkdir()
        shutil.copy(config, copy / "text")
        settings = json.loads((copy / "open_clip_config.json").read_text())
        settings["model_cfg"]["text_cfg"]["hf_model_name"] = "text"
        (copy / "open_clip_config.json").write_text(json.dumps(settings))
    assert_equal_vectors(copy, clip)


def _spoil(folder: Path, what: str) -> None:
    config, weights = folder / "open_clip_config.json", folder / "open_clip_pytorch_model.bin"
    if what == "vocabulary":
        for file in (*folder.glob("vocab*"), *folder.glob("tokenizer.json")):
            file.unlink()
    elif what == "config":
        config.unlink()
    elif what == "weights":
        weights.unlink()
    elif what == "json":
        config.write_text("{")
    elif what == "empty":
        config.write_text("{}")
    elif what == "pickle":
        torch.save({"a": Path("x")}, weights)
    elif what == "other":
        torch.save({"visual.head.proj.weight": torch.zeros(2, 2)}, weights)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("vocabulary", "it needs tokenizer.json"),
        ("config", "has no open_clip_config.json"),
        ("weights", "put open_clip_model.safetensors or open_clip_pytorch_model.bin beside"),
        ("json", "is no JSON"),
        ("empty", "has no model_cfg with a text_cfg"),
        ("pickle", "cannot load the folder"),
        ("other", "has no config.json of its text tower"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_in_one_sentence(
    biomedclip: tuple[Path, Any], tmp_path: Path, what: str, message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(biomedclip[0], folder)
    _spoil(folder, what)
    with pytest.raises(CheckpointError, match=message):
        regionmed.load(f"open_clip:{folder}")


@pytest.mark.usefixtures("no_sockets")
def test_heads_that_no_shape_tells_are_asked_for_and_not_guessed(
    narrow: tuple[Path, Any],
) -> None:
    with pytest.raises(CheckpointError, match=r"put the config.json of 'microsoft/.*' beside"):
        regionmed.load(f"open_clip:{narrow[0]}")
