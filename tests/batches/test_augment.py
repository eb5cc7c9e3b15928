"""A view moves pixels and boxes alike."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmed.batches.augment import View, apply_views, draw_view, plain_view
from regionmed.geometry import Box, Frame, Placement

FRAME = Frame("model", 64, 64)


def test_the_plain_view_changes_no_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    shown = apply_views(pixels, [plain_view(FRAME)])
    assert np.array_equal(shown.permute(0, 2, 3, 1).numpy(), pixels)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_bright_square_is_found_where_its_box_went(seed):
    view = draw_view(FRAME, np.random.default_rng(seed), mirror_x=True, mirror_y=True)
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    pixels[0, 20:32, 12:24] = 200
    plain = View(view.placement)
    bright = apply_views(pixels, [plain])[0, 0].numpy() > 100
    box = view.placement.box(Box(12, 20, 24, 32, FRAME))
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    clipped = [min(max(edge, 0), 64) for edge in box.edges]
    assert np.abs(np.array(found) - clipped).max() <= 1.0


def test_a_mirrored_view_says_so():
    mirrored = View(Placement(FRAME, FRAME, -1, 1, 64, 0))
    assert mirrored.mirrored
    assert not plain_view(FRAME).mirrored


def test_tone_follows_contrast_and_brightness():
    pixels = np.full((1, 64, 64, 3), 150, np.uint8)
    view = View(plain_view(FRAME).placement, contrast=2.0, brightness=-0.1)
    # (150 - 127.5) * 2 + 127.5 - 25.5 = 147
    assert apply_views(pixels, [view]).unique().tolist() == [147]
