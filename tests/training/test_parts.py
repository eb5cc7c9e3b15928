"""What a stage says it trains is what moves, in every tower."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import regionmed
from regionmed.errors import RecipeError
from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip
from regionmed.training.parts import part_named, parts_named
from regionmed.training.prepare import check_recipe
from regionmed.training.stages import PARTS
from regionmed.training.train import train


def test_each_parameter_of_tiny_is_in_one_part_at_most(
    untrained_model: RegionClip,
) -> None:
    parts = {name: part_named(untrained_model, name) for name in PARTS}
    every = dict(untrained_model.named_parameters())
    assert sum(len(part) for part in parts.values()) == len(set().union(*parts.values()))
    left = set(every) - set().union(*parts.values())
    # what is left out is the towers' own choice (kernels that stay, a pooler that is never read)
    assert all(name.startswith(("image_tower.", "text_tower.")) for name in left)
    assert all(name.startswith("text_tower.") for name in parts["text"])
    both = parts_named(untrained_model, ("heads", "trunk", "heads"))
    assert list(both) == [*parts["heads"], *parts["trunk"]]


@pytest.mark.parametrize(
    ("trains", "regions", "moved", "still"),
    [
        (("text:1", "heads"), "zoom", "encoder.layer.5.", "encoder.layer.4."),
        (("stem", "trunk"), "pooled", "net.blocks.1.", "text_tower."),
    ],
)
def test_a_stage_moves_what_it_names_and_nothing_else(
    trains: tuple, regions: str, moved: str, still: str, smears: Path, short, tmp_path: Path
) -> None:
    stage = replace(short().stages[0], trains=trains, steps=2)
    recipe = short(stages=(stage,), model=replace(TINY, regions=regions), average=0.0)
    run = train(recipe, [regionmed.open_corpus(smears)], tmp_path / "run")
    torch.manual_seed(recipe.seed)
    before, after = RegionClip(recipe.model).state_dict(), regionmed.load(run).state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert any(moved in name for name in changed)
    assert not any(still in name for name in changed)
    line = json.loads((run / "journal.jsonl").read_text().splitlines()[0])
    assert line["gradient_norm"] > 0


def test_a_stem_that_regions_are_read_by_again_may_not_move(smears: Path, short) -> None:
    stage = replace(short().stages[0], trains=("stem",))
    with pytest.raises(RecipeError, match=r"trains the stem, and regions='zoom' stand on a frozen"):
        check_recipe(short(stages=(stage,)), [regionmed.open_corpus(smears)])
