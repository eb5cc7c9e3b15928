"""A step that ends in no number is kept whole and can be taken again."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

import regionmed
from regionmed.errors import RecipeError
from regionmed.training.capture import replay
from regionmed.training.train import train


def test_a_failed_step_is_kept_and_replayed_to_the_same_numbers(
    smears: Path, short, tmp_path: Path
) -> None:
    corpora = [regionmed.open_corpus(smears)]
    first, second = short().stages
    recipe = short(stages=(first, replace(second, learning_rate=1e30)))  # the fifth step is lost
    with pytest.raises(RecipeError, match=r"stage 'joint', step \d: the .* is not finite; .*") as e:
        train(recipe, corpora, tmp_path / "run")
    (folder,) = (tmp_path / "run").glob("failed-step-*")
    assert str(folder) in str(e.value)
    kept = json.loads((folder / "step.json").read_text())
    assert kept["stage"] == "joint"
    assert kept["recipe"]["seed"] == 0
    assert any(name.startswith("weight.") for name in load_file(folder / "state.safetensors"))
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    assert len(lines) == kept["step"]  # all steps before have their lines

    numbers = replay(recipe, corpora, folder)
    assert {name: None if value is None else str(value) for name, value in numbers.items()} == kept[
        "numbers"
    ]
    assert not math.isfinite(numbers["loss"] or 0) or not math.isfinite(numbers["gradient_norm"])

    with pytest.raises(RecipeError, match="another recipe or other corpora"):
        replay(replace(recipe, seed=1), corpora, folder)
    with pytest.raises(RecipeError, match=r"it has no step\.json"):
        replay(recipe, corpora, tmp_path)
