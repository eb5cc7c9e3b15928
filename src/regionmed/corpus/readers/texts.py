"""Tables of captions, reports, and questions with answers: CSV, JSON or JSONL.

A row names its picture and has a caption, report sections, or a question with its answer; several
rows may name one picture. A source without any picture gives a Record a row, without a frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.source import Loss, Source
from regionmed.corpus.readers.tables import (
    SYNONYMS,
    Patients,
    Table,
    best_image_column,
    fold,
    need,
    read_tables,
)
from regionmed.record import Provenance, Question, Record, Texts

_SECTIONS = ("findings", "impression", "indication")
_NOTHING = frozenset({"", "n/a", "na", "none", "null", "nan"})


def looks_like_texts(source: Source) -> bool:
    """Whether a table has a picture column and a caption, a report or questions with answers."""
    has_pictures = bool(source.pictures())
    return any(
        _carries_text(table) and (table.column("image") or not has_pictures)
        for table in _tables(source)
    )


def read_texts(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture that a row names, or a row where the source has no pictures at all."""
    tables = [table for table in _tables(source) if _carries_text(table)]
    if not tables:
        found = _tables(source)
        table = found[0] if found else Table(source.name, [])
        need(table, None, "texts", ("caption", "findings", "question and answer"))
    pictures = Pictures(source.pictures())
    patients = Patients(source)
    if not pictures.paths:
        for table in tables:
            for number, row in enumerate(table.rows, start=1):
                texts, questions = _words([(table, number, row)])
                yield Record(
                    f"{source.name}/{table.path}:{number}",
                    source.name,
                    None,
                    None,
                    None,
                    Provenance(source.name, "texts"),
                    texts=texts,
                    questions=questions,
                    group=patients.code(table, row),
                )
        return
    rows: dict[str, list[tuple[Table, int, dict[str, Any]]]] = defaultdict(list)
    for table in tables:
        column = need(table, best_image_column(table, pictures), "the picture", SYNONYMS["image"])
        for number, row in enumerate(table.rows, start=1):
            image = pictures.find(str(row.get(column) or ""), table.path)
            if image is None:
                yield Loss("the row names no picture of the source", table.path, f"row {number}")
            else:
                rows[image].append((table, number, row))
    for image in pictures.paths:
        if image not in rows:
            yield Loss("no row of the tables names the picture", image)
            continue
        captions = {_text(row, table.column("caption")) for table, _, row in rows[image]} - {None}
        if len(captions) > 1:
            yield Loss(f"{len(captions) - 1} further captions of the picture", image)
        texts, questions = _words(rows[image])
        group = patients.code(*rows[image][0][::2])
        yield from assemble(source, image, "texts", texts=texts, questions=questions, group=group)


def _tables(source: Source) -> list[Table]:
    return read_tables(source, source.hints.get("tables", ()))


def _carries_text(table: Table) -> bool:
    asks = table.column("question") and table.column("answer")
    tells = any(table.column(meaning) for meaning in ("caption", *_SECTIONS))
    return bool(asks or tells)


def _words(
    entries: list[tuple[Table, int, dict[str, Any]]],
) -> tuple[Texts, tuple[Question, ...]]:
    """The texts and questions of one picture's rows."""
    caption: str | None = None
    report: dict[str, str | None] = {}
    questions: list[Question] = []
    for table, number, row in entries:
        caption = caption or _text(row, table.column("caption"))
        for section in _SECTIONS:
            text = _text(row, table.column(section))
            if text:
                report.setdefault(section, text)
        question = _question(table, number, row)
        if question:
            questions.append(question)
    return Texts(caption=caption, report=report), tuple(questions)


def _question(table: Table, number: int, row: Mapping[str, Any]) -> Question | None:
    question, answer = (_cell(row, table.column(meaning)) for meaning in ("question", "answer"))
    if question is None or answer is None:
        return None
    identity = _cell(row, table.column("question_id")) or f"{table.path}:{number}"
    stated = _cell(row, table.column("answer_type")) or ""
    return Question(identity, question, answer, question_type(answer, stated))


def question_type(answer: str, stated: str = "") -> Literal["open", "closed"]:
    """'closed' for an answer of yes or no, unless the source calls the question open."""
    is_yes_or_no = answer.strip().rstrip(".").casefold() in ("yes", "no")
    return "closed" if is_yes_or_no and fold(stated) != "open" else "open"


def _cell(row: Mapping[str, Any], column: str | None) -> str | None:
    value = row.get(column) if column else None
    return None if value is None else str(value).strip()


def _text(row: Mapping[str, Any], column: str | None) -> str | None:
    text = _cell(row, column)
    return None if text is None or text.casefold() in _NOTHING else text
