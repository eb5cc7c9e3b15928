"""Boxes from heat maps: hand-made maps, and properties of any map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from regionmed.errors import UsageError
from regionmed.evaluation.proposals import HOT, cells_inside, propose
from regionmed.geometry import Frame, Placement

SQUARE = Placement.letterbox(Frame("file", 80, 80), Frame("model", 8, 8))  # 10 file px a model px


def heat(*rows: str) -> np.ndarray:
    """Tenths, a character a cell."""
    return np.array([[int(cell) / 10 for cell in row] for row in rows], np.float32)


def test_cells_that_touch_make_one_box_of_their_outer_edges() -> None:
    """Cells of 20 file pixels; three touch, the last by a corner only."""
    found = propose(heat("0000", "0670", "0008", "0000"), SQUARE)
    assert [proposal.box.edges for proposal in found] == [(20, 20, 80, 60)]
    assert found[0].score == pytest.approx(0.8)


def test_the_hottest_place_comes_first_and_of_equals_the_upper_left() -> None:
    found = propose(heat("6006", "0000", "0000", "9000"), SQUARE)
    assert [round(proposal.score, 1) for proposal in found] == [0.9, 0.6, 0.6]
    assert [proposal.box.edges[:2] for proposal in found] == [(0, 60), (0, 0), (60, 0)]


def test_where_nothing_is_hot_one_box_surrounds_the_hottest_cell_down_to_half_of_it() -> None:
    """.4 is the maximum; .2 beside it belongs to it, .3 in the corner does not touch it."""
    found = propose(heat("4200", "1000", "0000", "0003"), SQUARE)
    assert [proposal.box.edges for proposal in found] == [(0, 0, 40, 20)]
    assert found[0].score == pytest.approx(0.4)


def test_a_map_of_zeros_proposes_the_whole_picture_with_no_confidence() -> None:
    found = propose(heat("00", "00"), SQUARE)
    assert [(proposal.box.edges, proposal.score) for proposal in found] == [((0, 0, 80, 80), 0)]


def test_heat_outside_the_picture_proposes_nothing_and_boxes_end_at_its_edge() -> None:
    """80 x 30 pixels lie in rows 2.5 to 5.5 of 8: the cells of rows 2..3 and 4..5 reach past it."""
    wide = Placement.letterbox(Frame("file", 80, 30), Frame("model", 8, 8))
    found = propose(heat("9999", "0700", "0000", "9999"), wide)
    assert [proposal.box.edges for proposal in found] == [(20, 0, 40, 15)]


def test_a_map_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UsageError, match="NaN or infinity"):
        propose(np.array([[0.1, np.nan]]), SQUARE)


maps = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0]),
)


@given(maps, st.integers(1, 300), st.integers(1, 300), st.floats(0.05, 1))
def test_every_hot_cell_is_covered_and_every_box_is_inside_the_picture(
    map_hw: np.ndarray, width: int, height: int, threshold: float
) -> None:
    placement = Placement.letterbox(Frame("file", width, height), Frame("model", 63, 63))
    found = propose(map_hw, placement, threshold)
    inside_hw = cells_inside(placement, *map_hw.shape)
    assert bool(found) == bool(inside_hw.any())
    scores = [proposal.score for proposal in found]
    assert scores == sorted(scores, reverse=True)
    assert all(proposal.box.is_inside() for proposal in found)
    assert all(proposal.box.frame == placement.source for proposal in found)
    back = placement.inverse()
    for row, column in np.argwhere(inside_hw & (map_hw.astype(float) >= threshold)):
        x = (column + 0.5) * 63 / map_hw.shape[1] * back.x_scale + back.x_shift
        y = (row + 0.5) * 63 / map_hw.shape[0] * back.y_scale + back.y_shift
        assert any(
            one.box.x0 <= x <= one.box.x1
            and one.box.y0 <= y <= one.box.y1
            and one.score >= map_hw[row, column]
            for one in found
        )
    if found:
        assert found[0].score == map_hw[inside_hw].max()
        assert len(found) == 1 or found[-1].score >= threshold


def test_the_threshold_is_one_half_unless_said() -> None:
    assert HOT == 0.5
    assert len(propose(heat("5040"), SQUARE)) == 1
    assert len(propose(heat("5040"), SQUARE, 0.4)) == 2
