"""Questions with the embeddings of their pictures and regions, and which of them may train a head.

Legend: N pictures, Q questions, R regions, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.encode import Floats, Rows, encode_texts
from regionmed.evaluation.strata import group_of
from regionmed.evaluation.subject import Scored
from regionmed.record import Question, Record


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Questions with the embeddings of their pictures; rows run over questions, maybe none.

    region_QE  unit mean of the regions of the question's picture, zeros where it has none;
               None where the set or the model knows no regions
    """

    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    question_QE: Floats
    picture_QE: Floats
    region_QE: Floats | None = None

    @property
    def answers(self) -> list[str]:
        """The right answers, folded."""
        return [fold(question.answer) for question in self.questions]


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that share no picture with the scored ones, and how many were dropped for it."""

    rows: tuple[int, ...]
    dropped_pictures: int
    dropped_questions: int


def fold(answer: str) -> str:
    """An answer as it is compared: white space and case folded."""
    return " ".join(answer.split()).casefold()


def ask(
    model: Scored, records: Sequence[Record], images_NE: Floats, regions_NE: Floats | None = None
) -> Asked:
    """The questions of some records, in order, with the rows of their pictures and regions."""
    rows = [row for row, record in enumerate(records) for _ in record.questions]
    questions = tuple(question for record in records for question in record.questions)
    texts_QE = encode_texts(model, [question.question for question in questions])
    groups = tuple(group_of(records[row]) for row in rows)
    regions_QE = None if regions_NE is None else regions_NE[rows]
    return Asked(questions, groups, texts_QE, images_NE[rows], regions_QE)


def apart_from(records: Sequence[Record], scored: Sequence[Record]) -> Kept:
    """Those records with questions that share no file, group or twin family with a scored one."""
    taken = {mark for record in scored for mark in _marks(record)}
    asked = [row for row, record in enumerate(records) if record.questions]
    kept = tuple(row for row in asked if not taken & _marks(records[row]))
    dropped = set(asked) - set(kept)
    return Kept(kept, len(dropped), sum(len(records[row].questions) for row in dropped))


def region_means(rows: Sequence[int], regions_RE: Floats, pictures: int) -> Floats:
    """Unit rows (N, E): the mean of each picture's regions; zeros for pictures without any.

    rows  for each region the row of its picture, 0..pictures-1
    """
    sums_NE = np.zeros((pictures, regions_RE.shape[1]), np.float32)
    np.add.at(sums_NE, list(rows), regions_RE)
    lengths_N1 = np.linalg.norm(sums_NE, axis=1, keepdims=True)
    return np.divide(sums_NE, lengths_N1, out=np.zeros_like(sums_NE), where=lengths_N1 > 0)


def region_means_of(rows: Rows) -> Floats | None:
    """`region_means` of Rows; None where they hold no region."""
    if not len(rows.regions_RE):
        return None
    pictures = [row for row, _ in rows.places]
    return region_means(pictures, rows.regions_RE, len(rows.records))


def _marks(record: Record) -> set[tuple[str, str]]:
    marks = {"sha256": record.sha256, "group": record.group, "twins": record.twins}
    return {(kind, value) for kind, value in marks.items() if value is not None}
