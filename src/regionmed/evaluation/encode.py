"""Pictures, regions and texts of a Part through the model, each once.

Legend: N pictures · R regions · E embedding · T texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regionmed.progress import Track, silent

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

BATCH = 16  # pictures at a time: larger ones leave the cache of a small machine and are slower


@dataclass(frozen=True, slots=True)
class Encoded:
    """Unit rows: `images_NE`, and `regions_RE` of all pictures one after another."""

    images_NE: Floats
    regions_RE: Floats


def encode(
    model: RegionClip,
    pixels_NHWC: Pixels,
    boxes_NR4: Sequence[Floats] | None = None,
    title: str = "pictures",
    track: Track = silent,
) -> Encoded:
    """Embed pictures, and where boxes are given (unit edges of the model frame) their regions."""
    images, regions = [], []
    for start in track(range(0, len(pixels_NHWC), BATCH), title):
        rows = slice(start, start + BATCH)
        embedded = model.embed(
            pixels_NHWC[rows], None if boxes_NR4 is None else list(boxes_NR4[rows])
        )
        images.append(embedded.images)
        regions.extend(embedded.regions if boxes_NR4 is not None else [])
    none = np.zeros((0, model.embedding_dim), np.float32)
    return Encoded(np.concatenate([none, *images]), np.concatenate([none, *regions]))


def encode_texts(model: RegionClip, texts: Sequence[str]) -> Floats:
    """Unit rows (T, E); a text that comes again is encoded once."""
    # Texts of like length go together: a batch is padded to its longest.
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    parts = [
        model.encode_text(distinct[start : start + BATCH])
        for start in range(0, len(distinct), BATCH)
    ]
    rows = np.concatenate([np.zeros((0, model.embedding_dim), np.float32), *parts])
    row_of = {text: row for row, text in enumerate(distinct)}
    return rows[[row_of[text] for text in texts]]
