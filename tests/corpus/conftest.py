"""Small annotated sources, laid out as people lay them out."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regionmed.corpus.readers.source import Source, open_source

Lay = Callable[[dict[str, bytes | str]], Path]


def picture(width: int = 40, height: int = 30, seed: int = 0, kind: str = "PNG") -> bytes:
    """The bytes of a picture of coarse noise; equal seeds, equal pictures."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def mask(width: int, height: int, box: tuple[int, int, int, int] | None, level: int = 255) -> bytes:
    """A grey PNG mask with a filled box x0 y0 x1 y1, or empty."""
    pixels = np.zeros((height, width), dtype=np.uint8)
    if box is not None:
        pixels[box[1] : box[3], box[0] : box[2]] = level
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Writes members into the folder tmp_path/films and gives the folder."""

    def lay_out(members: dict[str, bytes | str]) -> Path:
        folder = tmp_path / "films"
        for path, content in members.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return lay_out


@pytest.fixture
def source_of(lay: Lay) -> Callable[[dict[str, bytes | str]], Source]:
    """A Source with the members given."""
    return lambda members: open_source(lay(members))
