"""Checkpoints are whole or absent, and say what they cannot be used for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from regionmed.errors import RecipeError
from regionmed.training.state import RunState, load_state, save_state


def state(value: float, size: int = 3) -> RunState:
    """One parameter after one step of AdamW, its numbers all `value` afterwards."""
    weight = nn.Parameter(torch.ones(size))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(size)
    optimizer.step()
    weight.data.fill_(value)
    return RunState({"w": weight}, {"w": torch.full((size,), value / 2)}, optimizer, step=1)


def test_weights_averages_and_moments_come_back(tmp_path: Path) -> None:
    save_state(state(4.0), tmp_path)
    empty = state(0.0)
    empty.optimizer.state.clear()
    assert load_state(empty, tmp_path)
    assert empty.step == 1
    assert empty.moving["w"].tolist() == [4.0] * 3
    assert empty.average["w"].tolist() == [2.0] * 3
    moments = empty.optimizer.state[empty.moving["w"]]
    assert moments["exp_avg"].tolist() == pytest.approx([0.1] * 3)  # (1 - beta1) * gradient


def test_nothing_is_loaded_where_nothing_was_saved(tmp_path: Path) -> None:
    assert not load_state(state(0.0), tmp_path / "none")


def test_what_a_kill_left_behind_is_cleared_by_the_next_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".step-000009.part").mkdir(parents=True)
    save_state(state(1.0), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest.json", "step-000001"]


def test_a_checkpoint_that_is_there_is_not_touched_again(tmp_path: Path) -> None:
    save_state(state(1.0), tmp_path)
    before = (tmp_path / "step-000001" / "state.safetensors").stat()
    save_state(state(1.0), tmp_path)
    after = (tmp_path / "step-000001" / "state.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_checkpoint_of_another_model_or_a_cut_one_is_refused(tmp_path: Path) -> None:
    save_state(state(1.0), tmp_path)
    with pytest.raises(RecipeError, match="the state of another model"):
        load_state(state(1.0, size=4), tmp_path)
    file = tmp_path / "step-000001" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(RecipeError, match=r"state\.safetensors cannot be read"):
        load_state(state(1.0), tmp_path)
    (tmp_path / "latest.json").write_text(json.dumps({"checkpoint": "step-000007", "step": 7}))
    with pytest.raises(RecipeError, match=r"state\.safetensors cannot be read"):
        load_state(state(1.0), tmp_path)
