"""Tables of boxes: one row a region; CSV, JSON or JSONL.

Columns x0 y0 x1 y1 (xmin.., x1 y1 x2 y2, left top right bottom) or x y width height (left top ..),
or one column `bbox` of four numbers (then x0 y0 x1 y1); pixels, or 0..1 if no number exceeds 1.
A `mask` column names a mask file: of the whole picture, or a crop placed at the box's corner.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import foreground, picture_frame, placed_box
from regionmed.corpus.readers.source import Loss, Source
from regionmed.corpus.readers.tables import (
    SYNONYMS,
    Table,
    best_image_column,
    find_column,
    need,
    read_tables,
)
from regionmed.errors import CorpusError
from regionmed.geometry import Frame, Mask
from regionmed.record import Provenance, Record, Region

# four columns each; spelling is folded, so x_min and xMin are xmin
CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x0", "y0", "x1", "y1"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
CORNER_AND_SIZE = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"),
    ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
)
WHOLE = ("bbox", "box", "bounding_box")
MANY = (
    0.1  # share of impossible rows from which the columns are misread rather than a few rows wrong
)


@dataclass(frozen=True)
class _Layout:
    """Which columns hold the box, and whether the last two are a size."""

    columns: tuple[str, ...]
    is_size: bool


def looks_like_boxes(source: Source) -> bool:
    """Whether a table has columns for a picture and for four edges."""
    return any(_layout(table) and table.column("image") for table in _tables(source))


def read_boxes(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture of the source; pictures that no row names have no regions."""
    tables = _tables(source)
    box_tables = [table for table in tables if _layout(table)]
    if not box_tables:
        table = tables[0] if tables else Table(source.name, [])
        need(table, None, "boxes", ("xmin, ymin, xmax, ymax", "x, y, width, height", "bbox"))
    pictures = Pictures(source.pictures())
    rows: dict[str, list[tuple[Table, dict[str, Any]]]] = defaultdict(list)
    for table in box_tables:
        column = best_image_column(table, pictures)
        column = need(table, column, "the picture", SYNONYMS["image"])
        for number, row in enumerate(table.rows, start=1):
            image = pictures.find(str(row.get(column) or ""), table.path)
            if image is None:
                yield Loss("the row names no picture of the source", table.path, f"row {number}")
            else:
                rows[image].append((table, row))
    _refuse_misread(source, rows)
    for image in _record_pictures(source, pictures, rows):
        yield from _read_picture(source, image, rows.get(image, []))


def _tables(source: Source) -> list[Table]:
    return read_tables(source, source.hints.get("tables", ()))


def _layout(table: Table) -> _Layout | None:
    for layouts, is_size in ((CORNERS, False), (CORNER_AND_SIZE, True)):
        for names in layouts:
            found = [find_column(table.columns, (name,)) for name in names]
            if all(found):
                return _Layout(tuple(column for column in found if column), is_size)
    whole = find_column(table.columns, WHOLE)
    return _Layout((whole,), False) if whole else None


def _record_pictures(source: Source, pictures: Pictures, rows: dict[str, Any]) -> list[str]:
    """Every picture that is not the mask of a row."""
    masks = {
        str(row.get(table.column("mask") or ""))
        for entries in rows.values()
        for table, row in entries
    }
    return [path for path in pictures.paths if path in rows or path not in masks]


def _numbers(row: dict[str, Any], layout: _Layout) -> list[float] | None:
    """The four numbers as written; None where they are not all there."""
    values: Sequence[Any] = [row.get(column) for column in layout.columns]
    if len(values) == 1:
        cell = values[0]
        if isinstance(cell, str):
            cell = re.findall(r"[-+.\deE]+", cell)
        values = cell if isinstance(cell, list) else []
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 4 else None


def _refuse_misread(source: Source, rows: dict[str, list[tuple[Table, dict[str, Any]]]]) -> None:
    """One sentence for columns that say corners and hold sizes."""
    written = [
        (table, numbers)
        for entries in rows.values()
        for table, row in entries
        if (layout := _layout(table)) and not layout.is_size and (numbers := _numbers(row, layout))
    ]
    impossible = [table for table, (x0, y0, x1, y1) in written if x1 < x0 or y1 < y0]
    if written and len(impossible) > MANY * len(written):
        layout = _layout(impossible[0])
        columns = ", ".join(layout.columns) if layout else ""
        raise CorpusError(
            f"{source.name}: {impossible[0].path}: {len(impossible)} of {len(written)} boxes end before "
            f"they begin when columns {columns} are read as x0, y0, x1, y1; if the numbers are "
            "x, y, width, height, name the columns so"
        )


def _read_picture(
    source: Source, image: str, entries: list[tuple[Table, dict[str, Any]]]
) -> Iterator[Record | Loss]:
    try:
        frame = picture_frame(source, image)
    except CorpusError as error:
        yield Loss(str(error), image)
        return
    regions: list[Region] = []
    for number, (table, row) in enumerate(entries, start=1):
        found = _region(source, table, row, frame, image, number)
        if isinstance(found, Loss):
            yield found
        elif found is not None:
            regions.append(found)
    provenance = Provenance(source.name, "boxes")
    record_id = f"{source.name}/{image}"
    yield Record(record_id, source.name, image, None, frame, provenance, regions=tuple(regions))


def _region(
    source: Source, table: Table, row: dict[str, Any], frame: Frame, image: str, number: int
) -> Region | Loss | None:
    column = source.hints.get("label") or table.column("label")
    label = (
        str(row.get(column) or "") if column else str(source.hints.get("default_label", "region"))
    )
    layout = _layout(table)
    numbers = _numbers(row, layout) if layout else None
    if layout is None or not label or numbers is None:
        if not label or (numbers is None and not _is_blank(row, layout)):
            return Loss("the row has no label or no four numbers", image, f"row {number}")
        return None  # a row without any number says that the picture holds nothing
    x0, y0, x1, y1 = numbers
    if layout.is_size:
        x1, y1 = x0 + x1, y0 + y1
    x_scale, y_scale = _scale(table, row, (x0, y0, x1, y1), frame)
    edges = (x0 * x_scale, y0 * y_scale, x1 * x_scale, y1 * y_scale)
    confidence = _confidence(table, row)
    found = placed_box(label, edges, frame, image=image, number=number, confidence=confidence)
    mask = table.column("mask")
    if isinstance(found, Region) and mask and row.get(mask):
        return _with_mask(source, found, str(row[mask]))
    return found


def _is_blank(row: dict[str, Any], layout: _Layout | None) -> bool:
    return layout is None or all(row.get(column) in (None, [], "[]") for column in layout.columns)


def _scale(
    table: Table, row: dict[str, Any], edges: Sequence[float], frame: Frame
) -> tuple[float, float]:
    """Factors from the row's numbers to file pixels: a stated size, 0..1, or none."""
    width, height = table.column("stated_width"), table.column("stated_height")
    if width and height and row.get(width) and row.get(height):
        return frame.width / float(row[width]), frame.height / float(row[height])
    resolution = find_column(table.columns, ("resolution", "image_size"))
    stated = (
        re.fullmatch(r"(\d+)\s*[xX×]\s*(\d+)", str(row.get(resolution))) if resolution else None
    )
    if stated:
        return frame.width / int(stated[1]), frame.height / int(stated[2])
    if max(edges) <= 1:
        return float(frame.width), float(frame.height)
    return 1.0, 1.0


def _confidence(table: Table, row: dict[str, Any]) -> float | None:
    column = table.column("confidence")
    try:
        return float(row[column]) if column else None
    except (KeyError, TypeError, ValueError):
        return None


def _with_mask(source: Source, region: Region, path: str) -> Region:
    """The region with its mask file laid over the frame; without one where the file is not there."""
    if path not in source.paths:
        return region
    crop = foreground(source.read(path), path)
    frame = region.box.frame
    pixels = np.zeros((frame.height, frame.width), dtype=np.bool_)
    if crop.shape == pixels.shape:
        pixels = crop
    else:
        # a crop belongs at the corner of its box, rounded to whole pixels
        x, y = max(round(region.box.x0), 0), max(round(region.box.y0), 0)
        part = crop[: frame.height - y, : frame.width - x]
        pixels[y : y + part.shape[0], x : x + part.shape[1]] = part
    return replace(region, mask=Mask(pixels, frame)) if pixels.any() else region
