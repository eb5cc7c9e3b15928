"""Pictures of the report as data URIs: small, and with heat laid over them where asked."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from regionmed.evaluation.encode import Floats
from regionmed.geometry import Box, Placement

SIDE = 280  # pixels of the longer side
QUALITY = 78
HEAT_COLOUR = (255, 176, 0)  # amber: told from grey tissue by every kind of colour vision
HEAT_OPACITY = 0.62


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture to be shown with places drawn over it in its own file pixels."""

    uri: str
    width: int  # file pixels: the drawing's coordinates
    height: int


def thumbnail(image: Image.Image) -> Thumbnail:
    """The picture, smaller."""
    return Thumbnail(_uri(_small(image)), *image.size)


def heat_thumbnail(image: Image.Image, map_hw: Floats, placement: Placement) -> Thumbnail:
    """The picture in grey under its heat map, 0..1 over the model frame, smoothed between cells."""
    small = _small(image)
    frame = placement.source
    corners = placement.box(Box(0, 0, frame.width, frame.height, frame)).unit()
    # Pillow refuses a box that leaves the map by the last bit of a float.
    x0, y0, x1, y1 = (len(map_hw) * min(max(edge, 0.0), 1.0) for edge in corners)
    heat = Image.fromarray(np.asarray(map_hw, np.float32)).resize(
        small.size, Image.Resampling.BILINEAR, box=(x0, y0, x1, y1)
    )
    grey = np.asarray(small.convert("L"), float)[..., None]
    opacity = HEAT_OPACITY * np.asarray(heat, float).clip(0, 1)[..., None]
    mixed = grey * (1 - opacity) + np.array(HEAT_COLOUR, float) * opacity
    return Thumbnail(_uri(Image.fromarray(mixed.round().astype(np.uint8))), *image.size)


def _small(image: Image.Image) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return copy


def _uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
