"""The bytes of a picture -> 8-bit pixels, their frame, and what was done to get there.

The pixel grid is the file's own: annotations count in it, so no EXIF or TIFF orientation is
applied, nothing is cropped and nothing resized. Ordinary picture files go through Pillow, DICOM
through dicom_pixels.py; which of the two is told by the content, never by the name.

`Picture.applied` says what was done (JSON): Pillow's format and mode or DICOM's steps, the frame
taken from several (`frame` counts from 0), the range of deep greys. `replay` does it again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base

from regionmed.corpus import dicom_pixels
from regionmed.corpus.dicom_pixels import is_dicom, shown_range, stretch
from regionmed.errors import CorpusError
from regionmed.geometry import Frame

__all__ = ["Picture", "encode_picture", "is_dicom", "load_stored", "read_picture", "replay"]

# raster formats only: Pillow would also open PostScript and other formats that run programs
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "JPEG2000")
DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_TURNED_BACK = {  # TIFF orientation -> what undoes the turn that Pillow makes for it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_JPEG_DROPPED = {*range(0xE1, 0xF0), 0xFE} - {0xE2, 0xEE}  # APP1.. and comments, not ICC, Adobe


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels uint8, (H, W) grey or (H, W, 3) RGB, in the frame 'file'; `applied` is JSON."""

    pixels: NDArray[np.uint8]
    frame: Frame
    applied: dict[str, Any]


def read_picture(data: bytes, name: str) -> Picture:
    """The picture in the bytes of a file; `name` stands in messages only.

    Grey of more than 8 bits is stretched from its 0.5th to its 99.5th percentile (all values where
    these coincide) unless DICOM states a window; transparent pixels lie over black.
    Raises CorpusError where there is no picture, more pixels than Pillow's limit, or damage.
    """
    if is_dicom(data):
        pixels, applied = dicom_pixels.read(data, name)
        return _picture(pixels, applied)
    with _open(data, name) as image:
        applied = {
            "format": image.format,
            "mode": image.mode,
            "frame": 0,
            "frames": getattr(image, "n_frames", 1),
        }
        loaded = _load(image, name)
        if loaded.mode in DEEP_GREY:
            applied["range"] = shown_range(np.asarray(loaded))
        return _picture(_flatten(loaded, applied), applied)


def replay(data: bytes, name: str, applied: dict[str, Any]) -> Picture:
    """The same pixels again, bit for bit, from the same bytes and a stored `applied`."""
    if is_dicom(data):
        return _picture(dicom_pixels.replay(data, name, applied), applied)
    with _open(data, name) as image:
        return _picture(_flatten(_load(image, name), applied), applied)


def encode_picture(data: bytes, picture: Picture) -> bytes:
    """What a shard stores: a PNG or JPEG that any browser shows on the file's own pixel grid.

    An 8-bit PNG or JPEG keeps its compressed pixels; EXIF (its rotation, its place) and comments
    are left behind. Everything else becomes a PNG of the pixels.
    """
    if picture.applied["format"] == "JPEG" and picture.applied["mode"] in ("L", "RGB"):
        return _without_metadata(data)
    if picture.applied["format"] == "PNG" and _is_plain_png(data, picture.applied):
        return data
    stored = io.BytesIO()
    Image.fromarray(picture.pixels).save(stored, "PNG")
    return stored.getvalue()


def _picture(pixels: NDArray[np.uint8], applied: dict[str, Any]) -> Picture:
    height, width = pixels.shape[:2]
    return Picture(pixels, Frame("file", width, height), applied)


def _open(data: bytes, name: str) -> Image.Image:
    if not data:
        raise CorpusError(f"{name}: the file is empty, so no picture")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise CorpusError(
            f"{name}: the picture has more than {Image.MAX_IMAGE_PIXELS} pixels"
        ) from error
    except UnidentifiedImageError as error:
        raise CorpusError(
            f"{name}: the content is no picture; needed is one of {', '.join(FORMATS)}, DICOM"
        ) from error
    # a header that lies raises what its format's parser raises
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, EOFError) as error:
        raise CorpusError(f"{name}: the head of the picture is damaged") from error
    limit = Image.MAX_IMAGE_PIXELS  # Pillow only warns up to twice its limit
    if limit is not None and image.width * image.height > limit:
        raise CorpusError(f"{name}: the picture has more than {limit} pixels")
    return image


def load_stored(image: Image.Image) -> Image.Image:
    """The opened picture, loaded, on the pixel grid that its file stores; raises as Pillow does.

    Pillow turns TIFF files by their orientation tag while it loads them: that is turned back.
    """
    turned = image.getexif().get(Base.Orientation) if image.format == "TIFF" else None
    image.load()
    return image.transpose(_TURNED_BACK[turned]) if turned in _TURNED_BACK else image


def _load(image: Image.Image, name: str) -> Image.Image:
    try:
        return load_stored(image)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, EOFError, IndexError) as error:
        raise CorpusError(f"{name}: the picture is damaged or cut short") from error


def _flatten(image: Image.Image, applied: dict[str, Any]) -> NDArray[np.uint8]:
    """Any Pillow mode as uint8 grey (H, W) or RGB (H, W, 3)."""
    if "range" in applied:
        return stretch(np.asarray(image), applied["range"]["low"], applied["range"]["high"])
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        over = Image.alpha_composite(black, image.convert("RGBA"))
        return np.array(over.convert("L" if image.mode == "LA" else "RGB"))
    return np.array(image.convert("RGB"))


def _is_plain_png(data: bytes, applied: dict[str, Any]) -> bool:
    """Whether a PNG holds 8-bit grey or RGB and none of the chunks that may name a person."""
    chunks, at = set(), 8
    while at + 8 <= len(data):
        chunks.add(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    spoken = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tRNS", b"acTL"}
    return applied["mode"] in ("L", "RGB") and data[24] == 8 and not chunks & spoken


def _without_metadata(data: bytes) -> bytes:
    """The same JPEG without EXIF, comments and vendor segments; compressed pixels untouched.

    ICC (APP2) and Adobe (APP14) stay: decoders read the colour space from them.
    """
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:  # start of scan: what follows is compressed pixels
            break
        if marker == 0xFF:  # a fill byte before a marker
            at += 1
            continue
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker not in _JPEG_DROPPED:
            kept.append(data[at : at + length])
        at += length
    return b"".join((*kept, data[at:]))
