"""An open_clip folder in BiomedCLIP's layout answers for itself: no network, no guess."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.push_to_hf_hub import save_for_hf
from PIL import Image
from transformers import BertConfig, BertTokenizerFast

import regionmed
from regionmed.batches.cache import place_picture
from regionmed.errors import CheckpointError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "no", "nodule", "lung", "left"]
TEXTS = ["a nodule", "no nodule, left lung", "nodule " * 400]  # the last is cut at 256
MEAN, STD = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)


def write_biomedclip(folder: Path, text_config: BertConfig) -> Any:
    """A small model of BiomedCLIP's kind, written by open_clip itself; the model, for comparison.

    open_clip is shown the text model's config in a folder; what it writes names the hub, as
    BiomedCLIP does, and has no config.json.
    """
    torch.manual_seed(6)
    shown = folder.with_name(f"{folder.name}-text")
    text_config.save_pretrained(shown)
    (shown / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(shown / "vocab.txt")).save_pretrained(shown)
    settings: dict[str, Any] = {
        "embed_dim": 24,
        "vision_cfg": {
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 160,
        },
        "text_cfg": {
            "hf_model_name": str(shown),
            "hf_model_pretrained": False,
            "hf_tokenizer_name": str(shown),
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 256,
        },
    }
    clip = open_clip.CustomTextCLIP(**settings)
    open_clip.set_model_preprocess_cfg(
        clip, {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    )
    tokenizer = open_clip.tokenizer.HFTokenizer(str(shown), context_length=256)
    hub = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    named = {**settings["text_cfg"], "hf_model_name": hub, "hf_tokenizer_name": hub}
    save_for_hf(clip, tokenizer, {**settings, "text_cfg": named}, str(folder))
    (folder / "open_clip_model.safetensors").unlink()  # BiomedCLIP's weights are a .bin
    clip.tokenizer = tokenizer
    return clip.eval()


@pytest.fixture(scope="module")
def biomedclip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """As wide as BERT base, but of one shallow layer."""
    folder = tmp_path_factory.mktemp("models") / "biomedclip"
    config = BertConfig(
        vocab_size=10, hidden_size=768, num_attention_heads=12, num_hidden_layers=1,
        intermediate_size=32, max_position_embeddings=256,
    )  # fmt: skip
    return folder, write_biomedclip(folder, config)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A BERT whose shapes do not tell its heads, nor that its activation is a ReLU."""
    folder = tmp_path_factory.mktemp("models") / "narrow"
    config = BertConfig(
        vocab_size=10, hidden_size=32, num_attention_heads=8, num_hidden_layers=2,
        intermediate_size=48, max_position_embeddings=256, hidden_act="relu",
    )  # fmt: skip
    return folder, write_biomedclip(folder, config)


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
