"""The state of a run on disk, so that a killed run goes on as if nothing had happened.

RUN/checkpoints/step-000400/ holds the moving weights, their average and the optimizer's moments as
safetensors; RUN/checkpoints/latest.json names the newest complete one and is replaced last. Chance
needs no state: every draw comes from (seed, step). What is renamed has reached the disk before, so
that a machine without power keeps to this too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from regionmed.errors import RecipeError
from regionmed.model.region_clip import RegionClip
from regionmed.training.parallel import ALONE, Share, split_like, whole_tensor
from regionmed.training.parts import TOWERS, parts_named
from regionmed.training.stages import Recipe

WEIGHTS, POINTER = "state.safetensors", "latest.json"


@dataclass
class RunState:
    """What moves during training."""

    moving: dict[str, nn.Parameter]  # by name; all parameters that any stage trains
    average: dict[str, Tensor]  # their running average, same names
    optimizer: torch.optim.Optimizer
    step: int = 0  # steps done


def new_state(model: RegionClip, recipe: Recipe) -> RunState:
    """The state before the first step; parameters that no stage trains are frozen."""
    model.requires_grad_(False)
    moving = parts_named(model, (part for stage in recipe.stages for part in stage.trains))
    towers: list[nn.Parameter] = []
    own: list[nn.Parameter] = []
    for name, parameter in moving.items():
        (towers if name.startswith(TOWERS) else own).append(parameter)
    groups = [{"params": own, "towers": False}, {"params": towers, "towers": True}]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
    )
    average = {name: parameter.detach().clone() for name, parameter in moving.items()}
    return RunState(moving, average, optimizer)


@contextmanager
def on_trial(model: RegionClip, state: RunState, recipe: Recipe) -> Iterator[RunState]:
    """A state to be thrown away, on the model's weights as they are; afterwards these come back.

    Weights, buffers and what each parameter collects are as before, bit for bit.
    """
    kept = {name: tensor.clone() for name, tensor in model.named_buffers()}
    kept |= {name: parameter.detach().clone() for name, parameter in state.moving.items()}
    training, learns = model.training, [p.requires_grad for p in model.parameters()]
    try:
        yield new_state(model, recipe)
    finally:
        with torch.no_grad():
            for name, tensor in (*model.named_buffers(), *state.moving.items()):
                tensor.copy_(kept[name])
        for parameter, learnt in zip(model.parameters(), learns, strict=True):
            parameter.requires_grad_(learnt)
            parameter.grad = None
        model.train(training)


def save_state(state: RunState, folder: Path, share: Share = ALONE) -> None:
    """Write a checkpoint and point to it; the one before is removed afterwards.

    One that is there already is left: the same step has the same weights, and there is no moment
    without a complete checkpoint. All processes must call it; the first one writes.
    """
    tensors = tensors_of(state, share)
    name = f"step-{state.step:06d}"
    if not share.leads or _latest(folder).get("checkpoint") == name:
        return
    write_folder(folder / name, tensors, {})
    pointer = folder / f".{POINTER}.part"
    pointer.write_text(json.dumps({"checkpoint": name, "step": state.step}))
    to_disk(pointer)
    os.replace(pointer, folder / POINTER)
    to_disk(folder)
    for other in folder.glob("*step-*"):
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def load_state(state: RunState, folder: Path) -> bool:
    """Put the newest checkpoint into `state`; False where there is none yet."""
    latest = _latest(folder)
    if not latest:
        return False
    put_tensors(state, folder / str(latest["checkpoint"]))
    state.step = int(latest["step"])
    return True


def tensors_of(state: RunState, share: Share = ALONE) -> dict[str, Tensor]:
    """Weights, averages and moments by name, as they are stored.

    Where they are split over processes all must ask together; none but the first one keeps them.
    """
    tensors: dict[str, Tensor] = {f"weight.{name}": p for name, p in state.moving.items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.items()}
    for name, parameter in state.moving.items():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    kept = {}
    for key, tensor in tensors.items():
        whole = whole_tensor(tensor.detach())
        if share.leads:
            kept[key] = whole.contiguous()
    return kept


def put_tensors(state: RunState, folder: Path) -> None:
    """Put the tensors of a folder into `state`; RecipeError where they are of another model."""
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise RecipeError(
            f"{folder / WEIGHTS} cannot be read ({error}); begin the run anew in another folder"
        ) from error
    wanted = {f"weight.{name}": p.shape for name, p in state.moving.items()}
    if any(key not in tensors or tensors[key].shape != shape for key, shape in wanted.items()):
        raise RecipeError(f"{folder} is the state of another model than this recipe's")
    with torch.no_grad():
        for name, parameter in state.moving.items():
            parameter.copy_(split_like(tensors[f"weight.{name}"], parameter))
            state.average[name].copy_(split_like(tensors[f"average.{name}"], parameter))
            moments = {
                key: split_like(tensors[f"optimizer.{key}.{name}"], parameter)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{key}.{name}" in tensors
            }
            if moments:
                state.optimizer.state[parameter] = moments


def write_folder(
    folder: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, Mapping[str, Any]]
) -> None:
    """A folder of tensors and JSON files (name -> content), complete on the disk or absent."""
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(dict(tensors), aside / WEIGHTS)
    for name, content in texts.items():
        (aside / name).write_text(json.dumps(content, indent=1))
    for file in (*aside.iterdir(), aside):
        to_disk(file)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    to_disk(folder.parent)


def to_disk(path: Path) -> None:
    """Returns when a file, or the names in a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _latest(folder: Path) -> dict[str, Any]:
    pointer = folder / POINTER
    return json.loads(pointer.read_text()) if pointer.is_file() else {}
