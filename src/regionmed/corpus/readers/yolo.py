"""YOLO: one txt file a picture, a line a region, numbers in 0..1 of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath

import yaml

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import files_beside_pictures, first_line, pair_files
from regionmed.corpus.readers.places import placed_box, polygon_edges
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame
from regionmed.record import Record, Region

_NAME_LISTS = ("classes.txt", "obj.names", "labels.txt", "names.txt")


def looks_like_yolo(source: Source) -> bool:
    """Whether txt files beside pictures hold a class and 4 or more numbers a line.

    Where classes are named, such files may have other names than the pictures: the reader says so.
    """
    names_classes = any(_yaml_names(source, path) for path in _yaml_files(source))
    labels = files_beside_pictures(source, ".txt")
    if not labels:
        firsts = (first_line(source, path) for path in source.with_suffix(".txt")[:50])
        return names_classes and any(line and _may_open(line) for line in firsts)
    first = next((line for path in labels[:50] if (line := first_line(source, path))), None)
    return names_classes if first is None else _may_open(first)


def read_yolo(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture; as YOLO's trainers do, a picture without lines has no regions."""
    names = class_names(source)
    labels, losses = pair_files(source, ".txt", "label file", _may_open)
    yield from losses
    for image in sorted(source.pictures()):
        if image in labels:
            found = partial(_regions, source, labels[image], names, image)
            yield from assemble(source, image, "yolo", found)
        else:
            yield Loss("the picture has no label file, not even an empty one", image)


def _may_open(line: str | None) -> bool:
    return line is None or _numbers(line) is not None


def class_names(source: Source) -> dict[int, str]:
    """Class number -> name, from data.yaml (a list or a dict) or a list of names a line."""
    for path in _yaml_files(source):
        names = _yaml_names(source, path)
        if names:
            return names
    for path in source.paths:
        if PurePosixPath(path).name.lower() in _NAME_LISTS:
            lines = [line.strip() for line in source.text(path).splitlines()]
            return {number: name for number, name in enumerate(lines) if name}
    raise CorpusError(
        f"{source.name}: read as yolo, but no data.yaml and no classes.txt names its classes; "
        "add one of them"
    )


def _yaml_files(source: Source) -> list[str]:
    return source.with_suffix(".yaml", ".yml")


def _yaml_names(source: Source, path: str) -> dict[int, str]:
    try:
        content = yaml.safe_load(source.text(path))
    except yaml.YAMLError:
        return {}
    names = content.get("names") if isinstance(content, Mapping) else None
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, Mapping):
        return {int(number): str(name) for number, name in names.items() if str(number).isdigit()}
    return {}


def _numbers(line: str) -> tuple[int, list[float]] | None:
    """Class and numbers of a line; None where it is no YOLO line."""
    try:
        first, *rest = (float(word) for word in line.split())
    except ValueError:
        return None
    if len(rest) < 4 or not first.is_integer() or first < 0:
        return None
    return int(first), rest


def _regions(
    source: Source, path: str, names: dict[int, str], image: str, frame: Frame
) -> Iterator[Region | Loss]:
    lines = [line for line in source.text(path).splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        parsed = _numbers(line)
        if parsed is None:
            yield Loss("the line is no class with 4 or more numbers", path, f"line {number}")
            continue
        kind, values = parsed
        if kind not in names:
            known = f"0 to {max(names)}" if names else "none"
            raise CorpusError(
                f"{source.name}: '{path}', line {number}: class {kind} has no name, the "
                f"classes are {known}; is this the label file of another set?"
            )
        yield _region(names[kind], values, frame, image, number)


def _region(
    label: str, values: list[float], frame: Frame, image: str, number: int
) -> Region | Loss:
    """4 numbers are centre and size, 5 have a confidence as well, more are a polygon's corners."""
    w, h = frame.width, frame.height
    if len(values) <= 5:
        x, y, width, height = values[:4]
        edges = (
            (x - width / 2) * w,
            (y - height / 2) * h,
            (x + width / 2) * w,
            (y + height / 2) * h,
        )
        confidence = values[4] if len(values) == 5 else None
        return placed_box(label, edges, frame, image=image, number=number, confidence=confidence)
    if len(values) % 2:
        return Loss("a polygon needs pairs of x and y", image, f"region {number} ('{label}')")
    corners = [value * (h if i % 2 else w) for i, value in enumerate(values)]
    return placed_box(
        label,
        polygon_edges(corners),
        frame,
        image=image,
        number=number,
        shape="polygon",
        polygons=[corners],
    )
