"""The second pass of a build: families, splits and texts, once all records are known."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from regionmed.corpus.describe import describe
from regionmed.corpus.rows import SCHEMA, with_texts
from regionmed.corpus.shard_writer import GROUP_ROWS, ShardWriter, row_groups
from regionmed.corpus.splits import Ruling, SplitsTable, draw_splits
from regionmed.corpus.summary import Counts
from regionmed.corpus.twins import Look, families, ties_of, twin_pairs
from regionmed.progress import Track


@dataclass(frozen=True, slots=True)
class Draft:
    """What the second pass has to know of a record."""

    id: str
    set: str
    labels: frozenset[str]  # of the picture and its regions
    group: str | None
    look: Look | None
    ruling: Ruling | None


def settle(
    folder: Path,
    columns: dict[str, list[str | None]],
    phrases: dict[str, dict[str, str]],
    counts: Counts,
    track: Track,
) -> list[dict[str, Any]]:
    """The second pass: splits, texts, and the final shards; the stage is gone afterwards.

    Texts wait until now because a false twin names another label of the set.
    """
    writer = ShardWriter(folder / "shards")
    at = 0
    total = len(columns["split"])
    groups = track(row_groups(folder / "stage"), "texts and shards", -(-total // GROUP_ROWS))
    for group in groups:
        for name, values in columns.items():
            cells = pa.array(values[at : at + group.num_rows], type=pa.string())
            group = group.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), cells)
        group = with_texts(group, lambda record: describe(record, phrases[record.set]))
        writer.add_group(group)
        counts.add(group)
        at += group.num_rows
    shutil.rmtree(folder / "stage")
    return writer.close()


def rulings(drafts: list[Draft], table: SplitsTable | None) -> dict[str, list[str | None]]:
    """The columns group, twins, split and exclude."""
    groups: list[str | None] = []
    for draft in drafts:
        stated = draft.ruling.group if draft.ruling else None
        groups.append(stated or draft.group)
    if table and table.has_twins:
        twins = [draft.ruling.twins if draft.ruling else None for draft in drafts]
    else:
        twins = _twin_codes(drafts)
    if table:
        splits: list[str | None] = [d.ruling.split if d.ruling else None for d in drafts]
    else:
        ties = (*ties_of(groups), *ties_of(twins))
        sets, names = [draft.set for draft in drafts], [draft.id for draft in drafts]
        splits = list(draw_splits(sets, families(len(drafts), ties), names))
    return {
        "group": groups,
        "twins": twins,
        "split": splits,
        "exclude": [draft.ruling.exclude if draft.ruling else None for draft in drafts],
    }


def _twin_codes(drafts: list[Draft]) -> list[str | None]:
    """A code for each family of near-identical pictures, None for pictures without a twin."""
    looks = [(at, draft.look) for at, draft in enumerate(drafts) if draft.look]
    pairs = twin_pairs([look for _, look in looks])
    roots = families(len(looks), ((i, j) for i, j, _ in pairs))
    codes: list[str | None] = [None] * len(drafts)
    for place in {place for i, j, _ in pairs for place in (i, j)}:
        codes[looks[place][0]] = f"twin_{looks[roots[place]][1].sha256[:10]}"
    return codes
