"""Open_clip models by name or folder; a folder answers for itself and never asks the hub.

A folder holds open_clip_config.json, a file of weights and, where the text tower is a Hugging Face
model, its tokenizer's files. BiomedCLIP's layout names that text model by its hub name and leaves
its config.json out; here the config is taken, in this order, from

    config.json in the folder (of a text model that open_clip knows)
    the folder that `hf_model_name` points to
    the tensors themselves, where they are those of a BERT whose number of heads is known
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
from open_clip.factory import load_state_dict
from open_clip.hf_configs import arch_dict
from torch import Tensor

from regionmed.errors import CheckpointError
from regionmed.model.pretrained import REFUSALS, first_line, need_finite, need_tokenizer

CONFIG = "open_clip_config.json"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth")
_HEADS = {768: 12, 1024: 16}  # of BERT base and large, by width: the shapes do not tell them
_TEXT = "text.transformer."


def load_open_clip(name: str, image_size: int = 0) -> tuple[Any, Any]:
    """An open_clip model in evaluation mode and its tokenizer.

    name        a folder, "hf-hub:ORG/REPO", or NAME or NAME/TAG as open_clip lists them
    image_size  pixels a side of what the model will see; 0: its own. For another size than its own
                open_clip resamples the position embeddings.

    CheckpointError names the file that a folder lacks, or says what open_clip could not do.
    """
    if Path(name).is_dir():
        clip, tokenizer = _load_folder(Path(name), image_size)
        need_finite(clip, name)
        return clip.eval(), tokenizer
    arguments = _published(name)
    try:
        clip = open_clip.create_model(**arguments, force_image_size=image_size or None)
        tokenizer = open_clip.get_tokenizer(arguments["model_name"])
    except REFUSALS as error:
        raise CheckpointError(
            f"open_clip cannot load '{name}'{_at(image_size)} ({type(error).__name__}); its "
            f"weights must lie in the local cache or in a folder with {CONFIG}, or the hub must be "
            "reachable"
        ) from error
    return clip.eval(), tokenizer


def _at(image_size: int) -> str:
    return f" at {image_size} pixels" if image_size else ""


def _published(name: str) -> dict[str, Any]:
    # A NAME without a tag takes its first published weights: a model is never left untrained.
    if name.startswith("hf-hub:"):
        return {"model_name": name}
    model, _, tag = name.partition("/")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not tags or (tag and tag not in tags):
        raise CheckpointError(
            f"open_clip has no weights '{name}'; give one of open_clip.list_pretrained() as "
            f"NAME/TAG, hf-hub:ORG/REPO, or a folder with {CONFIG}"
        )
    return {"model_name": model, "pretrained": tag or tags[0]}


def _load_folder(folder: Path, image_size: int) -> tuple[Any, Any]:
    text_cfg = _text_settings(folder)
    weights = _weights(folder)
    local, size = f"local-dir:{folder}", image_size or None
    if text_cfg.get("hf_tokenizer_name"):
        need_tokenizer(folder)
    try:
        tokenizer = open_clip.get_tokenizer(local)
        if not text_cfg.get("hf_model_name"):
            return open_clip.create_model(local, force_image_size=size), tokenizer
        with tempfile.TemporaryDirectory() as aside:
            source = _config_folder(folder, text_cfg["hf_model_name"])
            if source is None:
                config = _bert_config(load_state_dict(str(weights)), tokenizer, folder, text_cfg)
                source = Path(aside)
                (source / "config.json").write_text(json.dumps(config))
            own = {**text_cfg, "hf_model_name": str(source), "hf_model_pretrained": False}
            clip = open_clip.create_model(local, text_cfg=own, force_image_size=size)
            return clip, tokenizer
    except REFUSALS as error:
        raise CheckpointError(
            f"open_clip cannot load the folder {folder}{_at(image_size)} ({first_line(error)}); "
            f"its {CONFIG}, {weights.name} and tokenizer files must be of one model"
        ) from error


def _text_settings(folder: Path) -> dict[str, Any]:
    try:
        stored = json.loads((folder / CONFIG).read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder} has no {CONFIG}; give the folder of an open_clip model, with its weights"
        ) from None
    except ValueError as error:
        raise CheckpointError(f"{folder}: {CONFIG} is no JSON ({error})") from error
    model_cfg = stored.get("model_cfg") if isinstance(stored, dict) else None
    if not isinstance(model_cfg, dict) or not isinstance(model_cfg.get("text_cfg"), dict):
        raise CheckpointError(f"{folder}: {CONFIG} has no model_cfg with a text_cfg")
    return dict(model_cfg["text_cfg"])


def _weights(folder: Path) -> Path:
    found = sorted(file for pattern in _WEIGHTS for file in folder.glob(pattern))
    if not found:  # open_clip would go on with random numbers
        raise CheckpointError(
            f"{folder} has no weights: put open_clip_model.safetensors or "
            f"open_clip_pytorch_model.bin beside {CONFIG}"
        )
    return min(
        found, key=lambda file: (not file.name.startswith("open_clip"), file.suffix == ".bin")
    )


def _config_folder(folder: Path, hf_model_name: str) -> Path | None:
    for place in (folder, folder / hf_model_name):
        if (place / "config.json").is_file():
            config = json.loads((place / "config.json").read_text("utf-8"))
            if isinstance(config, dict) and config.get("model_type") in arch_dict:
                return place
    return None


def _bert_config(
    tensors: Mapping[str, Tensor], tokenizer: Any, folder: Path, text_cfg: Mapping[str, Any]
) -> dict[str, Any]:
    """What the shapes of a BERT's tensors tell, as its config.json would say it."""

    def rows(name: str) -> int:
        tensor = tensors.get(f"{_TEXT}{name}.weight")
        return 0 if tensor is None else tensor.shape[0]

    words = tensors.get(f"{_TEXT}embeddings.word_embeddings.weight")
    width = 0 if words is None else words.shape[1]
    # RoBERTa's names are the same, but it has one kind of token where BERT has two
    if rows("embeddings.token_type_embeddings") != 2 or width not in _HEADS:
        raise CheckpointError(
            f"{folder} has no config.json of its text tower, and its tensors do not tell it (only "
            "a BERT of 768 or 1024 numbers tells); put the config.json of "
            f"'{text_cfg['hf_model_name']}' beside {CONFIG}"
        )
    layers = 0
    while rows(f"encoder.layer.{layers}.intermediate.dense"):
        layers += 1
    return {
        "model_type": "bert",
        "vocab_size": rows("embeddings.word_embeddings"),
        "hidden_size": width,
        "num_attention_heads": _HEADS[width],
        "num_hidden_layers": layers,
        "intermediate_size": rows("encoder.layer.0.intermediate.dense"),
        "max_position_embeddings": rows("embeddings.position_embeddings"),
        "type_vocab_size": 2,
        "pad_token_id": tokenizer.tokenizer.pad_token_id,
    }
