"""Controls hide what they claim to hide, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regionmed.batches.cache import place_picture
from regionmed.evaluation.controls import (
    answers_from_boxes,
    box_features,
    grey_picture,
    jittered_box,
    marked,
    only_region,
    picture_window,
    without_region,
    wrong_box,
)
from regionmed.geometry import Box, Frame, Placement, intersection_over_union
from regionmed.record import Provenance, Record, Region

WIDE = Placement.letterbox(Frame("file", 64, 32), Frame("model", 32, 32))


def test_a_wide_picture_covers_the_middle_rows() -> None:
    assert picture_window(WIDE) == (slice(8, 24), slice(0, 32))


def test_a_grey_picture_keeps_its_mean_and_its_black_bars() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[8:24, :16] = 200
    blank = grey_picture(pixels, WIDE)
    assert (blank[8:24] == 100).all()
    assert (blank[:8] == 0).all()
    assert (blank[24:] == 0).all()


def test_a_region_is_filled_with_its_border_and_the_rest_stays() -> None:
    pixels = np.full((32, 32, 3), 50, np.uint8)
    pixels[12:16, 10:14] = 255
    box = Box(20, 8, 28, 16, WIDE.source)  # rows 12..15, columns 10..13 of the model frame
    blank = without_region(pixels, box, WIDE)
    assert (blank == 50).all()
    elsewhere = np.ones((32, 32), bool)
    elsewhere[11:17, 9:15] = False
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    assert (without_region(noise, box, WIDE)[elsewhere] == noise[elsewhere]).all()


@pytest.mark.parametrize("side", [60, 120, 448])
def test_nothing_of_a_blanked_region_shines_through_whatever_the_scaling(side: int) -> None:
    source = np.full((side, side), 40, np.uint8)
    start, stop = side // 3, side // 2
    source[start:stop, start:stop] = 255
    pixels, placement = place_picture(Image.fromarray(source), 224)
    blank = without_region(pixels, Box(start, start, stop, stop, placement.source), placement)
    assert np.abs(blank.astype(int) - 40).max() <= 4  # of a step of 215: a bicubic ripple


def test_a_picture_too_thin_for_the_model_frame_is_one_row() -> None:
    pixels, placement = place_picture(Image.new("L", (1000, 3), 100), 224)
    assert (grey_picture(pixels, placement) == pixels).all()


def test_a_region_at_the_edge_takes_its_border_from_the_picture_not_from_the_bars() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[8:24] = 90
    blank = without_region(pixels, Box(0, 0, 16, 8, WIDE.source), WIDE)
    assert (blank == pixels).all()


def test_a_region_that_covers_the_picture_is_filled_with_its_own_mean() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[8:16] = 100
    blank = without_region(pixels, Box(0, 0, 64, 32, WIDE.source), WIDE)
    assert (blank[8:24] == 50).all()


@given(
    st.tuples(st.integers(0, 60), st.integers(0, 28)),
    st.tuples(st.integers(1, 40), st.integers(1, 20)),
)
def test_a_wrong_box_has_the_size_stays_inside_and_avoids_a_small_region(
    corner: tuple[int, int], size: tuple[int, int]
) -> None:
    frame = Frame("file", 100, 50)
    box = Box(*corner, corner[0] + size[0], corner[1] + size[1], frame).clipped()
    assert box is not None
    wrong = wrong_box(box, np.random.default_rng(0))
    assert (wrong.width, wrong.height) == pytest.approx((box.width, box.height))
    assert wrong.is_inside(1e-9)
    if box.width < 25 and box.height < 12:
        assert intersection_over_union(box, wrong) == 0


def test_a_box_tells_its_place_size_shape_and_company() -> None:
    frame = Frame("file", 100, 50)
    region = Region("cell", Box(10, 10, 30, 20, frame), "box")
    record = Record(
        "s/a", "s", "a", None, frame, Provenance("s", "voc"), regions=(region, region, region)
    )
    assert box_features(record, region) == pytest.approx([0.2, 0.3, 0.2, 0.2, 0.04, 2.0, 3.0])


def test_a_rare_label_that_place_decides_is_found_from_boxes_alone() -> None:
    left = [[0.2 + i / 1000, 0.5] for i in range(100)]
    right = [[0.8 + i / 1000, 0.5] for i in range(5)]
    answers = answers_from_boxes(left + right, ["a"] * 100 + ["b"] * 5, [[0.25, 0.5], [0.803, 0.5]])
    assert answers == ["a", "b"]


def test_only_the_region_is_left_of_a_context_free_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    noise[:8], noise[24:] = 0, 0
    alone = only_region(noise, Box(20, 8, 28, 16, WIDE.source), WIDE)
    assert (alone[12:16, 10:14] == noise[12:16, 10:14]).all()
    outside = np.ones((32, 32), bool)
    outside[12:16, 10:14], outside[:8], outside[24:] = False, False, False
    assert (alone[outside] == np.rint(noise[outside].mean(axis=0))).all()
    assert (alone[:8] == 0).all()


def test_a_marker_surrounds_the_region_and_leaves_its_pixels() -> None:
    grey = np.full((32, 32, 3), 90, np.uint8)
    painted = marked(grey, Box(20, 8, 28, 16, WIDE.source), WIDE)
    assert (painted[12:16, 10:14] == 90).all()
    assert (painted[10:12, 8:16] == (255, 0, 0)).all()
    assert (painted[16:18, 8:16] == (255, 0, 0)).all()
    assert (painted != grey).any(axis=2).sum() == 8 * 8 - 4 * 4


@given(share=st.sampled_from([0.1, 0.2, 0.4]), seed=st.integers(0, 99))
def test_a_jittered_box_keeps_its_size_and_moves_by_its_share(share: float, seed: int) -> None:
    frame = Frame("file", 100, 100)
    box = Box(40, 45, 60, 55, frame)
    moved = jittered_box(box, share, np.random.default_rng(seed))
    assert (moved.width, moved.height) == pytest.approx((20, 10))
    step = np.array([(moved.x0 - box.x0) / 20, (moved.y0 - box.y0) / 10])
    assert np.linalg.norm(step) == pytest.approx(share)
    corner = jittered_box(Box(0, 0, 20, 10, frame), share, np.random.default_rng(seed))
    assert corner.is_inside()
