"""Where a picture is read again: around its small regions, as far as the budget goes."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from regionmed.model.region_clip import RegionClip
from regionmed.model.roi_zoom import STEP, Window, choose_window, look_again

WHOLE = 1.2  # forwards for a whole frame
SIDE = 448


def box(x: float, y: float, side: float) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def test_a_large_region_and_a_picture_without_finer_pixels_are_not_read_again():
    small, large = np.array([box(0.5, 0.5, 0.1)], np.float32), np.array([box(0.5, 0.5, 0.2)])
    assert choose_window(large.astype(np.float32), SIDE, 9, WHOLE, math.inf) is None
    assert choose_window(small, SIDE, 9, WHOLE, 1.0) is None
    assert choose_window(small, SIDE, 0, WHOLE, math.inf) is None


def test_one_small_region_costs_the_part_of_the_frame_around_it():
    window = choose_window(np.array([box(0.5, 0.5, 0.1)], np.float32), SIDE, 1, WHOLE, math.inf)
    # half the cut-out: 1.5 * .1 * 448 / 2 = 33.6 px, and 16 around: 174.4 .. 273.6 -> 160 .. 288
    assert window.edges == (160, 160, 288, 288)
    assert math.isclose(window.cost, WHOLE * (128 / 448) ** 2)


def test_over_budget_the_region_that_costs_most_is_left_out():
    boxes = np.array([box(0.1, 0.1, 0.1), box(0.2, 0.2, 0.1), box(0.9, 0.9, 0.1)], np.float32)
    window = choose_window(boxes, SIDE, 0.3, WHOLE, math.inf)
    assert window.rows.tolist() == [True, True, False]
    everything = choose_window(boxes, SIDE, 2, WHOLE, math.inf)
    assert everything.rows.all()


@given(
    st.lists(st.tuples(*[st.floats(0.05, 0.95)] * 2, st.floats(0.01, 0.3)), max_size=12),
    st.floats(0, 2),
)
def test_a_window_stays_in_its_budget_and_holds_what_it_reads(places, budget):
    boxes = np.array([box(*place) for place in places], np.float32).reshape(-1, 4).clip(0, 1)
    window = choose_window(boxes, SIDE, budget, WHOLE, math.inf)
    if window is None:
        return
    assert window.cost <= budget
    low, high = np.array(window.edges[:2]) / SIDE, np.array(window.edges[2:]) / SIDE
    assert all(edge % STEP == 0 for edge in window.edges)
    read = boxes[window.rows]
    assert (read[:, :2] >= low - 1e-6).all()
    assert (read[:, 2:] <= high + 1e-6).all()
    assert (np.sqrt((read[:, 2:] - read[:, :2]).prod(1)) < 0.15).all()


def test_cut_outs_of_a_window_are_those_of_the_whole_frame():
    torch.manual_seed(0)
    frame = torch.rand(1, 3, SIDE, SIDE)
    boxes = torch.tensor([[box(0.3, 0.3, 0.1), box(0.4, 0.35, 0.12)]])

    def stem(pixels):  # a mean over 8 x 8 pixels sees nothing past an edge
        return torch.nn.functional.avg_pool2d(pixels, 8)

    part = choose_window(boxes[0].numpy(), SIDE, 1, WHOLE, math.inf)
    whole = Window((0, 0, SIDE, SIDE), part.rows, WHOLE)
    assert part.cost < 0.3
    seen, everything = (look_again(frame, boxes, [w], stem) for w in (part, whole))
    assert torch.allclose(seen.maps_BRCHW, everything.maps_BRCHW, atol=1e-5)
    assert seen.rows_BR.all()


def test_the_stems_share_is_what_a_counter_counts(untrained_model: RegionClip):
    tower, pixels = untrained_model.image_tower, torch.rand(1, 3, 224, 224)

    def count(read, given):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            read(given)
        return counter.get_total_flops()

    with torch.no_grad():
        early = tower.stem(pixels)
    stem, rest = count(tower.stem, pixels), count(tower.trunk, early)
    assert abs(stem / (stem + rest) - tower.stem_share) < 0.005
