"""From numbers in a file to a Region in file pixels, or to a line of the ledger."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base

from regionmed.corpus.pixels import is_dicom, load_stored, read_picture
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Box, Frame, Mask, Point
from regionmed.record import Region, Shape

BACKWARDS = "the box ends before it begins (x1 < x0 or y1 < y0)"
SPECK = 2.0  # file pixels: a region smaller than this both ways marks nothing that can be seen


def picture_frame(source: Source, path: str) -> Frame:
    """The frame 'file' of a picture, from its head alone; CorpusError where it is no picture."""
    data = source.read(path)
    if is_dicom(data):
        return read_picture(data, path).frame
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Pillow states the size of a TIFF as turned by its orientation
            if image.format != "TIFF" or image.getexif().get(Base.Orientation, 1) == 1:
                return Frame("file", *image.size)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        pass  # read_picture says why, in its words
    return read_picture(data, path).frame


def placed_box(
    label: str,
    edges: Sequence[float],
    frame: Frame,
    *,
    image: str,
    number: int,
    shape: Shape = "box",
    polygons: Sequence[Sequence[float]] = (),
    confidence: float | None = None,
) -> Region | Loss:
    """A region from x0 y0 x1 y1 in file pixels; `polygons` (each x y x y ...) give it a mask.

    Regions without width or height, and specks, become a Loss. Edges past the frame are kept: what
    to do with them is decided in build.py.
    """
    name = f"region {number} ('{label}')"
    if not all(math.isfinite(number) for numbers in (edges, *polygons) for number in numbers):
        return Loss("the box holds something that is no number", image, name)
    x0, y0, x1, y1 = edges
    if x1 == x0 or y1 == y0:
        return Loss("the box has no width or no height", image, name)
    if x1 < x0 or y1 < y0:
        return Loss(BACKWARDS, image, name)
    if x1 - x0 < SPECK and y1 - y0 < SPECK:
        return Loss(f"the region is a speck, less than {SPECK:g} px both ways", image, name)
    mask = polygon_mask(polygons, frame) if polygons else None
    return Region(label, Box(x0, y0, x1, y1, frame), shape, mask=mask, confidence=confidence)


def stated_scale(side: int, stated: Any) -> float | None:
    """The factor from a stated length to the picture's side, in file pixels; 1 for nothing stated.

    None where what is stated is no length.
    """
    if stated is None:
        return 1.0
    try:
        length = float(stated)
    except (TypeError, ValueError):
        return None
    return side / length if 0 < length < math.inf else None


def placed_point(
    label: str, x: float, y: float, frame: Frame, *, image: str, number: int
) -> Region | Loss:
    """A point region in file pixels; a point outside its picture becomes a Loss."""
    if not (0 <= x <= frame.width and 0 <= y <= frame.height):
        reason = f"the point ({x:g}, {y:g}) lies outside its {frame.width} x {frame.height} picture"
        return Loss(reason, image, f"region {number} ('{label}')")
    point = Point(x, y, frame)
    return Region(label, point.square(), "point", point=point)


def placed_mask(
    label: str,
    pixels: NDArray[np.bool_],
    frame: Frame,
    *,
    image: str,
    mask_path: str | None,
) -> Region | Loss | None:
    """A region from foreground (H, W) of the whole frame; None where the mask is empty."""
    if pixels.shape != (frame.height, frame.width):
        height, width = pixels.shape
        reason = f"the mask is {width} x {height}, its picture {frame.width} x {frame.height}"
        return Loss(reason, image, f"mask '{mask_path}'")
    mask = Mask(pixels, frame)
    box = mask.box()
    if box is None:
        return None
    return Region(label, box, "mask", mask=mask, mask_path=mask_path)


def foreground(data: bytes, name: str) -> NDArray[np.bool_]:
    """The foreground of a mask file, bool (H, W).

    More than 127 in any colour channel; files whose levels stay below that (0/1 masks, label maps)
    count everything that is not 0, unless they are JPEG, whose background is never quite 0.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            lossy = opened.format == "JPEG"
            image = load_stored(opened)
            single = image.mode in ("1", "L", "P", "I", "I;16", "F")
            levels = np.asarray(image if single else image.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        raise CorpusError(f"mask '{name}' cannot be read as a picture") from None
    if levels.dtype == np.bool_:
        return levels
    if levels.ndim == 3:
        levels = np.maximum(np.maximum(levels[:, :, 0], levels[:, :, 1]), levels[:, :, 2])
    if lossy or levels.max() > 127:
        return levels > 127
    return levels > 0


def polygon_mask(polygons: Sequence[Sequence[float]], frame: Frame) -> Mask | None:
    """The pixels whose centre lies in one of the polygons (x y x y ..., file pixels), or None.

    Pillow's polygon would add its border, half a pixel on each side.
    """
    pixels = np.zeros((frame.height, frame.width), dtype=np.bool_)
    for corners in polygons:
        pixels |= _filled(np.reshape(corners, (-1, 2)), frame)
    return Mask(pixels, frame) if pixels.any() else None


def _filled(corners_N2: NDArray[np.float64], frame: Frame) -> NDArray[np.bool_]:
    """Even-odd filling, row by row: each edge that a row of centres crosses flips what follows."""
    pixels = np.zeros((frame.height, frame.width), dtype=np.bool_)
    x0, y0 = corners_N2.T
    x1, y1 = np.roll(corners_N2, -1, axis=0).T
    first, last = np.floor(y0.min() - 0.5), np.ceil(y0.max() + 0.5)
    for row in range(max(int(first), 0), min(int(last), frame.height)):
        centre = row + 0.5
        crossed = (y0 <= centre) != (y1 <= centre)
        slopes = (x1 - x0)[crossed] / (y1 - y0)[crossed]
        crossings = x0[crossed] + (centre - y0[crossed]) * slopes
        starts = np.clip(np.ceil(crossings - 0.5), 0, frame.width).astype(int)
        for start in starts:
            pixels[row, start:] ^= True
    return pixels


def polygon_edges(corners: Sequence[float]) -> tuple[float, float, float, float]:
    """The bounds x0 y0 x1 y1 of corners x y x y ..."""
    xs, ys = corners[::2], corners[1::2]
    return min(xs), min(ys), max(xs), max(ys)
