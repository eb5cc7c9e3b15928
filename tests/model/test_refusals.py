"""A tampered or foreign checkpoint is refused in one sentence, and none of its code is run."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import regionmed
from regionmed.errors import CheckpointError
from regionmed.model.timm_tower import load_timm

WEIGHTS = {
    "regionmed": "weights.safetensors",
    "open_clip": "open_clip_model.safetensors",
    "transformers": "model.safetensors",
    "timm": "model.safetensors",
}
PICKLES = {
    "regionmed": "weights.safetensors",
    "open_clip": "open_clip_pytorch_model.bin",
    "transformers": "pytorch_model.bin",
    "timm": "pytorch_model.bin",
}
# a weight of each that training would move
KEYS = {
    "regionmed": "image_projection.weight",
    "open_clip": "visual.head.proj.weight",
    "transformers": "visual_projection.weight",
    "timm": "blocks.0.attn.qkv.weight",
}
# file, way to the entry, and a value that another model would have there
CONFIGS: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "regionmed": ("config.json", ("embedding_dim",), 128),
    "open_clip": ("open_clip_config.json", ("model_cfg", "embed_dim"), 48),
    "transformers": ("config.json", ("vision_config", "hidden_size"), 64),
    "timm": ("config.json", ("architecture",), "test_vit2"),
}


class Trap:
    """What a pickle of it does when it is opened: it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.trace), "w")


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a good checkpoint of one of the libraries."""
    library = request.getfixturevalue("library")
    if library == "regionmed":
        source: Path = request.getfixturevalue("untrained")
    elif library == "transformers":
        source = request.getfixturevalue("clip")[0]
    else:
        get: Callable[[str], tuple[Path, Any]] = request.getfixturevalue(f"{library}_model")
        source = get({"open_clip": "siglip", "timm": "test_vit"}[library])[0]
    return Path(shutil.copytree(source, tmp_path / "copy"))


def load(library: str, folder: Path) -> object:
    """The checkpoint as a user would load it."""
    if library == "timm":
        return load_timm(str(folder))
    return regionmed.load(folder if library == "regionmed" else f"{library}:{folder}")


def tamper(library: str, folder: Path, what: str, trace: Path) -> None:
    """Spoil a checkpoint; where it carries a digest, the digest is made to fit."""
    weights = folder / WEIGHTS[library]
    if what == "other config":
        name, way, value = CONFIGS[library]
        stored = json.loads((folder / name).read_text())
        entry = stored
        for key in way[:-1]:
            entry = entry[key]
        entry[way[-1]] = value
        (folder / name).write_text(json.dumps(stored))
    elif what in ("pickle", "pickle of torch"):
        for old in (*folder.glob("*.safetensors"), *folder.glob("*.bin")):
            old.unlink()
        with (folder / PICKLES[library]).open("wb") as stream:
            if what == "pickle":
                pickle.dump({"weight": Trap(trace)}, stream, protocol=2)
            else:
                torch.save({"weight": Trap(trace)}, stream)
    else:
        tensors, key = load_file(weights), KEYS[library]
        if what == "missing key":
            del tensors[key]
        elif what == "wrong shape":
            tensors[key] = tensors[key][:-1].clone()
        else:
            tensors[key].view(-1)[0] = float("nan")
        save_file(tensors, weights, {"format": "pt"})
    manifest = folder / "model.json"
    if manifest.is_file():
        stored = json.loads(manifest.read_text())
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        manifest.write_text(json.dumps({**stored, "fingerprint": digest}))


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    "what", ["pickle", "pickle of torch", "missing key", "wrong shape", "NaN", "other config"]
)
@pytest.mark.parametrize("library", list(WEIGHTS))
def test_a_spoilt_checkpoint_is_refused_in_one_sentence(
    library: str, folder: Path, what: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    tamper(library, folder, what, trace)
    with pytest.raises(CheckpointError) as refusal:
        load(library, folder)
    assert not trace.exists()
    message = str(refusal.value)
    assert "\n" not in message
    assert ". " not in message
    assert str(folder) in message
    assert len(message) < 500


@pytest.mark.parametrize("library", ["timm"])
def test_the_trap_would_have_left_a_trace(library: str, folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    tamper(library, folder, "pickle of torch", trace)
    torch.load(folder / PICKLES[library], weights_only=False)
    assert trace.exists()
