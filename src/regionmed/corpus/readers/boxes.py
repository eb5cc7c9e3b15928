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
from functools import partial
from typing import Any

import numpy as np

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import foreground, placed_box, stated_scale
from regionmed.corpus.readers.source import Loss, Source
from regionmed.corpus.readers.tables import (
    SYNONYMS,
    Patients,
    Table,
    best_image_column,
    find_column,
    need,
    read_tables,
)
from regionmed.errors import CorpusError
from regionmed.geometry import Frame, Mask
from regionmed.record import Record, Region

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


@dataclass(frozen=True)
class _BoxTable:
    """A table and the columns of it that hold boxes."""

    table: Table
    edges: tuple[str, ...]  # four columns, or one with all four numbers
    is_size: bool  # whether the last two numbers are width and height
    label: str | None
    mask: str | None
    stated_size: str | None  # column "512x408": the size that pixels are counted in

    @classmethod
    def of(cls, table: Table, label: str | None) -> _BoxTable | None:
        """The table as one of boxes, or None where it has no columns for four edges."""
        edges, is_size = _edge_columns(table)
        if not edges:
            return None
        stated = find_column(table.columns, ("resolution", "image_size"))
        return cls(
            table, edges, is_size, label or table.column("label"), table.column("mask"), stated
        )

    def numbers(self, row: dict[str, Any]) -> list[float] | None:
        """The four numbers of a row as written; None where they are not all there."""
        values: Any = [row.get(column) for column in self.edges]
        if len(values) == 1:
            (cell,) = values
            values = re.findall(r"[-+.\deE]+", cell) if isinstance(cell, str) else cell
        try:
            numbers = [float(value) for value in values]
        except (TypeError, ValueError):
            return None
        return numbers if len(numbers) == 4 else None

    def is_blank(self, row: dict[str, Any]) -> bool:
        """Whether a row has no number at all: it says that its picture holds nothing."""
        return all(row.get(column) in (None, [], "[]") for column in self.edges)


_Rows = dict[str, list[tuple[_BoxTable, dict[str, Any]]]]


def looks_like_boxes(source: Source) -> bool:
    """Whether a table has columns for a picture and for four edges."""
    tables = read_tables(source, source.hints.get("tables", ()))
    return any(_edge_columns(table)[0] and table.column("image") for table in tables)


def read_boxes(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture of the source; pictures that no row names have no regions."""
    tables = read_tables(source, source.hints.get("tables", ()))
    label = source.hints.get("label")
    box_tables = [found for table in tables if (found := _BoxTable.of(table, label))]
    if not box_tables:
        table = tables[0] if tables else Table(source.name, [])
        need(table, None, "boxes", ("xmin ymin xmax ymax", "x y width height", "bbox"))
    pictures = Pictures(source.pictures())
    rows: _Rows = defaultdict(list)
    for boxes in box_tables:
        table = boxes.table
        column = best_image_column(table, pictures)
        column = need(table, column, "the picture", SYNONYMS["image"])
        need(table, boxes.label, "the label", SYNONYMS["label"])
        for number, row in enumerate(table.rows, start=1):
            image = pictures.find(str(row.get(column) or ""), table.path)
            if image is None:
                yield Loss("the row names no picture of the source", table.path, f"row {number}")
            else:
                rows[image].append((boxes, row))
    if not rows:
        raise CorpusError(
            f"{source.name}: no row of {box_tables[0].table.path} names a picture of the source; "
            "is this the table of another set?"
        )
    patients = Patients(source)
    masks = {row.get(boxes.mask or "") for entries in rows.values() for boxes, row in entries}
    for image in pictures.paths:
        if image in rows or image not in masks:
            entries = rows.get(image, [])
            regions = partial(_regions, source, entries, image)
            codes = (patients.code(boxes.table, row) for boxes, row in entries)
            yield from assemble(source, image, "boxes", regions, group=next(codes, None))


def _edge_columns(table: Table) -> tuple[tuple[str, ...], bool]:
    """The columns of the box, and whether they end in a size; no columns where there is no box."""
    for layouts, is_size in ((CORNERS, False), (CORNER_AND_SIZE, True)):
        for names in layouts:
            found = [find_column(table.columns, (name,)) for name in names]
            if all(found):
                return tuple(column for column in found if column), is_size
    whole = find_column(table.columns, WHOLE)
    return ((whole,) if whole else ()), False


def _regions(
    source: Source, rows: list[tuple[_BoxTable, dict[str, Any]]], image: str, frame: Frame
) -> Iterator[Region | Loss]:
    for number, (boxes, row) in enumerate(rows, start=1):
        numbers = boxes.numbers(row)
        label = row.get(boxes.label or "")
        if numbers is None and boxes.is_blank(row):
            continue
        if numbers is None or label is None:
            reason = "the row has no label" if numbers else "the row has no four numbers"
            yield Loss(reason, image, f"row {number}")
            continue
        x0, y0, x1, y1 = numbers
        if boxes.is_size:
            x1, y1 = x0 + x1, y0 + y1
        scale = _scale(boxes, row, (x0, y0, x1, y1), frame)
        if scale is None:
            yield Loss("the row states no usable size of its picture", image, f"row {number}")
            continue
        found = placed_box(
            str(label),
            (x0 * scale[0], y0 * scale[1], x1 * scale[0], y1 * scale[1]),
            frame,
            image=image,
            number=number,
            confidence=_confidence(boxes.table, row),
        )
        mask_path = row.get(boxes.mask) if boxes.mask else None
        if isinstance(found, Region) and mask_path:
            try:
                found = _with_mask(source, found, str(mask_path))
            except CorpusError as error:
                yield Loss(f"kept without its mask: {error}", image, f"row {number}")
        yield found


def _scale(
    boxes: _BoxTable, row: dict[str, Any], edges: Sequence[float], frame: Frame
) -> tuple[float, float] | None:
    """Factors from the row's numbers to file pixels: a stated size, 0..1, or none.

    None where the stated size is none.
    """
    columns = [boxes.table.column(f"stated_{side}") for side in ("width", "height")]
    stated = [row.get(column) if column else None for column in columns]
    if None in stated:
        size = re.fullmatch(r"(\d+)\s*[xX×]\s*(\d+)", str(row.get(boxes.stated_size or "")))
        stated = list(size.groups()) if size else []
    if stated:
        x_scale, y_scale = (
            stated_scale(side, length)
            for side, length in zip((frame.width, frame.height), stated, strict=True)
        )
        return (x_scale, y_scale) if x_scale and y_scale else None
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
    """The region with its mask file laid over the frame; CorpusError where that shows nothing."""
    if path not in source.paths:
        raise CorpusError(f"the source has no mask '{path}'")
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
    if not pixels.any():
        raise CorpusError(f"mask '{path}' is empty")
    return replace(region, mask=Mask(pixels, frame))
