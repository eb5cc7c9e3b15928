"""CSV, JSON and JSONL tables as rows of flat columns, and which column means what.

Nested JSON becomes dotted columns: {"Description": {"Caption": ...}} is "Description.Caption".
A column is recognised by its last part, case, spaces and underscores folded.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.source import Source
from regionmed.errors import CorpusError

# meaning -> column names that carry it, the surest first
SYNONYMS: dict[str, tuple[str, ...]] = {
    "image": (
        "image", "image_path", "image_name", "image_file", "image_filename", "image_id", "img",
        "img_path", "img_name", "filename", "file_name", "file", "filepath", "file_path", "picture",
        "path", "dicom_id", "figure",
    ),
    "label": ("label", "class", "class_name", "class_label", "category", "category_name",
              "finding_name", "finding", "pathology", "abnormality", "name", "type"),
    "caption": ("caption", "captions", "text", "description", "sentence", "impression_text"),
    "findings": ("findings",),
    "impression": ("impression",),
    "indication": ("indication", "history"),
    "question": ("question", "query"),
    "answer": ("answer", "response"),
    "question_id": ("qid", "question_id", "id"),
    "answer_type": ("answer_type", "content_type"),
    "group": ("patient", "patient_id", "patientid", "subject", "subject_id", "case", "case_id",
              "study_id", "study"),
    "confidence": ("confidence", "score"),
    "stated_width": ("image_width", "img_width"),
    "stated_height": ("image_height", "img_height"),
    "mask": ("mask", "mask_path", "mask_file"),
}  # fmt: skip
_TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Table:
    """A table of a source: its path and rows, each column -> value, with None for empty cells."""

    path: str
    rows: list[dict[str, Any]]

    @cached_property
    def columns(self) -> list[str]:
        """Every column that some row has, in order of first appearance."""
        return list(dict.fromkeys(column for row in self.rows for column in row))

    def column(self, meaning: str) -> str | None:
        """The column that carries a meaning of SYNONYMS, or None."""
        return self.meanings[meaning]

    @cached_property
    def meanings(self) -> dict[str, str | None]:
        """Every meaning of SYNONYMS and the column that carries it."""
        return {meaning: find_column(self.columns, names) for meaning, names in SYNONYMS.items()}


def find_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first of `names` among the columns, spelling folded; None where none is there."""
    folded = {fold(column): column for column in reversed(list(columns))}
    return next((folded[fold(name)] for name in names if fold(name) in folded), None)


def fold(column: str) -> str:
    """A column's last dotted part in lower case without spaces, dashes and underscores."""
    return re.sub(r"[\s_\-]+", "", column.rpartition(".")[2]).casefold()


def read_tables(source: Source, only: Sequence[str] = ()) -> list[Table]:
    """The source's tables that have rows; `only` names the members to take.

    Of files that nobody named, those that are no tables are passed over, unless there is no other.
    """
    tables: list[Table] = []
    broken: CorpusError | None = None
    for path in only or source.with_suffix(*_TABLE_SUFFIXES):
        try:
            table = read_table(source, path)
        except CorpusError as error:
            broken = broken or error
        else:
            tables += [table] if table.rows else []
    if broken and (only or not tables):
        raise broken
    return tables


class Patients:
    """The code of a row's patient: a number in the order met, which says nothing elsewhere."""

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self._numbers: dict[str, int] = {}

    def code(self, table: Table, row: Mapping[str, Any]) -> str | None:
        """The code of a row's patient or case; None where the table has no such column."""
        column = table.column("group")
        value = row.get(column) if column else None
        if value is None:
            return None
        number = self._numbers.setdefault(str(value), len(self._numbers) + 1)
        return f"{self._name}:patient {number}"


def read_table(source: Source, path: str) -> Table:
    """One table; a file that holds no rows of columns gives an empty one."""
    return Table(path, parse_rows(source.text(path), path))


def parse_rows(text: str, path: str) -> list[dict[str, Any]]:
    """The rows of a table's text; the ending of `path` says which kind it is."""
    if path.lower().endswith((".jsonl", ".ndjson")):
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            entries: Any = [json.loads(line) for line in lines]
        except ValueError as error:
            raise CorpusError(f"'{path}' is no JSON-lines table: {error}") from None
    elif path.lower().endswith(".json"):
        try:
            entries = json.loads(text)
        except ValueError as error:
            raise CorpusError(f"'{path}' is no JSON: {error}") from None
    else:
        try:
            return _csv_rows(text)
        except csv.Error as error:
            raise CorpusError(f"'{path}' is no table: {error}") from None
    if isinstance(entries, Mapping):
        # {"data": [...]}: the one list of objects in it is the table
        lists = [value for value in entries.values() if _is_rows(value)]
        entries = lists[0] if len(lists) == 1 else []
    return [_flat(entry) for entry in entries] if _is_rows(entries) else []


def best_image_column(table: Table, pictures: Pictures) -> str | None:
    """The column whose values most often name a picture of the source.

    Several may look right: covid_cxr_seg has both `Filename` and `Image`, and the latter holds
    names that the publisher's server gave.
    """
    names = {fold(name) for name in SYNONYMS["image"]}
    candidates = [column for column in table.columns if fold(column) in names]
    if not pictures.paths or len(candidates) < 2:
        return table.column("image")

    def hits(column: str) -> int:
        values = [row.get(column) for row in table.rows[:200]]
        return sum(
            bool(value) and pictures.find(str(value), table.path) is not None for value in values
        )

    return max(candidates, key=hits)


def need(table: Table, column: str | None, meaning: str, names: Sequence[str]) -> str:
    """The column, or a CorpusError that names what is missing and what is there."""
    if column is None:
        raise CorpusError(
            f"{table.path}: no column for {meaning} (one of {', '.join(names[:5])}); "
            f"it has {', '.join(table.columns[:12]) or 'no columns'}"
        )
    return column


def _csv_rows(text: str) -> list[dict[str, Any]]:
    head = text[:4096]
    delimiter = max("\t;,", key=lambda mark: head.partition("\n")[0].count(mark))
    rows = []
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
        cells = {
            column.strip(): value.strip() or None
            for column, value in row.items()
            if column and column.strip() and isinstance(value, str)
        }
        if any(value is not None for value in cells.values()):
            rows.append(cells)
    return rows


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _flat(entry: Any, prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            row |= _flat(value, f"{prefix}{key}.")
        else:
            row[f"{prefix}{key}"] = value if value != "" else None
    return row
