"""Picture files: the grid stays, deep greys are stretched by a stated rule, metadata is left."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from regionmed.corpus.pixels import encode_picture, is_dicom, read_picture, replay
from regionmed.corpus.readers.places import foreground, picture_frame
from regionmed.corpus.readers.source import open_source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """The pixels of an encoded picture, as a browser without EXIF would show them."""
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_colour_files_give_their_own_pixels_in_their_own_frame(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read_picture(saved(Image.fromarray(RGB), format, **options), "a")
    assert np.array_equal(picture.pixels, RGB)
    assert picture.frame == Frame("file", 7, 5)
    assert picture.applied["format"] == format


def test_a_pgm_is_recognised_by_content_and_stays_grey() -> None:
    picture = read_picture(b"P2 3 2 255  0 10 20  30 40 255\n", "film.jpg")
    assert picture.pixels.tolist() == [[0, 10, 20], [30, 40, 255]]


def test_sixteen_bits_are_stretched_between_stated_percentiles() -> None:
    values = np.arange(1000, 1201, dtype=np.uint16).reshape(1, 201)  # 0.5 % is 1001, 99.5 % 1199
    picture = read_picture(saved(Image.fromarray(values), "PNG"), "a")
    assert picture.applied["range"] == {
        "rule": "percentiles 0.5 to 99.5",
        "low": 1001.0,
        "high": 1199.0,
    }
    assert picture.pixels[0, [0, 1, 100, 199, 200]].tolist() == [0, 0, 128, 255, 255]


def test_a_deep_picture_of_two_values_uses_all_of_them() -> None:
    values = np.zeros((100, 100), np.uint16)
    values[0, 0] = 4000
    picture = read_picture(saved(Image.fromarray(values), "TIFF"), "a")
    assert picture.applied["range"]["rule"] == "all values"
    assert (picture.pixels[0, 0], picture.pixels[0, 1]) == (255, 0)


def test_transparent_pixels_lie_over_black_and_palettes_become_rgb() -> None:
    clear = Image.new("RGBA", (1, 1), (200, 100, 50, 0))
    half = Image.new("RGBA", (1, 1), (200, 100, 50, 128))
    palette = Image.fromarray(np.array([[1]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 8, 7])
    assert read_picture(saved(clear, "PNG"), "a").pixels.tolist() == [[[0, 0, 0]]]
    assert read_picture(saved(half, "PNG"), "a").pixels.tolist() == [[[100, 50, 25]]]
    assert read_picture(saved(palette, "PNG"), "a").pixels.tolist() == [[[9, 8, 7]]]


def test_one_bit_pictures_are_black_and_white() -> None:
    image = Image.fromarray(np.array([[True, False]]))
    assert read_picture(saved(image, "PNG"), "a").pixels.tolist() == [[255, 0]]


def _with_exif(format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show
    exif[0x010E] = "name of a person"
    return saved(Image.fromarray(RGB), format, exif=exif)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_exif_neither_turns_the_grid_nor_travels_with_the_stored_picture(format: str) -> None:
    data = _with_exif(format)
    picture = read_picture(data, "a")
    stored = encode_picture(data, picture)
    assert picture.pixels.shape == RGB.shape
    assert b"name of a person" in data
    assert b"name of a person" not in stored
    assert not Image.open(io.BytesIO(stored)).getexif()
    assert np.array_equal(decoded(stored), picture.pixels)


def test_plain_files_are_stored_as_they_are_and_comments_are_not() -> None:
    plain_jpeg = saved(Image.fromarray(RGB), "JPEG")
    plain_png = saved(Image.fromarray(RGB), "PNG")
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "name of a person")
    noted = saved(Image.fromarray(RGB), "PNG", pnginfo=note)
    assert encode_picture(plain_png, read_picture(plain_png, "a")) == plain_png
    assert encode_picture(plain_jpeg, read_picture(plain_jpeg, "a")) == plain_jpeg
    assert b"name of a person" not in encode_picture(noted, read_picture(noted, "a"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved(Image.fromarray(RGB), "BMP"),
        lambda: saved(Image.fromarray(RGB).convert("P"), "PNG"),
        lambda: saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        lambda: saved(Image.fromarray(RGB[..., 0].astype(np.uint16) * 9), "PNG"),
        lambda: saved(Image.fromarray(RGB[..., 0] > 9), "PNG"),
        lambda: saved(Image.fromarray(RGB[..., 0].astype(np.float32)), "TIFF"),
        lambda: saved(Image.fromarray(RGB), "JPEG", progressive=True, comment=b"hello"),
    ],
)
def test_what_a_shard_stores_shows_the_pixels_that_were_read(make: Callable[[], bytes]) -> None:
    data = make()
    picture = read_picture(data, "a")
    stored = encode_picture(data, picture)
    assert Image.open(io.BytesIO(stored)).format in ("PNG", "JPEG")
    assert np.array_equal(decoded(stored), picture.pixels)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_replay_from_stored_json_gives_the_same_bits(format: str) -> None:
    deep = Image.fromarray(RGB[..., 0].astype(np.uint16) * 100)
    data = saved(Image.fromarray(RGB) if format == "JPEG" else deep, format)
    picture = read_picture(data, "a")
    again = replay(data, "a", json.loads(json.dumps(picture.applied)))
    assert np.array_equal(again.pixels, picture.pixels)


def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = start + struct.pack(">I", 1000) + b"IDAT" + bytes(1004)
    with pytest.raises(CorpusError, match=r"bomb.png: the picture has more than"):
        read_picture(bomb, "bomb.png")


def test_the_warning_band_of_pillow_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 34)  # 5 x 7 are 35
    with pytest.raises(CorpusError, match="more than 34 pixels"):
        read_picture(saved(Image.fromarray(RGB), "BMP"), "a")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"%PDF-1.4 not a picture", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
        (b"{}", "is no picture"),
        (saved(Image.fromarray(RGB), "PNG")[:-40], "damaged or cut short"),
        (saved(Image.fromarray(np.tile(RGB, (40, 40, 1))), "JPEG")[:2000], "damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(CorpusError, match=f"^a.png: .*{reason}"):
        read_picture(data, "a.png")


def test_pictures_and_texts_are_not_taken_for_dicom() -> None:
    for data in (b"", b"\x08\x00", b"{}", saved(Image.fromarray(RGB), "PNG"), b"P2 3 2 255"):
        assert not is_dicom(data)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [RGB, RGB[:, :, 0].astype(np.uint16) * 100], ids=["8", "16"])
def test_the_orientation_of_a_tiff_is_not_applied(
    orientation: int, pixels: np.ndarray, tmp_path: Path
) -> None:
    tagged = saved(Image.fromarray(pixels), "TIFF", tiffinfo={274: orientation})
    plain = saved(Image.fromarray(pixels), "TIFF")
    picture = read_picture(tagged, "a")
    assert np.array_equal(picture.pixels, read_picture(plain, "a").pixels)
    assert picture.frame == Frame("file", 7, 5)
    assert np.array_equal(replay(tagged, "a", picture.applied).pixels, picture.pixels)
    (tmp_path / "a.tif").write_bytes(tagged)
    assert picture_frame(open_source(tmp_path), "a.tif") == picture.frame


def test_a_mask_in_a_turned_tiff_stays_on_the_stored_grid() -> None:
    mask = np.zeros((5, 7), np.uint8)
    mask[0, 1] = 255
    tagged = saved(Image.fromarray(mask), "TIFF", tiffinfo={274: 6})
    assert np.argwhere(foreground(tagged, "a")).tolist() == [[0, 1]]
