"""The door in: file pixels become unit coordinates of the model frame."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regionmed
from regionmed.batches.batch import boxes_to_unit, cell_coverage, model_mask, pad_boxes
from regionmed.batches.cache import model_frame, open_picture_cache, place_picture
from regionmed.geometry import Box, Frame, Mask, Placement
from regionmed.record import Region

FILM = Frame("file", 1024, 768)


def test_a_box_of_a_film_in_unit_coordinates():
    placement = Placement.letterbox(FILM, model_frame(224))
    unit = boxes_to_unit([Box(512, 384, 768, 576, FILM)], placement)
    assert unit.tolist() == [[0.5, 0.5, 0.75, 0.6875]]
    assert unit.dtype == np.float32


def test_a_mask_and_its_box_cover_the_same_cells():
    pixels = np.zeros((768, 1024), bool)
    pixels[96:192, 256:512] = True
    box = Box(256, 96, 512, 192, FILM)
    placement = Placement.letterbox(FILM, model_frame(224))
    masked = Region("a", box, "mask", mask=Mask(pixels, FILM))
    boxed = Region("a", box, "box")
    assert np.array_equal(model_mask(masked, placement), model_mask(boxed, placement))
    # 256 x 96 file pixels are 56 x 21 model pixels, 7 x 2.625 cells of 8 pixels
    assert cell_coverage(boxed, placement, 28).sum() == pytest.approx(7 * 2.625)
    assert cell_coverage(masked, placement, 28).sum() == pytest.approx(7 * 2.625)


def test_ragged_boxes_are_padded_and_marked():
    boxes, present = pad_boxes([np.zeros((0, 4), np.float32), np.full((2, 4), 0.5, np.float32)])
    assert boxes.shape == (2, 2, 4)
    assert present.tolist() == [[False, False], [True, True]]


def test_a_picture_is_letterboxed_and_black_outside():
    pixels, placement = place_picture(Image.new("L", (100, 50), 255), 64)
    assert pixels.shape == (64, 64, 3)
    assert pixels[:16].max() == 0
    assert pixels[16:48].min() == 255
    assert (placement.x_scale, placement.y_shift) == (0.64, 16)


def test_the_cache_holds_every_picture_once_and_zeros_where_there_is_none(shapes_corpus: Path):
    corpus = regionmed.open_corpus(shapes_corpus)
    cache = open_picture_cache(corpus, 64)
    assert cache.pixels_NHWC.shape == (6, 64, 64, 3)
    assert cache.pixels_NHWC[5].max() == 0  # a row of a table
    assert np.array_equal(cache.pixels_NHWC[2], place_picture(corpus.picture(2), 64)[0])
    test_rows = open_picture_cache(corpus.split("test"), 64)
    assert np.array_equal(test_rows.pixels_NHWC[0], cache.pixels_NHWC[3])
