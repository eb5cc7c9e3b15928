"""The pictures opened in the page: kept in memory, the least recently used forgotten first.

Nothing here touches the disk, and no file name is kept: a name may name a person.

H W height and width of the file's frame, in pixels
"""

from __future__ import annotations

import hashlib
import io
import math
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.dicom_pixels import grey_values, shown_range
from regionmed.corpus.pixels import Picture, read_picture, replay
from regionmed.errors import UsageError

KEPT = 8  # pictures
NAME = "the picture"  # stands in messages instead of a file name


@dataclass(frozen=True, slots=True)
class Window:
    """The values shown from black to white, after rescale; functions of PS3.3 C.11.2.1."""

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        least = 1.0 if self.function == "LINEAR" else 0.0  # PS3.3 C.11.2.1.2.1
        if not math.isfinite(self.center) or not self.width > 0 or self.width < least:
            raise UsageError(
                f"a {self.function} window needs a finite centre and a width of 1 or more, "
                f"got centre {self.center:g} and width {self.width:g}"
            )


@dataclass(frozen=True, eq=False)
class OpenPicture:
    """A picture as it was opened, and the bytes it came from."""

    id: str
    sha256: str  # of the bytes
    data: bytes
    picture: Picture
    window: Window | None  # what it opened with; None where it has 8 bits a channel and no window

    def png(self) -> bytes:
        """The pixels the model reads when no other window is asked for."""
        encoded = io.BytesIO()
        # level 1: a film of 5 million pixels is ready four times sooner than at the default level
        Image.fromarray(self.picture.pixels).save(encoded, "PNG", compress_level=1)
        return encoded.getvalue()

    def values(self) -> NDArray[np.float32]:
        """Grey values (H, W) after rescale, before any window; UsageError where there are none."""
        if self.window is None:
            raise UsageError("this picture has 8 bits a channel and no values beneath them")
        return grey_values(self.data, NAME, self.picture.applied).astype("<f4")

    def windowed(self, window: Window | None) -> Picture:
        """The picture under another window; as opened for None or where it has no window."""
        if window is None or self.window is None or window == self.window:
            return self.picture
        steps = {
            key: value
            for key, value in self.picture.applied.items()
            if key not in ("window", "range", "voi_lut")
        }
        asked = {"center": window.center, "width": window.width, "function": window.function}
        return replay(self.data, NAME, steps | {"window": asked})

    def as_row(self) -> dict[str, Any]:
        """JSON types: id, size in file pixels, the window it opened with, and what was applied."""
        frame, window, applied = self.picture.frame, self.window, self.picture.applied
        return {
            "id": self.id,
            "sha256": self.sha256,
            "width": frame.width,
            "height": frame.height,
            "colour": self.picture.pixels.ndim == 3,
            "inverted": bool(applied.get("inverted", False)),
            "window": window and {f: getattr(window, f) for f in ("center", "width", "function")},
            "applied": applied,
        }


class OpenPictures:
    """At most KEPT pictures, by an id nobody can guess; safe to use from several threads."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, OpenPicture] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, data: bytes) -> OpenPicture:
        """Read PNG, JPEG, DICOM or another picture; CorpusError where it is none."""
        picture = read_picture(data, NAME)
        sha256 = hashlib.sha256(data).hexdigest()
        opened = OpenPicture(secrets.token_hex(8), sha256, data, picture, _window(data, picture))
        with self._lock:
            self._pictures[opened.id] = opened
            while len(self._pictures) > KEPT:
                self._pictures.popitem(last=False)
        return opened

    def get(self, picture_id: str) -> OpenPicture | None:
        """The picture of this id; None where it was never opened or was forgotten since."""
        with self._lock:
            if picture_id in self._pictures:
                self._pictures.move_to_end(picture_id)
            return self._pictures.get(picture_id)


def _window(data: bytes, picture: Picture) -> Window | None:
    applied = picture.applied
    if (
        applied["format"] != "DICOM" or "inverted" not in applied
    ):  # only grey DICOM says its polarity
        return None
    if "window" in applied:
        step = applied["window"]
        return Window(step["center"], step["width"], step["function"])
    # a plain range, or a look-up table: the exact window that spans the same values
    step = applied.get("range") or shown_range(grey_values(data, NAME, applied))
    width = max(float(step["high"] - step["low"]), 1e-6)
    return Window(float(step["low"] + step["high"]) / 2, width, "LINEAR_EXACT")
