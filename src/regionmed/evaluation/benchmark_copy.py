"""A user's copy of a benchmark, laid out so that a reader of corpus/readers takes it as it is.

The copy itself is never touched: beside it, in a working folder, stands a folder of the
benchmark's name with links to the files of a folder, or the files of an archive, and where the
publisher's tables need it one table with the rows and columns that the reader knows.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.source import Source
from regionmed.corpus.readers.tables import parse_rows
from regionmed.errors import CorpusError
from regionmed.evaluation.benchmark_card import Card, Tables, folder
from regionmed.progress import Track, silent

TABLE = "rows.csv"  # of a copy whose publisher's tables were sorted out
Row = dict[str, Any]


def placed_splits(card: Card, source: Source) -> tuple[list[Row], list[str]]:
    """The rows of benchmarks/splits/NAME.csv under the paths of this copy, and the paths it lacks.

    Columns image, split, exclude, group, twins; empty cells are "". A copy in another encoding
    (film.png for film.jpg) is recognised by having none of the paths as written: then endings do
    not count. Pictures with a reason to exclude may be missing. Both are empty where the card
    ships no splits.
    """
    shipped = shipped_splits(card)
    members = set(source.paths)
    as_written = any(row["image"] in members for row in shipped)
    found = {path if as_written else without_ending(path): path for path in source.pictures()}
    placed: list[Row] = []
    missing: list[str] = []
    for row in shipped:
        path = found.get(row["image"] if as_written else without_ending(row["image"]))
        if path is not None:
            placed.append(row | {"image": path})
        elif not row["exclude"]:
            missing.append(row["image"])
    return placed, missing


def shipped_splits(card: Card) -> list[Row]:
    """The rows of benchmarks/splits/NAME.csv; none where the card ships no splits."""
    if card.splits.kind != "shipped":
        return []
    text = folder().joinpath("splits", f"{card.name}.csv").read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def without_ending(path: str) -> str:
    """A member path without its ending, so that film.png and film.jpg are one picture."""
    return str(PurePosixPath(path).with_suffix(""))


def lay_out(
    card: Card, source: Source, root: Path | None, work: Path, track: Track = silent
) -> tuple[Path, Path | None]:
    """Make the folder `work`/NAME for the reader, and the table of its splits.

    root      the folder that the source's members lie in, None for an archive
    returns   the folder to build from and the splits table, None where splits are drawn

    CorpusError where the publisher's tables name no picture of the copy.
    """
    target = work / card.name
    target.mkdir(parents=True)
    members: Sequence[str] = source.paths
    rulings: list[Row]
    if card.reading.tables is not None:
        rows = list(_rows(card.reading.tables, source))
        members, rulings = _matched(card, source, rows)
        _write(target / TABLE, [{k: v for k, v in row.items() if k != "split"} for row in rows])
    else:
        rulings, _ = placed_splits(card, source)
    for member in track(members, f"{card.name}: laying out the copy", len(members)):
        path = target / member
        path.parent.mkdir(parents=True, exist_ok=True)
        if root is not None:
            path.symlink_to(os.path.abspath(root / member))
        else:
            path.write_bytes(source.read(member))
    if not rulings:
        return target, None
    _write(work / "splits.csv", rulings)
    return target, work / "splits.csv"


def _rows(tables: Tables, source: Source) -> Iterator[Row]:
    """The rows that stay, under our column names, each with its split where one is stated."""
    files = {"": tables.files} if isinstance(tables.files, str) else dict(tables.files)
    for split, pattern in files.items():
        for row in _read(tables, source, fnmatch.filter(source.paths, pattern)[0]):
            if any(str(row.get(column)) != value for column, value in tables.keep.items()):
                continue
            ours = {name: row.get(column) for column, name in tables.columns.items()}
            for name, spoken in tables.values.items():
                ours[name] = spoken.get(str(ours[name]), ours[name])
            if split:
                ours["split"] = split
            yield from _side_by_side(ours, tables.side_by_side)


def _read(tables: Tables, source: Source, path: str) -> list[Row]:
    if not tables.header:
        return parse_rows(source.text(path), path)
    # quotes are part of the captions, so the lines are cut, not parsed
    lines = (line.split("\t") for line in source.text(path).splitlines() if "\t" in line)
    return [
        dict(zip(tables.header, (cell.strip() for cell in line), strict=False)) for line in lines
    ]


def _side_by_side(row: Row, columns: Sequence[str]) -> Iterator[Row]:
    """A row an entry of the lists; one row with empty cells where they hold nothing."""
    if not columns:
        yield row
        return
    lists = [row.get(column) or [] for column in columns]
    for cells in zip(*lists, strict=False) if all(lists) else ((None,) * len(columns),):
        yield row | dict(zip(columns, cells, strict=True))


def _matched(card: Card, source: Source, rows: list[Row]) -> tuple[list[str], list[Row]]:
    """The pictures that the rows name, under their paths in the copy, and their splits.

    Every row's `image` becomes the member path; rows without a picture keep the name they had, for
    the reader's ledger. No splits where the tables state none.
    """
    pictures = Pictures(source.pictures())
    group_by = card.reading.tables.group_by if card.reading.tables else None
    splits: dict[str, Row] = {}
    for row in rows:
        image = pictures.find(str(row.get("image") or ""))
        if image is None:
            continue
        row["image"] = image
        ruling = splits.setdefault(image, {"image": image, "split": row.get("split")})
        if group_by and (match := re.search(group_by, image)):
            ruling["group"] = f"{card.name}:{match[1]}"
    if not splits:
        raise CorpusError(
            f"{card.name}: no row of its tables names a picture of this copy; unpack the pictures "
            "beside the tables"
        )
    stated = card.splits.kind == "tables"
    return list(splits), list(splits.values()) if stated else []


def _write(path: Path, rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
