"""The encoded rows that a Part may be scored on, and which other rows share a patient with them."""

from __future__ import annotations

from collections.abc import Sequence

from regionmed.evaluation.encode import Rows
from regionmed.evaluation.part import Part
from regionmed.record import Record


def scored_rows(part: Part, rows: Rows) -> Rows:
    """The rows of part.records alone, in their order: pictures the model was trained on drop out.

    rows     of the Part's split, as rows_of gives them
    returns  records, embeddings and places that run parallel to part.records
    """
    scored = {record.id for record in part.records}
    return _chosen(rows, [record.id in scored for record in rows.records])


def apart_from(rows: Rows, records: Sequence[Record]) -> Rows:
    """The rows that share no group, no family of twins and no file with any of `records`."""
    taken = {name for record in records for name in _families(record)}
    return _chosen(rows, [taken.isdisjoint(_families(record)) for record in rows.records])


def _families(record: Record) -> set[tuple[str, str | None]]:
    named = {("group", record.group), ("twins", record.twins), ("file", record.sha256)}
    return {(kind, name) for kind, name in named if name is not None}


def _chosen(rows: Rows, keep: Sequence[bool]) -> Rows:
    if all(keep):
        return rows
    images = [row for row, kept in enumerate(keep) if kept]
    number_of = {row: number for number, row in enumerate(images)}
    regions = [index for index, (row, _) in enumerate(rows.places) if keep[row]]
    return Rows(
        records=tuple(rows.records[row] for row in images),
        images_NE=rows.images_NE[images],
        regions_RE=rows.regions_RE[regions] if len(rows.regions_RE) else rows.regions_RE,
        places=tuple((number_of[rows.places[i][0]], rows.places[i][1]) for i in regions),
    )
