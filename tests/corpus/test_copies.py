"""A copy of a picture is found whatever was done to it; other pictures are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from regionmed.corpus.copies import LEAST, find_copies
from regionmed.corpus.greys import SIDE, grey_of
from regionmed.corpus.overlay import crisp, laid_over, overlay

WIDTH, HEIGHT = 180, 130


def photo(seed: int) -> Image.Image:
    """Soft blobs of all sizes, as tissue has them."""
    chance = np.random.default_rng(seed)
    mixed = np.zeros((HEIGHT, WIDTH))
    for cells in (4, 9, 20, 40):
        coarse = Image.fromarray(chance.integers(0, 256, (cells, cells)).astype(np.uint8))
        mixed += np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(mixed.astype(np.uint8))


def greys(*pictures: Image.Image) -> NDArray[np.uint8]:
    """The greys of some pictures."""
    return np.stack([grey_of(picture) for picture in pictures])


def squeezed(picture: Image.Image) -> Image.Image:
    """As JPEG of quality 30."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=30)
    return Image.open(io.BytesIO(stream.getvalue()))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "in colour": lambda picture: picture.convert("RGB"),
    "squeezed": squeezed,
    "inverted": ImageOps.invert,
    "mirrored": ImageOps.mirror,
    "brightened": lambda picture: picture.point(lambda grey: min(255, round(1.2 * grey))),
    "lifted": lambda picture: picture.point(lambda grey: round(255 * (grey / 255) ** 0.7)),
    "smaller": lambda picture: picture.resize((126, 91)),
    "trimmed": lambda picture: picture.crop((9, 1, WIDTH, HEIGHT - 5)),
    "trimmed and inverted": lambda picture: ImageOps.invert(picture.crop((2, 6, 173, HEIGHT))),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_copy_is_found_on_either_side_among_others(name: str) -> None:
    others = [photo(seed) for seed in range(1, 30)]
    plain, altered = greys(*others, photo(0)), greys(ALTERED[name](photo(0)))
    (there,) = find_copies(plain, altered)
    (back,) = find_copies(altered, plain)
    assert (there.first, there.second, back.first, back.second) == (29, 0, 0, 29)
    assert LEAST <= min(there.likeness, back.likeness) <= 1.0001


def test_pictures_with_the_same_outline_are_no_copies() -> None:
    # the same large bright disc, a texture of each one's own: two patients, one anatomy
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = 120.0 * ((x - 90) ** 2 + (y - 65) ** 2 < 50**2)
    pictures = [
        Image.fromarray((disc + np.asarray(photo(seed)) / 2).clip(0, 255).astype(np.uint8))
        for seed in range(12)
    ]
    assert np.corrcoef(greys(*pictures[:2]).reshape(2, -1))[0, 1] > 0.8
    assert find_copies(greys(*pictures[:6]), greys(*pictures[6:])) == []


def test_flat_pictures_and_empty_sides_are_copies_of_nothing() -> None:
    flat = np.full((2, SIDE, SIDE), 90, np.uint8)
    assert find_copies(flat, flat) == []
    assert find_copies(flat[:0], flat) == []
    assert find_copies(flat, flat[:0]) == []


def test_the_overlay_finds_a_known_place() -> None:
    whole = greys(photo(3))
    place = np.array([[0.03, -0.05, -0.02, -0.04]], np.float32)
    target = laid_over(whole.astype(np.float32), place)[0]
    start = np.zeros((1, 4), np.float32)
    found, likeness = overlay(crisp(target, SIDE), crisp(whole, SIDE), start, steps=12)
    np.testing.assert_allclose(found, place, atol=0.01)  # a third of a pixel
    assert likeness[0] > 0.95


def test_a_place_reads_the_pixels_it_says() -> None:
    ramp = np.arange(8, dtype=np.float32)[None, None, :].repeat(8, 1)
    shifted, inside = laid_over(ramp, np.array([[0, 0, 0.25, 0]], np.float32))
    # 0.25 of half a side of 8 pixels is one pixel to the right
    np.testing.assert_allclose(shifted[0, 0], [1, 2, 3, 4, 5, 6, 7, 0], atol=1e-5)
    assert inside[0, 0].tolist() == [True] * 7 + [False]
