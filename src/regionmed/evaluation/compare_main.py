"""The main table of a comparison: one row an arm, one column a question that the method asks.

Every cell is a row of the whole table (compare_table.py): the arm's mean over its seeds with its
interval, the spread of the seeds, and the paired difference to the reference. The differences shown
here were settled on beforehand, so their p-values are corrected after Holm over these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regionmed.evaluation.compare_table import MEAN, Row, is_mean
from regionmed.evaluation.significance import holm
from regionmed.evaluation.strata import SIZES


@dataclass(frozen=True, slots=True)
class Column:
    """A question by its title and by the row of the whole table that answers it."""

    title: str
    task: str
    metric: str
    boxes: str = "none"
    set: str = MEAN
    stratum: str = "all"


REGIONS = ("region_classification", "macro_accuracy", "given")
HELD_OUT = "accuracy regions, held-out wordings"  # true texts against false ones
WORDS = {"finding words": "finding", "side words": "laterality", "denials": "negation"}
GROUPS = {"several labels": "mean:several-labels", "one label": "mean:one-label"}


def columns(shown: Sequence[str]) -> list[Column]:
    """The columns from left to right; `shown` are sets with one of their own."""
    return [
        Column("regions", *REGIONS),
        *(Column(title, *REGIONS, set=name) for title, name in GROUPS.items()),
        *(Column(name, *REGIONS, set=name) for name in shown),
        *(Column(size, *REGIONS, stratum=size) for size in SIZES),
        Column("pointing", "grounding", "pointing"),
        Column("mIoU", "grounding", "miou"),
        Column("caption R@5", "retrieval", "recall@5 image-to-text"),
        Column("picture R@5", "retrieval", "recall@5 text-to-image"),
        Column("prompts", "prompt_classification", "macro_accuracy"),
        Column("prompts, AUROC", "prompt_classification", "auroc"),
        *(Column(title, "probe", f"{HELD_OUT}: {kind}", "given") for title, kind in WORDS.items()),
    ]


def main_table(rows: Sequence[Row], reference: str, shown: Sequence[str]) -> dict[str, Any]:
    """The table as a JSON object: columns that any arm answered, and cells by column and arm.

    A cell holds value, low, high, seeds (the value of each), spread (their standard deviation, null
    for one seed) and, for another arm than the reference, `difference` with p and p_holm.
    """
    found = [(column, row) for column in columns(shown) if (row := _row(column, rows))]
    named = [(place, arm) for place, (_, row) in enumerate(found) for arm in row.differences]
    p_values = [found[place][1].differences[arm].p_value for place, arm in named]
    corrected = dict(zip(named, holm(p_values), strict=True))
    return {
        "comparisons": len(named),
        "columns": [
            {
                "title": column.title,
                "task": column.task,
                "set": row.key[1],
                "metric": column.metric,
                "stratum": column.stratum,
                "n": row.n,
                "cells": {arm: _cell(row, arm, corrected.get((place, arm))) for arm in row.arms},
            }
            for place, (column, row) in enumerate(found)
        ],
    }


def _row(column: Column, rows: Sequence[Row]) -> Row | None:
    """The row that answers a column; where a mean over sets is wanted and there is one set, its."""
    like = [
        row
        for row in rows
        if (row.key[0], row.key[2], row.key[3]) == (column.task, column.metric, column.boxes)
        and row.stratum == column.stratum
    ]
    own = [row for row in like if row.key[1] == column.set]
    if not own and column.set == MEAN:
        own = [row for row in like if not is_mean(row.key[1])]
        own = own if len(own) == 1 else []
    # sets that fewer arms answered have a mean of their own: the one of most arms is meant
    return max(own, key=lambda row: len(row.arms), default=None)


def _cell(row: Row, arm: str, p_holm: float | None) -> dict[str, Any]:
    seeds = row.seeds[arm]
    spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None
    cell = {**row.arms[arm].as_json(), "seeds": seeds, "spread": spread}
    if p_holm is None:
        return cell
    difference = row.differences[arm]
    return {
        **cell,
        "difference": {**difference.as_json(), "p": difference.p_value, "p_holm": p_holm},
    }
