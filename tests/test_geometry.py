"""Places keep their frame, and every way has a way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmed.errors import FrameError
from regionmed.geometry import (
    Box,
    Frame,
    Mask,
    Placement,
    Point,
    area_share,
    intersection_over_union,
    size_stratum,
)

sides = st.integers(1, 5000)
scales = st.floats(0.01, 100).flatmap(lambda s: st.sampled_from([s, -s]))
shifts = st.floats(-1e4, 1e4)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    frame = Frame("file", draw(sides), draw(sides))
    x0, y0 = draw(st.floats(-100, 5000)), draw(st.floats(-100, 5000))
    return Box(x0, y0, x0 + draw(st.floats(0.01, 5000)), y0 + draw(st.floats(0.01, 5000)), frame)


@given(boxes(), scales, scales, shifts, shifts)
def test_a_placed_box_comes_back_to_where_it_was(box, x_scale, y_scale, x_shift, y_shift):
    placement = Placement(box.frame, Frame("m", 224, 224), x_scale, y_scale, x_shift, y_shift)
    back = placement.inverse().box(placement.box(box))
    # 1e-6 of a pixel, or what a double can hold after shifts of 10,000 px and scales of 0.01
    assert back.edges == pytest.approx(box.edges, rel=1e-6, abs=1e-6)


@given(boxes(), scales, scales)
def test_a_placed_box_contains_its_placed_corners(box, x_scale, y_scale):
    placement = Placement(box.frame, Frame("model", 224, 224), x_scale, y_scale, 3.0, -5.0)
    placed = placement.box(box)
    for x, y in ((box.x0, box.y0), (box.x1, box.y1), (box.x0, box.y1)):
        corner = placement.point(Point(x, y, box.frame))
        assert placed.x0 - 1e-6 <= corner.x <= placed.x1 + 1e-6
        assert placed.y0 - 1e-6 <= corner.y <= placed.y1 + 1e-6


@given(boxes())
def test_two_mirrorings_change_nothing(box):
    frame = box.frame
    mirror = Placement(frame, frame, -1.0, 1.0, frame.width, 0.0)
    assert mirror.then(mirror).box(box).edges == pytest.approx(box.edges, abs=1e-6)


def test_a_1024_x_768_film_in_224_x_224_lies_28_pixels_down():
    film = Frame("file", 1024, 768)
    placed = Placement.letterbox(film, Frame("model", 224, 224)).box(Box(512, 384, 768, 576, film))
    assert placed.edges == (112, 112, 168, 154)
    assert placed.unit() == (0.5, 0.5, 0.75, 0.6875)


def test_places_of_two_frames_do_not_mix():
    film, model = Frame("file", 100, 50), Frame("model", 224, 224)
    placement = Placement.letterbox(film, model)
    with pytest.raises(FrameError, match="frame 'model'"):
        placement.box(Box(0, 0, 1, 1, model))
    with pytest.raises(FrameError, match="two frames"):
        intersection_over_union(Box(0, 0, 1, 1, film), Box(0, 0, 1, 1, model))


@pytest.mark.parametrize("edges", [(5, 0, 5, 3), (0, 4, 2, 3), (0, 0, float("nan"), 1)])
def test_a_box_without_area_is_refused(edges):
    with pytest.raises(FrameError, match="x0 < x1 and y0 < y1"):
        Box(*edges, Frame("file", 10, 10))


def test_a_mask_has_the_tight_box_of_its_foreground():
    pixels = np.zeros((10, 20), bool)
    pixels[2:5, 7:9] = True
    assert Mask(pixels, Frame("file", 20, 10)).box().edges == (7, 2, 9, 5)
    assert Mask(np.zeros((10, 20), bool), Frame("file", 20, 10)).box() is None


def test_a_point_stands_for_70_pixels_cut_at_the_edge():
    frame = Frame("file", 640, 480)
    assert Point(100, 100, frame).square().edges == (65, 65, 135, 135)
    assert Point(10, 470, frame).square().edges == (0, 435, 45, 480)


def test_overlap_share_and_stratum_by_hand():
    frame = Frame("file", 100, 100)
    a, b = Box(0, 0, 10, 10, frame), Box(5, 0, 15, 10, frame)
    assert intersection_over_union(a, b) == pytest.approx(50 / 150)
    assert area_share(a) == pytest.approx(0.01)
    names = [size_stratum(Box(0, 0, side, side, frame)) for side in (5.9, 6, 15, 34.9, 35)]
    assert names == ["tiny", "small", "medium", "medium", "large"]
