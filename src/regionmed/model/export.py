"""A plain RegionClip as an open_clip folder, for whoever has open_clip and not regionmed.

open_clip's own parts hold the image side as it is: timm's trunk and a linear projection. Its text
towers have no step that brings a vector to length 1 before the projection, and no bias in it; both
are written here as one more BERT layer and one more column, which compute the same:

    attention   all weights of queries and keys 0: every token sees the mean of all tokens,
                times LARGE, so that its own residual no longer counts
    LayerNorm   divides by the root mean square, once the mean over features is 0; a reflection
                turns the one feature of MiniLM that is always 0 into that mean
    second norm scales to length 1 and puts a constant 1 in the place of that feature
    projection  the weights in the reflected frame; the constant's weight is the bias

D width of the text tower · E embedding
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from regionmed.errors import CheckpointError
from regionmed.model.folding import unfolded
from regionmed.model.pretrained import minilm_folder
from regionmed.model.region_clip import RegionClip

LARGE = 1e4  # the residual's share of the result falls with its square
LONGEST = 128  # tokens, as MiniLmTower reads


def export_open_clip(model: RegionClip, folder: Path) -> Path:
    """Write a plain RegionClip of Lite0 and MiniLM as a new folder that open_clip itself loads.

    `open_clip.create_model("local-dir:FOLDER")` gives the same vectors for the same pixels and
    texts, to 1e-5. open_clip reads the text model's config by name, so the folder names its own
    place on this disk; after a move write the new place into hf_model_name (regionmed.load takes
    the config from the folder in any case).

    CheckpointError for a model with an ROI processor or other towers, or if `folder` exists.
    """
    config = model.config
    if config.regions != "none" or (config.image_tower, config.text_tower) != ("lite0", "minilm"):
        raise CheckpointError(
            f"only a plain CLIP of lite0 and minilm is written for open_clip, not one of "
            f"{config.image_tower} and {config.text_tower} with regions '{config.regions}'; "
            "train a recipe with roi: false"
        )
    if folder.exists():
        raise CheckpointError(f"{folder} exists; an export is written to a new folder")
    folder, tensors = folder.resolve(), _tensors(model)
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(tensors, aside / "open_clip_model.safetensors", {"format": "pt"})
    text_config = json.loads((minilm_folder() / "config.json").read_text("utf-8"))
    text_config["num_hidden_layers"] += 1
    (aside / "config.json").write_text(json.dumps(text_config, indent=1))
    model.text_tower.tokenizer.save_pretrained(aside)
    settings = _settings(model, folder)
    (aside / "open_clip_config.json").write_text(json.dumps(settings, indent=1))
    os.replace(aside, folder)
    return folder


def _settings(model: RegionClip, folder: Path) -> dict[str, Any]:
    vision = {
        "timm_model_name": "tf_efficientnet_lite0",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "timm_proj_bias": True,
        "image_size": model.image_tower.image_size,
    }
    text = {
        "hf_model_name": str(folder),
        "hf_tokenizer_name": str(folder),
        "hf_model_pretrained": False,
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "linear",
        "context_length": LONGEST,
    }
    return {
        "model_cfg": {"embed_dim": model.embedding_dim, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {
            "mean": model.image_tower.mean,
            "std": model.image_tower.std,
            "interpolation": "bicubic",
            "resize_mode": "longest",  # letterboxed on black, as regionmed does
        },
    }


def _tensors(model: RegionClip) -> dict[str, Tensor]:
    projection = model.image_projection.state_dict()
    plain = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    tensors = {
        "logit_scale": model.log_scale,
        "visual.head.proj.weight": projection["weight"],
        "visual.head.proj.bias": projection["bias"],
        **{
            f"visual.trunk.{key}": value
            for key, value in unfolded(model.image_tower.net.state_dict(), plain).items()
        },
        **{
            f"text.transformer.{key}": value
            for key, value in model.text_tower.net.state_dict().items()
            if not key.startswith("pooler.")  # open_clip leaves it out under a mean pooler
        },
    }
    last = model.text_tower.net.encoder.layer[-1]
    silent = _silent_feature(last.output.LayerNorm)
    layer, reflection_DD = _unit_length_layer(last, silent)
    number = model.text_tower.net.config.num_hidden_layers
    for key, value in layer.items():
        tensors[f"text.transformer.encoder.layer.{number}.{key}"] = value
    text = model.text_projection.state_dict()
    tensors["text.proj.weight"] = _with_bias(text["weight"], text["bias"], silent, reflection_DD)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _silent_feature(norm: Any) -> int:
    """The feature that a LayerNorm's weights hold at 0, whatever comes in."""
    size_D = norm.weight.detach().abs() + norm.bias.detach().abs()
    silent = int(size_D.argmin())
    if size_D[silent] > 1e-6:
        raise CheckpointError(
            "the text tower has no feature that is always 0, so its length cannot be brought to 1 "
            "inside open_clip; export a model with the published MiniLM weights"
        )
    return silent


def _unit_length_layer(last: Any, silent: int) -> tuple[dict[str, Tensor], Tensor]:
    """A BERT layer that gives every token the mean of all, reflected and at length 1.

    The silent feature's place, once reflected, is the mean over features, and holds 1.
    Returns its tensors, shaped as those of `last`, and the reflection (D, D), its own inverse.
    """
    layer = {
        key: torch.zeros_like(value) for key, value in copy.deepcopy(last.state_dict()).items()
    }
    width = len(layer["output.LayerNorm.weight"])
    even_D = torch.full((width,), width**-0.5, dtype=torch.float64)
    axis_D = even_D.clone()
    axis_D[silent] -= 1
    axis_D /= axis_D.norm()
    reflection_DD = torch.eye(width, dtype=torch.float64) - 2 * torch.outer(axis_D, axis_D)
    layer["attention.self.value.weight"] = reflection_DD.float()
    layer["attention.output.dense.weight"] = LARGE * torch.eye(width)
    layer["attention.output.LayerNorm.weight"] = torch.ones(width)
    layer["output.LayerNorm.weight"] = torch.full((width,), width**-0.5)
    layer["output.LayerNorm.bias"] = even_D.float()
    return layer, reflection_DD


def _with_bias(weight_ED: Tensor, bias_E: Tensor, silent: int, reflection_DD: Tensor) -> Tensor:
    own_ED = weight_ED.detach().cpu().double().clone()
    own_ED[:, silent] = bias_E.detach().cpu().double()  # that feature carries 1 instead of 0
    return (own_ED @ reflection_DD).float()
