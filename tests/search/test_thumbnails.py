"""What an index shows of its entries."""

import io

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regionmed.geometry import Box, Frame
from regionmed.search.thumbnails import picture_thumbnail, region_thumbnail, view

FILM = Frame("file", 1000, 800)


def test_a_view_is_twice_as_wide_as_the_longer_side_of_its_box() -> None:
    assert view(Box(400, 300, 500, 340, FILM)).edges == (350, 220, 550, 420)


def test_a_view_at_an_edge_moves_inside_and_keeps_its_size() -> None:
    assert view(Box(0, 0, 100, 100, FILM)).edges == (0, 0, 200, 200)
    assert view(Box(980, 780, 1000, 800, FILM)).edges == (952, 752, 1000, 800)


@given(
    x=st.floats(0, 990), y=st.floats(0, 790), width=st.floats(0.5, 1000), height=st.floats(0.5, 800)
)
def test_a_view_lies_inside_the_picture_and_holds_its_box(
    x: float, y: float, width: float, height: float
) -> None:
    box = Box(x, y, min(x + width, 1000), min(y + height, 800), FILM)
    window = view(box)
    assert window.is_inside()
    # edges are whole pixels, so half a pixel of a box as large as its view may be cut
    assert window.x0 <= box.x0 + 0.5
    assert window.y0 <= box.y0 + 0.5
    assert window.x1 >= box.x1 - 0.5
    assert window.y1 >= box.y1 - 0.5


def test_a_whole_picture_keeps_its_shape_at_512_pixels() -> None:
    small = Image.open(io.BytesIO(picture_thumbnail(Image.new("L", (2048, 1024), 7))))
    assert (small.format, small.size) == ("JPEG", (512, 256))


def test_a_region_is_cut_from_its_own_place() -> None:
    picture = Image.new("RGB", (1000, 800), (0, 0, 0))
    picture.paste((250, 10, 10), (600, 400, 700, 500))
    shown = Image.open(io.BytesIO(region_thumbnail(picture, Box(600, 400, 700, 500, FILM))))
    red, green, _ = shown.getpixel((shown.width // 2, shown.height // 2))
    assert shown.size == (192, 192)
    assert red > 230
    assert green < 30
    assert max(shown.getpixel((4, 4))) < 30
