"""Point files: one txt file a picture, a line `x y kind` a point, pixels from the upper left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import picture_frame, placed_point
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.record import Provenance, Record, Region


def looks_like_points(source: Source) -> bool:
    """Whether txt files beside pictures hold lines of x, y and a kind."""
    for path in _point_files(source)[:50]:
        for line in source.text(path).splitlines():
            if line.strip():
                return _point(line) is not None
    return False


def read_points(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture with a point file; kinds stay as written unless corpus/known names them."""
    pictures = Pictures(source.pictures())
    files: dict[str, str] = {}
    for path in _point_files(source):
        image = pictures.find(PurePosixPath(path).stem, path)
        if image is None:
            yield Loss("no picture in the source has this point file's name", path)
        else:
            files[image] = path
    for image in pictures.paths:
        if image not in files:
            yield Loss("the picture has no point file", image)
            continue
        try:
            frame = picture_frame(source, image)
        except CorpusError as error:
            yield Loss(str(error), image)
            continue
        regions: list[Region] = []
        lines = [line for line in source.text(files[image]).splitlines() if line.strip()]
        for number, line in enumerate(lines, start=1):
            parsed = _point(line)
            if parsed is None:
                yield Loss("the line is not `x y kind`", files[image], f"line {number}")
                continue
            x, y, kind = parsed
            found = placed_point(kind, x, y, frame, image=image, number=number)
            if isinstance(found, Loss):
                yield found
            else:
                regions.append(found)
        provenance = Provenance(source.name, "points")
        record_id = f"{source.name}/{image}"
        yield Record(record_id, source.name, image, None, frame, provenance, regions=tuple(regions))


def _point_files(source: Source) -> list[str]:
    stems = {PurePosixPath(path).stem for path in source.pictures()}
    return [path for path in source.with_suffix(".txt") if PurePosixPath(path).stem in stems]


def _point(line: str) -> tuple[float, float, str] | None:
    words = line.replace(",", " ").split()
    if len(words) != 3:
        return None
    try:
        return float(words[0]), float(words[1]), words[2]
    except ValueError:
        return None
