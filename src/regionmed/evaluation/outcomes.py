"""Outcomes: what each item of a score earned, kept so that two models can be paired item by item.

One Parquet file, answers.parquet, holds them all: a row an item, the columns of SCHEMA. A score is
`macro_mean(values_N, columns, groups, seed)` of its Outcomes, within a stratum over the items that
carry it. Legend: N items.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regionmed.errors import UsageError

ANSWERS = "answers.parquet"
ROUNDING = 1e-6  # how far a sum of floats may leave 0..1
SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("set", pa.string()),
        ("metric", pa.string()),
        ("boxes", pa.string()),
        ("item", pa.string()),
        ("group", pa.string()),
        ("column", pa.string()),
        ("strata", pa.list_(pa.string())),
        ("value", pa.float64()),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What the items of one task, set, metric and source of boxes earned.

    metric     names the direction too where a task has two ("recall@1 image-to-text")
    items      "record_id#region_number", "record_id" or a question's id; each once
    groups     what is drawn together by the bootstrap: a patient, a family of twins, a picture
    columns    the score is the mean over columns of the mean in each; one name for a plain mean
    strata     names of the strata an item belongs to, without "all"
    values_N   0..1
    """

    task: str
    set: str
    metric: str
    boxes: str = "given"
    items: tuple[str, ...]
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]
    values_N: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Raise ValueError where fields differ in length, an item comes twice or a value is off."""
        number = len(self.items)
        lengths = {len(self.groups), len(self.columns), len(self.strata), len(self.values_N)}
        if lengths != {number} or not number:
            raise ValueError(
                f"{self.named}: items, groups, columns, strata and values must be equally many, "
                f"and not none; they are {number} and {sorted(lengths)}"
            )
        if len(set(self.items)) < number:
            twice = next(item for item in self.items if self.items.count(item) > 1)
            raise ValueError(f"{self.named}: item '{twice}' comes twice; name each item once")
        values = np.asarray(self.values_N, float)
        if not ((values >= -ROUNDING) & (values <= 1 + ROUNDING)).all():  # NaN is neither
            raise ValueError(f"{self.named}: a value is not a number from 0 to 1")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Task, set, metric, boxes: what two models are paired by."""
        return self.task, self.set, self.metric, self.boxes

    @property
    def named(self) -> str:
        """The key as words, for messages."""
        return f"{self.task} on {self.set}, {self.metric}, boxes {self.boxes}"


def write_outcomes(path: Path, outcomes: Sequence[Outcomes]) -> None:
    """Write all Outcomes into one Parquet file, aside first; the same bytes for the same outcomes.

    Raises ValueError where two share task, set, metric and boxes: they could not be told apart.
    """
    seen: set[tuple[str, str, str, str]] = set()
    for one in outcomes:
        if one.key in seen:
            raise ValueError(f"{one.named}: two Outcomes of this name; tell them apart by metric")
        seen.add(one.key)
    batches = [_table(one) for one in outcomes]
    table = pa.concat_tables([SCHEMA.empty_table(), *batches]).combine_chunks()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".answers-", dir=path.parent) as aside:
        pq.write_table(table, Path(aside) / ANSWERS, compression="zstd")
        os.replace(Path(aside) / ANSWERS, path)


def read_outcomes(path: Path) -> list[Outcomes]:
    """The Outcomes of a file of write_outcomes, in its order.

    Raises UsageError where the file is missing, is no such file or holds what no task writes.
    """
    remedy = "run `regionmed evaluate` again to write it anew"
    if not path.is_file():
        raise UsageError(f"{path} is not there; {remedy}")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        raise UsageError(f"{path} is not a Parquet file that can be read; {remedy}") from None
    if table.schema.remove_metadata() != SCHEMA:
        raise UsageError(
            f"{path} has the columns {', '.join(table.column_names)}; answers have "
            f"{', '.join(SCHEMA.names)} with their types; {remedy}"
        )
    if any(table[name].null_count for name in SCHEMA.names):
        raise UsageError(f"{path} has empty cells; {remedy}")
    rows_of: dict[tuple[str, str, str, str], list[int]] = {}
    keys = zip(*(table[name].to_pylist() for name in SCHEMA.names[:4]), strict=True)
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    try:
        return [_outcomes(key, table.take(rows)) for key, rows in rows_of.items()]
    except ValueError as error:
        raise UsageError(f"{path}: {error}; {remedy}") from None


def _table(one: Outcomes) -> pa.Table:
    number = len(one.items)
    return pa.table(
        {
            **{name: [getattr(one, name)] * number for name in SCHEMA.names[:4]},
            "item": list(one.items),
            "group": list(one.groups),
            "column": list(one.columns),
            "strata": [list(names) for names in one.strata],
            "value": np.asarray(one.values_N, float),
        },
        schema=SCHEMA,
    )


def _outcomes(key: tuple[str, str, str, str], rows: pa.Table) -> Outcomes:
    task, name, metric, boxes = key
    return Outcomes(
        task=task,
        set=name,
        metric=metric,
        boxes=boxes,
        items=tuple(rows["item"].to_pylist()),
        groups=tuple(rows["group"].to_pylist()),
        columns=tuple(rows["column"].to_pylist()),
        strata=tuple(tuple(names) for names in rows["strata"].to_pylist()),
        values_N=rows["value"].to_numpy(),
    )
