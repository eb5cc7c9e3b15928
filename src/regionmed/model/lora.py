"""LoRA for large towers, through peft: small matrices learn beside frozen weights.

Every linear layer of a block, W x, becomes W x + B A x with A of `rank` rows and B, at first zero,
of `rank` columns (Hu et al. 2021, arXiv 2106.09685): at the start the tower is what it was. W stays
as published and is not stored again; a checkpoint holds A and B, and the digest of what they were
trained beside.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from regionmed.errors import RecipeError, UsageError
from regionmed.model.tower import ADAPTER, Groups

BASE = ".base_layer"  # peft's name for the layer that an adapter was put around


def add_adapters(tower: nn.Module, groups: Groups, rank: int) -> None:
    """Put adapters of this rank around every linear layer of a tower's blocks.

    groups  as the tower itself gives them: what stands in no group gets no adapter

    nn.MultiheadAttention, which open_clip's own transformers use, is left as it is: peft would add
    to its weights and take away again at each forward, and rounding would move them.

    RecipeError for a tower that has no such layer (most CNNs); UsageError without peft.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UsageError('LoRA needs peft: pip install "regionmed[lora]"') from error
    owners = {
        name.rpartition(".")[0]
        for blocks in groups.values()
        for block in blocks[1:]  # the first holds the embeddings
        for name in block
    }
    targets = [
        name
        for name, module in tower.named_modules()
        if name in owners and type(module) is nn.Linear
    ]
    if not targets:
        raise RecipeError(
            f"lora {rank}: {type(tower).__name__} has no linear layers in its blocks; give lora 0, "
            "or a transformer as its tower"
        )
    settings = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, lora_dropout=0.0)
    inject_adapter_in_model(settings, tower)


def merge_adapters(tower: nn.Module) -> None:
    """Add every adapter into its layer, for a model that learns no more.

    Equal to 1e-5 and as fast as without adapters; they stay beside it, to be stored.
    """
    for module in tower.modules():
        if hasattr(module, "base_layer"):
            module.merge()  # type: ignore[operator]


def is_adapter(name: str) -> bool:
    """Whether a tensor of this name was put there by peft."""
    return ADAPTER in name


def base_digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of towers' own tensors, adapters aside, by their names before there were any."""
    digest = hashlib.sha256()
    for name, tensor in sorted((n.replace(BASE, ""), t) for n, t in tensors.items()):
        if is_adapter(name):
            continue
        digest.update(name.encode())
        bits = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(bits.numpy().tobytes())
    return digest.hexdigest()
