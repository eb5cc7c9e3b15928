"""The embedding check of leakage: copies among the training pictures next to a picture.

Nearness alone decides nothing: a picture of the same kind may lie nearer to the model than a copy
with inverted contrast. So a model's own vectors only propose pairs, and the overlay of
corpus/copies.py decides, as it does for the perceptual check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from regionmed.corpus.copies import LEAST, laid_pairs
from regionmed.corpus.greys import open_greys
from regionmed.evaluation.encode import Rows
from regionmed.evaluation.part import Part
from regionmed.record import Record

NEAREST = 12  # training pictures of each picture that are looked at, as they are and mirrored
_AT_ONCE = 32  # pictures: bounds the memory


def drop_neighbours(
    part: Part, train: Rows, asked: Rows, trained_on: frozenset[str] | None
) -> Part:
    """The Part without copies of training pictures that its embeddings lead to, and with that said.

    train, asked  rows_of the Part for train and for its own split, from the model that is scored
    trained_on    sha256 of the training pictures; None where unknown: then the Part stays as it is

    Only training pictures of the Part's own set are looked at: the others are not encoded with it.
    """
    if part.leakage is None or trained_on is None:
        return part
    shown = [row for row, r in enumerate(train.records) if r.sha256 in trained_on]
    if not shown:
        return part  # nothing was compared, so nothing is said
    row_of = {record.id: row for row, record in enumerate(asked.records)}
    scored = [row_of[record.id] for record in part.records]
    found = frozenset(_copied(part, train, shown, asked, scored))
    leakage = replace(part.leakage, neighbours=found)
    kept = [n for n, record in enumerate(part.records) if record.id not in found]
    return replace(
        part,
        indices=tuple(part.indices[n] for n in kept),
        records=tuple(part.records[n] for n in kept),
        leakage=leakage,
        conditions=replace(part.conditions, leakage=leakage.remark),
    )


def _copied(
    part: Part, train: Rows, shown: list[int], asked: Rows, scored: list[int]
) -> Iterator[str]:
    """The ids of scored pictures that are copies of one of their nearest training pictures."""
    greys_NSS = open_greys(part.corpus)
    index_of = {record.id: index for index, record in part.everything}

    def greys(records: list[Record]) -> np.ndarray:
        return greys_NSS[[index_of[record.id] for record in records]]

    firsts_NSS = greys([train.records[row] for row in shown])
    nearest = min(NEAREST, len(shown))
    for start in range(0, len(scored), _AT_ONCE):
        rows = scored[start : start + _AT_ONCE]
        some_NSS = greys([asked.records[row] for row in rows])
        near_MN = asked.images_NE[rows] @ train.images_NE[shown].T
        columns = np.argsort(-near_MN, axis=1, kind="stable")[:, :nearest].reshape(-1)
        seconds = np.repeat(np.arange(len(rows)), nearest)
        pairs = laid_pairs(
            np.concatenate([some_NSS, some_NSS[:, :, ::-1]]),
            firsts_NSS,
            np.concatenate([seconds, seconds + len(rows)]),
            np.concatenate([columns, columns]),
        )
        for second, _, likeness in pairs:
            if likeness >= LEAST:
                yield asked.records[rows[second]].id
