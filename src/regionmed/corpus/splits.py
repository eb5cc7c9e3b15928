"""Which split a record belongs to: from a table, or drawn by family.

A family is everything that patients, cases and twins tie together; it never crosses a split.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from regionmed.corpus.readers.tables import find_column, parse_rows
from regionmed.errors import CorpusError

SEED = 0
TRAIN_UNTIL, VAL_UNTIL = 0.7, 0.8  # shares of a set's records at which train and val end
_SPELLINGS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_IMAGE = ("image", "picture", "image_path", "filename", "file", "path")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a splits table says of one picture."""

    split: str | None
    exclude: str | None = None
    group: str | None = None
    twins: str | None = None


class SplitsTable:
    """A table of pictures and their splits: CSV, JSON or JSONL; columns image, split and optionally
    set, exclude (a reason), group, twins."""

    def __init__(self, path: Path) -> None:
        try:
            rows = parse_rows(path.read_text("utf-8-sig"), path.name)
        except OSError:
            raise CorpusError(f"splits table '{path}' cannot be read") from None
        except UnicodeDecodeError:
            raise CorpusError(
                f"splits table '{path}' is no UTF-8 text; save it as CSV, JSON or JSONL in UTF-8"
            ) from None
        self.name = path.name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        image = _need(path, columns, "image", _IMAGE)
        split = _need(path, columns, "split", ("split", "part", "subset"))
        set_name = find_column(columns, ("set", "dataset", "source"))
        self.has_twins = find_column(columns, ("twins",)) is not None
        self._rulings: dict[tuple[str | None, str], Ruling] = {}
        for number, row in enumerate(rows, start=1):
            if row.get(image) is None:
                continue
            key = (row.get(set_name) if set_name else None, str(row[image]))
            self._rulings[key] = _ruling(path, number, row, split)

    def find(self, set_name: str, image: str) -> Ruling | None:
        """What the table says of a picture: by set and path, by path, or by file name."""
        name = PurePosixPath(image).name
        keys = ((set_name, image), (None, image), (set_name, name), (None, name))
        return next((self._rulings[key] for key in keys if key in self._rulings), None)


def draw_splits(sets: Sequence[str], families: Sequence[int], names: Sequence[str]) -> list[str]:
    """A split for each record: families in the order of a seeded hash, cut at 70 and 80 % of a set.

    `families` gives each record the index of its family's first record, whose set the family counts
    in and whose name in `names` is hashed: the order of the sources does not matter.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for record, family in enumerate(families):
        members[family].append(record)
    by_set: defaultdict[str, list[list[int]]] = defaultdict(list)
    for records in members.values():
        by_set[min(sets[record] for record in records)].append(records)
    splits = [""] * len(families)
    for ties in by_set.values():
        ties.sort(key=lambda records: _draw(min(names[record] for record in records)))
        total, passed = sum(len(records) for records in ties), 0
        for records in ties:
            middle = (passed + len(records) / 2) / total
            split = "train" if middle < TRAIN_UNTIL else "val" if middle < VAL_UNTIL else "test"
            for record in records:
                splits[record] = split
            passed += len(records)
    return splits


def _draw(name: str) -> str:
    return hashlib.sha256(f"{SEED}:{name}".encode()).hexdigest()


def _need(path: Path, columns: list[str], meaning: str, names: Sequence[str]) -> str:
    column = find_column(columns, names)
    if column is None:
        raise CorpusError(
            f"splits table '{path.name}' has no column '{meaning}'; it has "
            f"{', '.join(columns[:12]) or 'no rows'}"
        )
    return column


def _ruling(path: Path, number: int, row: dict[str, Any], column: str) -> Ruling:
    written = row.get(column)
    split = _SPELLINGS.get(str(written).strip().casefold()) if written is not None else None
    if written is not None and split is None:
        raise CorpusError(
            f"splits table '{path.name}', row {number}: '{written}' is none of train, val, test"
        )
    cells = {name: row.get(name) for name in ("exclude", "group", "twins")}
    return Ruling(split, **{name: None if v is None else str(v) for name, v in cells.items()})
