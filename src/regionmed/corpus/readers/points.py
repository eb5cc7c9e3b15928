"""Point files: one txt file a picture, a line `x y kind` a point, pixels from the upper left."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import files_beside_pictures, first_line, pair_files
from regionmed.corpus.readers.places import placed_point
from regionmed.corpus.readers.source import Loss, Source
from regionmed.geometry import Frame
from regionmed.record import Record, Region


def looks_like_points(source: Source) -> bool:
    """Whether txt files beside pictures hold lines of x, y and a kind."""
    paths = files_beside_pictures(source, ".txt")[:50]
    firsts = (line for path in paths if (line := first_line(source, path)))
    return _is_point(next(firsts, None))


def read_points(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture with a point file; kinds stay numbers unless corpus/known names them."""
    files, losses = pair_files(source, ".txt", "point file", _is_point)
    yield from losses
    for image in sorted(source.pictures()):
        if image in files:
            found = partial(_points, source, files[image], image)
            yield from assemble(source, image, "points", found)
        else:
            yield Loss("the picture has no point file", image)


def _is_point(line: str | None) -> bool:
    return line is not None and _point(line) is not None


def _points(source: Source, path: str, image: str, frame: Frame) -> Iterator[Region | Loss]:
    lines = [line for line in source.text(path).splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        parsed = _point(line)
        if parsed is None:
            yield Loss("the line is not `x y kind`", path, f"line {number}")
        else:
            x, y, kind = parsed
            yield placed_point(kind, x, y, frame, image=image, number=number)


def _point(line: str) -> tuple[float, float, str] | None:
    words = line.replace(",", " ").split()
    if len(words) != 3:
        return None
    try:
        return float(words[0]), float(words[1]), words[2]
    except ValueError:
        return None
