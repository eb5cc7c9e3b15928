"""What is kept of every picture to find its copies: 64 x 64 grey values, stretched to a square.

Stretched, not letterboxed: then a picture that lost some of its rim is an axis-aligned part of the
whole one, whatever the two files' sizes. The greys lie in the corpus folder
(`cache/greys-64-<fingerprint>.npy`), complete or absent: pictures are decoded for them once.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.shards import Corpus
from regionmed.progress import Track, silent

SIDE = 64
_COARSE = (4 * SIDE, 4 * SIDE)  # pixels that a large JPEG is decoded to at least


def grey_of(image: Image.Image) -> NDArray[np.uint8]:
    """The greys (SIDE, SIDE) uint8 of a picture of any size and mode."""
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    # every cell is the mean of its pixels; a gap lets large pictures shrink in two steps
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(small.convert("L"))


def open_greys(corpus: Corpus, track: Track = silent) -> NDArray[np.uint8]:
    """The greys (len(corpus), SIDE, SIDE) uint8 of a corpus or a view of one, in its order.

    Zeros stand for a record without a picture. Made at the first call and kept beside the corpus;
    where its folder cannot be written they are made at every call.
    """
    path = corpus.folder / "cache" / f"greys-{SIDE}-{corpus.fingerprint[:12]}.npy"
    if path.is_file():
        greys_NSS: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    else:
        greys_NSS = _looked_at(corpus.whole, track)
        _keep(greys_NSS, path)
    return greys_NSS[corpus.rows]


def _looked_at(corpus: Corpus, track: Track) -> NDArray[np.uint8]:
    greys_NSS = np.zeros((len(corpus), SIDE, SIDE), np.uint8)
    title = f"looking at {corpus.folder.name}"
    for index, record in enumerate(track(corpus, title, len(corpus))):
        if record.frame is not None:
            image = Image.open(io.BytesIO(corpus.picture_bytes(index)))
            image.draft(None, _COARSE)
            greys_NSS[index] = grey_of(image)
    return greys_NSS


def _keep(greys_NSS: NDArray[np.uint8], path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    except OSError:  # a corpus on a read-only disk is looked at again next time
        return
    try:
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, greys_NSS)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
