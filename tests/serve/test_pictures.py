"""Opened pictures: what the model reads under a window, and what is forgotten."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from regionmed.corpus.pixels import read_picture
from regionmed.errors import CorpusError, UsageError
from regionmed.serve.pictures import KEPT, OpenPictures, Window


def png(size: tuple[int, int] = (8, 6), grey: int = 9) -> bytes:
    stored = io.BytesIO()
    Image.new("L", size, grey).save(stored, "PNG")
    return stored.getvalue()


def dicom(name: str) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    with open(path, "rb") as file:
        return file.read()


def test_an_8_bit_picture_opens_without_a_window() -> None:
    opened = OpenPictures().open(png())
    assert opened.window is None
    assert opened.windowed(Window(40, 400)) is opened.picture
    with pytest.raises(UsageError, match="no values beneath"):
        opened.values()


def test_ct_values_are_hounsfield_units() -> None:
    # CT_small stores 128 x 128 values with slope 1 and intercept -1024; the first stored one is 175
    values = OpenPictures().open(dicom("CT_small.dcm")).values()
    assert values.shape == (128, 128)
    assert values[0, 0] == 175 - 1024


def test_a_window_shows_its_centre_as_middle_grey_and_its_ends_black_and_white() -> None:
    opened = OpenPictures().open(dicom("CT_small.dcm"))
    shown = opened.windowed(Window(0, 200, "LINEAR_EXACT")).pixels.astype(int)
    values = opened.values()
    # PS3.3 C.11.2.1.3.2: y = ((x - c) / w + 0.5) * 255, cut to 0..255
    expected = np.clip((values / 200 + 0.5) * 255, 0, 255)
    assert np.abs(shown - expected).max() <= 0.51


def test_a_picture_without_a_window_opens_with_the_exact_span_of_what_is_shown() -> None:
    data = dicom("CT_small.dcm")
    opened = OpenPictures().open(data)
    shown = read_picture(data, "ct").applied["range"]
    assert opened.window == Window(
        (shown["low"] + shown["high"]) / 2, shown["high"] - shown["low"], "LINEAR_EXACT"
    )


def test_the_least_recently_used_picture_is_forgotten_first() -> None:
    pictures = OpenPictures()
    first, second = pictures.open(png(grey=1)), pictures.open(png(grey=2))
    for grey in range(3, KEPT + 1):
        pictures.open(png(grey=grey))
    assert pictures.get(first.id) is first  # looked at, so the second is now the oldest
    pictures.open(png(grey=200))
    assert pictures.get(second.id) is None
    assert pictures.get(first.id) is first


def test_what_is_no_picture_is_refused_in_one_sentence_that_names_no_file() -> None:
    with pytest.raises(CorpusError, match=r"^the picture: the content is no picture"):
        OpenPictures().open(b"%PDF-1.7 nothing to see")


@pytest.mark.parametrize(("center", "width"), [(40.0, 0.5), (float("nan"), 10.0), (0.0, -1.0)])
def test_a_window_that_shows_nothing_is_refused(center: float, width: float) -> None:
    with pytest.raises(UsageError, match="width of 1 or more"):
        Window(center, width)
