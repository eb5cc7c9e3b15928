"""Pictures decoded once: letterboxed into the model frame, kept as one memory-mapped uint8 array.

The model frame is square, `size` pixels a side; outside the placed picture it is black.
The cache lies in the corpus folder (`cache/pictures-<size>.npy`), so it goes when the corpus goes;
its name carries the corpus fingerprint, and it is renamed into place when complete.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.shards import Corpus
from regionmed.errors import CorpusError
from regionmed.geometry import Frame, Placement
from regionmed.progress import Track, silent


def model_frame(size: int) -> Frame:
    """The square frame that a model of this input size sees, in pixels."""
    return Frame("model", size, size)


def place_picture(image: Image.Image, size: int) -> tuple[NDArray[np.uint8], Placement]:
    """The picture letterboxed into the model frame.

    returns  uint8 (size, size, 3) RGB, black outside the picture; the placement file -> model
    """
    source, target = Frame("file", *image.size), model_frame(size)
    placement = Placement.letterbox(source, target)
    # The resized picture covers whole pixels; the placement stays exact, at most half a pixel off.
    x0, y0 = round(placement.x_shift), round(placement.y_shift)
    width = max(1, size - 2 * x0 if source.width < source.height else size)
    height = max(1, size - 2 * y0 if source.height < source.width else size)
    resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[y0 : y0 + height, x0 : x0 + width] = np.asarray(resized)
    return pixels, placement


@dataclass(frozen=True)
class PictureCache:
    """All pictures of a corpus in the model frame.

    pixels_NHWC  uint8 (records, size, size, 3), memory-mapped, rows in corpus order;
                 zeros for a record without a picture
    """

    pixels_NHWC: NDArray[np.uint8]
    frames: tuple[Frame | None, ...]

    @property
    def size(self) -> int:
        """Pixels a side of the model frame."""
        return int(self.pixels_NHWC.shape[1])

    def placement(self, row: int) -> Placement:
        """The way from the file frame of record `row` to the model frame."""
        frame = self.frames[row]
        if frame is None:
            raise CorpusError(f"record {row} of the corpus is a row of a table, without a picture")
        return Placement.letterbox(frame, model_frame(self.size))


def open_picture_cache(corpus: Corpus, size: int, track: Track = silent) -> PictureCache:
    """The cache of this corpus (or view of one) at this size, built when it is not there yet."""
    frames = tuple(record.frame for record in corpus)
    whole = corpus.whole
    path = _path(corpus, size)
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        _build(whole, size, path, track)
    pixels = np.load(path, mmap_mode="r")
    if len(corpus) != len(whole):  # a view takes its own rows into memory
        pixels = pixels[corpus.rows]
    return PictureCache(pixels, frames)


def cached_pixels(corpus: Corpus, size: int, rows: Sequence[int]) -> NDArray[np.uint8] | None:
    """Some rows of this corpus (or view of one), uint8 (len(rows), size, size, 3), from its cache.

    None where no cache of this size is there: pictures that are needed once are not worth one.
    """
    path = _path(corpus, size)
    if not path.is_file():
        return None
    pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")[corpus.rows[list(rows)]]
    return pixels


def _path(corpus: Corpus, size: int) -> Path:
    return corpus.folder / "cache" / f"pictures-{size}-{corpus.fingerprint[:12]}.npy"


def _build(corpus: Corpus, size: int, path: Path, track: Track) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        shape = (len(corpus), size, size, 3)
        pixels = np.lib.format.open_memmap(name, mode="w+", dtype=np.uint8, shape=shape)
        for row, record in enumerate(track(corpus, "decoding pictures", len(corpus))):
            if record.frame is not None:
                pixels[row] = place_picture(corpus.picture(row), size)[0]
        pixels.flush()
        del pixels
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
