"""Multiply-adds as one counts them by hand, and as they are published for a known tower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from regionmed.evaluation.compute import counted, eight_regions, multiply_adds
from regionmed.geometry import SIZE_STRATA
from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip

NONE = np.zeros((0, 4), np.float32)


def without_gradients(module: nn.Module, *given: torch.Tensor) -> int:
    with torch.inference_mode():
        return counted(lambda: module.eval()(*given))


def test_a_layer_costs_what_one_counts_by_hand() -> None:
    assert without_gradients(nn.Linear(3, 5), torch.zeros(2, 3)) == 2 * 3 * 5
    picture = torch.zeros(1, 4, 10, 10)
    assert without_gradients(nn.Conv2d(4, 8, 3, padding=1), picture) == 10 * 10 * 8 * (4 * 9)
    deep = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    assert without_gradients(deep, picture) == 10 * 10 * 4 * 9


def test_attention_is_counted_though_torch_has_a_fast_path_for_it() -> None:
    tokens = torch.zeros(1, 6, 8)
    attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    projections, products = 4 * 6 * 8 * 8, 2 * 6 * 6 * 8
    fast = torch.backends.mha.get_fastpath_enabled()
    assert without_gradients(attention, tokens, tokens, tokens) == projections + products
    assert torch.backends.mha.get_fastpath_enabled() == fast


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """Multiply-adds of a picture and of its eight regions, by how regions are read."""
    found = {}
    for regions in ("none", "alpha", "zoom"):
        model = RegionClip(replace(TINY, regions=regions))
        found[regions] = multiply_adds(model, NONE)
        found[f"{regions} 8"] = multiply_adds(model, eight_regions())
        if regions == "zoom":
            found["tiny"] = multiply_adds(model, eight_regions()[:1])
            found["large"] = multiply_adds(model, eight_regions()[-1:])
    return found


def test_lite0_costs_what_is_published(counts: dict[str, int]) -> None:
    """Published: 407 million with its classifier of 1280 x 1000."""
    projection = 1280 * 256
    assert counts["none"] - projection == pytest.approx(407e6 - 1.28e6, rel=0.06)


def test_eight_crops_are_eight_more_pictures_and_eight_read_in_place_far_less(
    counts: dict[str, int],
) -> None:
    assert counts["none 8"] == 9 * counts["none"]
    # the stem is read once, the rest for every region
    assert 4 * counts["alpha"] < counts["alpha 8"] < 9 * counts["alpha"]
    assert counts["zoom"] < counts["zoom 8"] < 3 * counts["zoom"]


def test_a_zoomed_window_is_counted_where_one_is_chosen(counts: dict[str, int]) -> None:
    assert counts["zoom"] < counts["large"] < counts["tiny"]


def test_the_eight_regions_are_two_of_each_size_inside_the_picture() -> None:
    boxes_84 = eight_regions()
    assert ((boxes_84 >= 0) & (boxes_84 <= 1)).all()
    sides = np.sqrt((boxes_84[:, 2:] - boxes_84[:, :2]).prod(1))
    sizes = [next(name for name, below in SIZE_STRATA if side < below) for side in sides]
    assert sorted(sizes) == sorted(2 * [name for name, _ in SIZE_STRATA])
