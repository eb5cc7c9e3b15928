"""What people hand to a model: pictures in any form, places in file pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regionmed.batches.batch import cell_coverage
from regionmed.batches.cache import place_picture
from regionmed.corpus.pixels import read_picture
from regionmed.errors import FrameError, UsageError
from regionmed.geometry import Box, Frame, Placement
from regionmed.record import Region

Picture = Image.Image | NDArray[Any] | str | Path
Places = Sequence[Region] | NDArray[Any]


def open_picture(image: Picture, size: int) -> tuple[NDArray[np.uint8], Placement]:
    """A PIL image, uint8 array (h, w) or (h, w, 3), or path -> the letterboxed picture.

    returns  uint8 (size, size, 3) and the placement file -> model
    UsageError where it is none of these or there is no such file.
    """
    if isinstance(image, (str, Path)):
        path = Path(image)
        if not path.is_file():
            raise UsageError(f"no picture at {path}; give a PNG, JPEG or DICOM file")
        image = read_picture(path.read_bytes(), path.name).pixels
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise UsageError(
                "a picture array must be uint8 (h, w) or (h, w, 3), "
                f"got {image.dtype} {image.shape}"
            )
        image = Image.fromarray(image)
    return place_picture(image, size)


def file_boxes(given: Places, frame: Frame) -> list[Box]:
    """Boxes (k, 4) x0 y0 x1 y1 in file pixels, or Regions, as Boxes of the picture's frame.

    FrameError where one reaches past the picture or belongs to a picture of another size.
    """
    boxes = []
    for number, item in enumerate(given, 1):
        if isinstance(item, Region):
            other = item.box.frame
            if (other.width, other.height) != (frame.width, frame.height):
                raise FrameError(
                    f"region {number} belongs to a picture of {other.width} x {other.height} px, "
                    f"this one has {frame.width} x {frame.height}"
                )
            edges: tuple[float, ...] = item.box.edges
        else:
            edges = tuple(float(edge) for edge in item)
        if len(edges) != 4:
            raise FrameError(f"box {number} needs four numbers x0 y0 x1 y1, got {len(edges)}")
        box = Box(*edges, frame)
        if not box.is_inside(tolerance=1.0):
            raise FrameError(
                f"box {number} {edges} reaches past the picture "
                f"({frame.width} x {frame.height} px); give x0 y0 x1 y1 in file pixels"
            )
        boxes.append(box)
    return boxes


def mask_cover(given: Places, placement: Placement, grid: int) -> NDArray[np.float32] | None:
    """Share of each dense cell under each region's mask: float32 (k, grid, grid).

    Zeros for a region without a mask; None where none has one.
    """
    masked = [isinstance(item, Region) and item.mask is not None for item in given]
    if not any(masked):
        return None
    empty = np.zeros((grid, grid), np.float32)
    return np.stack(
        [
            cell_coverage(item, placement, grid) if has else empty
            for item, has in zip(given, masked, strict=True)
        ]
    )
