"""Public sets recognised by their layout: one YAML file each, `Known` says what is in it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

import yaml

from regionmed.corpus.readers.source import Source
from regionmed.corpus.readers.tables import find_column, read_table
from regionmed.record import Licence, Record, Texts

_NOTHING = ("", "N/A", "NA")  # cells that say that there is no text


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A table of the source with one row a picture, and which of its columns we keep."""

    file: str  # a member path; {folder} stands for the picture's folder
    image: tuple[str, ...]  # names of the column that holds the picture's stem, name or number
    labels: tuple[str, ...] = ()  # columns of the picture's labels
    region_label: tuple[
        str, ...
    ] = ()  # names of the column with the label of the picture's regions
    modality: str | None = None  # column, its values looked up in Known.modalities
    group: str | None = None  # column of the patient or case
    licence: str | None = None  # column of the picture's own licence
    report: Mapping[str, str] = field(default_factory=dict)  # section -> column
    via: str | None = (
        None  # column of the table before, whose value is looked up instead of the picture
    )


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a public set beyond its files."""

    name: str
    card: str  # a sentence or two: what it is, where it comes from
    found_by: tuple[str, ...]  # patterns of member paths; each has to match one
    contains: Mapping[str, str] = field(default_factory=dict)  # member path -> a text it holds
    format: str | None = None  # reader, where the layout alone would mislead
    modality: str | None = None
    modalities: Mapping[str, str] = field(default_factory=dict)  # the set's word -> ours
    licence: str | None = None
    open: bool = False
    synthetic: bool = False  # made by a program, shown and counted as such
    open_licences: tuple[
        str, ...
    ] = ()  # patterns: pictures whose own licence lets them be passed on
    labels: Mapping[str, str] = field(default_factory=dict)  # the files' spelling -> ours
    phrases: Mapping[str, str] = field(default_factory=dict)  # label -> how a clinician says it
    group_prefix: str = ""  # sets that share patients share it
    group_by: str | None = (
        None  # regular expression on the member path, its first group is the code
    )
    hints: Mapping[str, Any] = field(default_factory=dict)  # for the reader
    facts: tuple[Facts, ...] = ()

    def matches(self, source: Source) -> bool:
        """Whether the source has this set's layout."""
        for pattern in self.found_by:
            if not fnmatch.filter(source.paths, pattern):
                return False
        return all(
            path in source.paths and text in source.text(path)
            for path, text in self.contains.items()
        )


@cache
def known_sets() -> tuple[Known, ...]:
    """Every set described in this folder, by name."""
    folder = resources.files(__package__)
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda f: f.name
    )
    return tuple(_parse(yaml.safe_load(file.read_text("utf-8"))) for file in files)


def find_known(source: Source) -> Known | None:
    """The known set with the source's layout, or None."""
    return next((known for known in known_sets() if known.matches(source)), None)


class Completion:
    """Adds to a source's records what is known of its set."""

    def __init__(self, known: Known, source: Source) -> None:
        self.known = known
        self.source = source
        self._tables: dict[str, dict[str, Mapping[str, Any]]] = {}

    def complete(self, record: Record) -> Record:
        """The record with our spellings, modality, licence, group and the facts of its tables."""
        known = self.known
        record = replace(
            record,
            modality=record.modality or known.modality,
            licence=Licence(known.licence, known.open),
            provenance=replace(record.provenance, synthetic=known.synthetic),
            labels=tuple(known.labels.get(label, label) for label in record.labels),
            regions=tuple(
                replace(region, label=known.labels.get(region.label, region.label))
                for region in record.regions
            ),
        )
        if known.group_by and record.image:
            match = re.search(known.group_by, record.image)
            record = replace(record, group=known.group_prefix + match[1] if match else None)
        row: Mapping[str, Any] | None = None
        for facts in known.facts:
            # the first table is asked for the picture, the next for what the row before points to
            key = _key(str((row or {}).get(facts.via)) if facts.via else record.image or "")
            row = self._rows(facts, record.image or "").get(key)
            if row is None:
                break
            record = self._with_facts(record, facts, row)
        return record

    def _rows(self, facts: Facts, image: str) -> dict[str, Mapping[str, Any]]:
        path = facts.file.replace("{folder}", PurePosixPath(image).parent.as_posix())
        if path not in self._tables:
            rows: dict[str, Mapping[str, Any]] = {}
            if path in self.source.paths:
                table = read_table(self.source, path)
                column = find_column(table.columns, facts.image)
                for row in table.rows if column else ():
                    rows.setdefault(_key(str(row.get(column or ""))), row)
            self._tables[path] = rows
        return self._tables[path]

    def _with_facts(self, record: Record, facts: Facts, row: Mapping[str, Any]) -> Record:
        known = self.known
        if facts.labels:
            values = (row.get(column) for column in facts.labels)
            labels = tuple(known.labels.get(str(v), str(v)) for v in values if v is not None)
            record = replace(record, labels=labels)
        column = find_column(row, facts.region_label)
        if column and row[column] is not None:
            label = known.labels.get(str(row[column]), str(row[column]))
            regions = tuple(replace(region, label=label) for region in record.regions)
            record = replace(record, regions=regions, labels=(label,))
        if facts.modality and row.get(facts.modality):
            record = replace(record, modality=known.modalities.get(str(row[facts.modality])))
        if facts.group and row.get(facts.group) is not None:
            record = replace(record, group=f"{known.group_prefix}{row[facts.group]}")
        if facts.licence:
            name = row.get(facts.licence)
            is_open = any(re.fullmatch(p, str(name)) for p in known.open_licences)
            record = replace(record, licence=Licence(name, is_open))
        if facts.report:
            record = replace(record, texts=_with_report(record.texts, facts.report, row))
        return record


def _with_report(texts: Texts, sections: Mapping[str, str], row: Mapping[str, Any]) -> Texts:
    report = dict(texts.report)
    for section, column in sections.items():
        text = row.get(column)
        report[section] = None if text is None or str(text).strip() in _NOTHING else str(text)
    return replace(texts, report=report)


def _key(name: str) -> str:
    """A picture's stem in lower case; a number without leading zeros (1 is 001.bmp)."""
    last = name.replace("\\", "/").rpartition("/")[2]
    stem = last.rpartition(".")[0] if re.search(r"\.[A-Za-z]{3,4}$", last) else last
    return stem.lstrip("0").casefold() if stem.isdigit() else stem.casefold()


def _parse(content: Mapping[str, Any]) -> Known:
    return Known(**{key: _value(key, value) for key, value in content.items()})


def _value(key: str, value: Any) -> Any:
    if key == "facts":
        return tuple(Facts(**dict(_fact_fields(entry))) for entry in value)
    if isinstance(value, list):
        return tuple(value)
    if key in ("labels", "modalities", "phrases"):
        return {str(word): meaning for word, meaning in value.items()}
    return value


def _fact_fields(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        if key in ("image", "labels", "region_label"):
            yield key, (value,) if isinstance(value, str) else tuple(value)
        else:
            yield key, value
