"""The state of a run on disk, so that a killed run goes on as if nothing had happened.

RUN/checkpoints/step-000400/ holds the moving weights, their average and the optimizer's moments as
safetensors; RUN/checkpoints/latest.json names the newest complete one and is replaced last. Chance
needs no state: every draw comes from (seed, step).
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from regionmed.errors import RecipeError


@dataclass
class RunState:
    """What moves during training."""

    moving: dict[str, nn.Parameter]  # by name; all parameters that any stage trains
    average: dict[str, Tensor]  # their running average, same names
    optimizer: torch.optim.Optimizer
    step: int = 0  # steps done


def save_state(state: RunState, folder: Path) -> None:
    """Write a checkpoint and point to it; the one before is removed afterwards."""
    tensors = {f"weight.{name}": p.detach().clone() for name, p in state.moving.items()}
    tensors |= {f"average.{name}": tensor.clone() for name, tensor in state.average.items()}
    for name, parameter in state.moving.items():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach().clone()
    name = f"step-{state.step:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(contiguous, aside / "state.safetensors")
    shutil.rmtree(folder / name, ignore_errors=True)
    os.replace(aside, folder / name)
    pointer = folder / ".latest.part"
    pointer.write_text(json.dumps({"checkpoint": name, "step": state.step}))
    os.replace(pointer, folder / "latest.json")
    for other in folder.glob("*step-*"):
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def load_state(state: RunState, folder: Path) -> bool:
    """Put the newest checkpoint into `state`; False where there is none yet."""
    pointer = folder / "latest.json"
    if not pointer.is_file():
        return False
    latest = json.loads(pointer.read_text())
    tensors = load_file(folder / latest["checkpoint"] / "state.safetensors")
    expected = {f"weight.{name}" for name in state.moving}
    if not expected <= set(tensors):
        raise RecipeError(f"{folder} is the state of another model than this recipe's")
    with torch.no_grad():
        for name, parameter in state.moving.items():
            parameter.copy_(tensors[f"weight.{name}"])
            state.average[name].copy_(tensors[f"average.{name}"])
            moments = {
                key: tensors[f"optimizer.{key}.{name}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{key}.{name}" in tensors
            }
            if moments:
                state.optimizer.state[parameter] = moments
    state.step = int(latest["step"])
    return True
