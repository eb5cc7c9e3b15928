"""Small JPEG pictures an index carries, so that its hits can be shown without the corpus.

A whole picture is scaled to at most PICTURE_SIDE pixels. A region is shown in its surroundings: the
`view` of its box, a window in file pixels inside the frame, scaled to at most CROP_SIDE.
"""

from __future__ import annotations

import io

from PIL import Image

from regionmed.geometry import Box

PICTURE_SIDE = 512  # pixels, longest side of a whole picture's thumbnail
CROP_SIDE = 192  # pixels, longest side of a region's thumbnail
SURROUNDINGS = 2.0  # a view is this many times as wide as the longer side of its box
SMALLEST_VIEW = 48.0  # file pixels: a cell of 9 px is not blown up into a blur
JPEG_QUALITY = 85


def view(box: Box) -> Box:
    """The window in which a region is shown, in whole file pixels, inside the frame."""
    side = max(SURROUNDINGS * max(box.width, box.height), SMALLEST_VIEW)
    x0, x1 = _span(box.centre[0], side, box.frame.width)
    y0, y1 = _span(box.centre[1], side, box.frame.height)
    return Box(x0, y0, x1, y1, box.frame)


def picture_thumbnail(picture: Image.Image) -> bytes:
    """JPEG of the whole picture, longest side at most PICTURE_SIDE pixels."""
    return _jpeg(picture, PICTURE_SIDE)


def region_thumbnail(picture: Image.Image, box: Box) -> bytes:
    """JPEG of the `view` of a box given in file pixels of this picture."""
    x0, y0, x1, y1 = (int(edge) for edge in view(box).edges)
    return _jpeg(picture.crop((x0, y0, x1, y1)), CROP_SIDE)


def _span(centre: float, side: float, length: int) -> tuple[float, float]:
    # moved back inside the frame rather than cut: regions at an edge keep their surroundings
    side = min(float(round(side)), float(length))
    start = min(max(float(round(centre - side / 2)), 0.0), length - side)
    return start, start + side


def _jpeg(picture: Image.Image, longest: int) -> bytes:
    small = picture.convert("RGB") if picture.mode not in ("L", "RGB") else picture.copy()
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=JPEG_QUALITY)
    return encoded.getvalue()
