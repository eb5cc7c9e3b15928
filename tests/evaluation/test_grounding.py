"""Pointing and overlap on small maps, with masks, boxes, ties and letterboxed pictures."""

import numpy as np
import pytest

from regionmed.evaluation.grounding import (
    Target,
    foreground,
    hottest_place,
    overlap,
    pointing,
    target_on_cells,
)
from regionmed.geometry import Box, Frame, Mask, Placement
from regionmed.record import Region

FRAME = Frame("file", 8, 8)
SAME = Placement.letterbox(FRAME, Frame("model", 8, 8))


def square_target() -> Target:
    """Four cells of two pixels; the foreground is the upper left cell and one column beside it."""
    pixels = np.zeros((8, 8), bool)
    pixels[:4, :5] = True
    return target_on_cells(pixels, SAME, 2)


def test_masks_come_before_boxes_and_boxes_hold_pixels_by_their_centre() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = True
    masked = Region("a", Box(0, 0, 4, 4, FRAME), "mask", mask=Mask(mask, FRAME))
    boxed = Region("a", Box(5.4, 5.6, 8, 8, FRAME), "box")
    pixels = foreground([masked, boxed], FRAME)
    assert pixels[0, 0]
    assert not pixels[1, 1]
    assert np.argwhere(pixels[4:, 4:]).min(axis=0).tolist() == [2, 1]
    assert pixels.sum() == 1 + 2 * 3


def test_the_hottest_cell_counts_where_its_centre_is_inside() -> None:
    target = square_target()
    assert target.inside_hw.tolist() == [[True, False], [False, False]]
    assert pointing(np.array([[0.9, 0.1], [0.1, 0.1]]), target) == 1
    assert pointing(np.array([[0.1, 0.9], [0.1, 0.1]]), target) == 0


def test_equal_cells_share_so_that_a_constant_map_earns_the_area_share() -> None:
    target = square_target()
    assert pointing(np.array([[0.9, 0.9], [0.1, 0.1]]), target) == 0.5
    assert pointing(np.full((2, 2), 0.3), target) == 0.25


def test_overlap_counts_area_not_cells() -> None:
    """Hot cells: the upper two, 32 pixels; foreground 20 pixels, all in them."""
    target = square_target()
    assert target.covered_hw == pytest.approx(np.array([[1, 0.25], [0, 0]]))
    assert overlap(np.array([[0.5, 0.6], [0.4, 0.1]]), target) == pytest.approx(20 / 32)
    assert overlap(np.array([[0.5, 0.1], [0.4, 0.1]]), target) == pytest.approx(16 / 20)
    assert overlap(np.zeros((2, 2)), target) == 0


def test_cells_outside_the_picture_are_ignored() -> None:
    """A wide picture fills the middle rows of its frame; the hottest cell lies in the bar above."""
    wide = Frame("file", 8, 4)
    pixels = np.zeros((4, 8), bool)
    pixels[:, :4] = True
    target = target_on_cells(pixels, Placement.letterbox(wide, Frame("model", 8, 8)), 4)
    assert target.valid_hw[:, 0].tolist() == [False, True, True, False]
    heat = np.zeros((4, 4))
    heat[0, :], heat[1, 0] = 1.0, 0.8
    assert pointing(heat, target) == 1
    assert overlap(heat, target) == pytest.approx(1 / 4)
    assert pointing(np.ones((4, 4)), target) == 0.5


def test_the_hottest_place_is_in_file_pixels_and_inside_the_picture() -> None:
    wide = Frame("file", 80, 40)
    heat = np.zeros((4, 4))
    heat[0, 3], heat[1, 2] = 1.0, 0.8  # the first lies in the bar above the picture
    assert hottest_place(heat, Placement.letterbox(wide, Frame("model", 8, 8))) == (50, 10)


def test_a_finer_grid_finds_the_true_area_of_a_disc() -> None:
    frame = Frame("file", 200, 150)
    y, x = np.mgrid[:150, :200] + 0.5
    disc = (x - 90) ** 2 + (y - 70) ** 2 < 40**2
    target = target_on_cells(disc, Placement.letterbox(frame, Frame("model", 224, 224)), 28)
    area = target.covered_hw.sum() / target.valid_hw.sum()
    assert area == pytest.approx(disc.mean(), rel=0.02)
