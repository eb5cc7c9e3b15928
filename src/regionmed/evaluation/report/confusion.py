"""What is taken for what: counts of true and said labels of a set, laid out to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.regions import RegionAnswers

CELL, ROW = 38, 25  # of the drawing
WIDE, CAPITAL, LETTER = 12.0, 9.0, 7.4  # at most about a letter's width in any usual font
LONGEST = 22  # letters of a label; longer ones are cut and kept whole as a title


@dataclass(frozen=True, slots=True)
class Cell:
    """Regions of one true label that were called one label."""

    x: float
    y: float
    count: int
    share: float  # of its row
    right: bool


@dataclass(frozen=True, slots=True)
class Confusion:
    """A matrix: rows are true labels, columns what was said."""

    set: str
    labels: tuple[str, ...]
    shown: tuple[str, ...]  # the labels, cut where long
    left: float  # where the cells begin
    top: float
    width: float
    height: float
    cells: tuple[Cell, ...]


def confusion(one: RegionAnswers) -> Confusion:
    """The matrix of one set; of equal similarities the first label is taken as said."""
    labels = one.asked.labels
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (one.asked.truth_R, one.similarity_RL.argmax(axis=1)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    shown = tuple(
        label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels
    )
    longest = max(_width(label) for label in shown)
    left, top = longest + 12, 0.8 * longest + 16  # columns are written at an angle
    # the last column's name leans out to the right
    width = left + CELL * len(labels) + 0.62 * _width(shown[-1]) + 6
    cells = tuple(
        Cell(
            x=left + CELL * column,
            y=top + ROW * row,
            count=int(counts[row, column]),
            share=round(float(shares[row, column]), 3),
            right=row == column,
        )
        for row in range(len(labels))
        for column in range(len(labels))
    )
    return Confusion(
        one.part.name, labels, shown, left, top, width, top + ROW * len(labels) + 4, cells
    )


def _width(label: str) -> float:
    """About how wide a label is drawn, never less than it is."""
    return sum(WIDE if c in "MWmw" else CAPITAL if c.isupper() else LETTER for c in label)
