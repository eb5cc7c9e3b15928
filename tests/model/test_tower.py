"""Towers say which of their parameters a stage may move, and at which depths they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regionmed.errors import RecipeError
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip
from regionmed.model.tower import dense_depths, in_blocks, part_of


def test_a_vit_is_read_half_way_and_at_the_end():
    assert dense_depths([14] * 12) == [5, 11]
    assert dense_depths([14]) == [0]


def test_a_cnn_is_read_at_the_deepest_map_of_its_last_three_sizes():
    assert dense_depths([112, 56, 28, 28, 14, 7, 7]) == [3, 4, 6]


def test_names_are_cut_into_blocks_and_a_bare_projection_belongs_to_the_last():
    names = ["clip.visual.proj", "clip.visual.conv1.weight", "clip.visual.ln_pre.weight"]
    names += [f"clip.visual.transformer.resblocks.{n}.ln_1.weight" for n in (0, 1)]
    names += ["clip.visual.ln_post.weight"]
    assert in_blocks(names) == [names[1:3], [names[3]], [names[4], names[5], names[0]]]


@pytest.fixture(scope="module")
def tiny() -> RegionClip:
    return RegionClip(ModelConfig())


def test_every_parameter_of_the_tiny_towers_that_is_read_stands_in_one_part(tiny: RegionClip):
    found = [name for part in ("stem", "trunk", "text") for name in part_of(tiny, part)]
    towers = [n for n, _ in tiny.named_parameters() if n.startswith(("image_t", "text_tower"))]
    assert len(found) == len(set(found))
    still = {name for name in towers if ".conv_dw." in name}  # depthwise kernels stay
    assert len(still) == 2 * 16  # weight and bias of each of Lite0's 16 blocks
    assert set(towers) - set(found) - still == {
        "text_tower.net.pooler.dense.weight",
        "text_tower.net.pooler.dense.bias",
    }


def test_the_last_blocks_of_a_text_tower_are_asked_for_by_number(tiny: RegionClip):
    some = part_of(tiny, "text:2")
    assert {name.split(".")[4] for name in some} == {"4", "5"}  # net.encoder.layer.4 of 0..5
    assert len(part_of(tiny, "text:7")) == len(part_of(tiny, "text"))  # with the embeddings


@pytest.mark.parametrize("part", ["head", "text:0", "text:x", "trunk:99"])
def test_a_part_that_no_tower_has_is_refused(tiny: RegionClip, part: str):
    with pytest.raises(RecipeError, match="part"):
        part_of(tiny, part)


@pytest.mark.parametrize("kind", ["vit", "resnet", "convnext", "siglip"])
def test_both_sides_of_an_open_clip_model_are_parts(
    open_clip_model: Callable[[str], tuple[Path, Any]], kind: str
):
    folder, original = open_clip_model(kind)
    name = f"open_clip:{folder}"
    model = RegionClip(ModelConfig(image_tower=name, text_tower=name, regions="none"))
    every = {f"image_tower.clip.{n}" for n, _ in original.named_parameters()}
    visual = {name for name in every if ".visual." in name}
    text = every - visual - {"image_tower.clip.logit_scale"}
    assert set(part_of(model, "trunk")) == visual
    assert set(part_of(model, "text")) == text
    last = part_of(model, "trunk:1")
    assert set(last) < visual
    assert any("proj" in name or "attnpool" in name for name in last)
    assert any(name.endswith("text_projection") for name in part_of(model, "text:1"))
