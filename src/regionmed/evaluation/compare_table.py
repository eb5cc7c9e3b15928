"""The table of a comparison: arms on the same items, and their paired differences.

Every row is one task, set, source of boxes, metric and stratum. All its arms are held to the items
that every one of them answered, so that a picture one model was trained on counts for none. Where
an answer also depends on what else was there to choose from, arms must have been asked the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regionmed.evaluation.intervals import Estimate, Floats, mean_of_estimates
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.significance import (
    difference_over_seeds,
    holm,
    over_seeds,
    seed_values,
    with_seeds,
)
from regionmed.evaluation.strata import LEAST_IN_STRATUM, SIZES

MEAN = "mean:all"
GROUPED = "region_classification"  # the task whose sets have means of two kinds beside that of all
GALLERIES = ("retrieval", "region_retrieval")  # tasks that rank the items among each other
Key = tuple[str, str, str, str]  # task, set, metric, boxes
Arms = Mapping[str, Sequence[Sequence[Outcomes]]]  # name -> seed -> its outcomes


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """The items that all arms answered: values (S, N) by arm, and what belongs to each item."""

    key: Key
    values_SN: dict[str, Floats]
    columns: np.ndarray
    groups: np.ndarray
    strata: tuple[tuple[str, ...], ...]
    dropped: int  # items of some arm that another lacks

    def within(self, stratum: str) -> Shared | None:
        """The items of a stratum; None where there are too few to say anything."""
        rows = np.array([stratum == "all" or stratum in names for names in self.strata])
        if rows.sum() < LEAST_IN_STRATUM:
            return None
        return replace(
            self,
            values_SN={name: values[:, rows] for name, values in self.values_SN.items()},
            columns=self.columns[rows],
            groups=self.groups[rows],
            strata=tuple(names for names, chosen in zip(self.strata, rows, strict=True) if chosen),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line: each arm's Estimate, and each other arm minus the reference, p before and after."""

    key: Key
    stratum: str
    n: int
    groups: int
    dropped: int
    arms: dict[str, Estimate]
    differences: dict[str, Estimate]
    seeds: dict[str, list[float]]  # the value of each arm's seeds, one by one
    corrected: dict[str, float]  # Holm over every difference of the table

    def as_json(self) -> dict[str, Any]:
        """The row as a JSON object; numbers in full."""
        task, name, metric, boxes = self.key
        return {
            "task": task,
            "set": name,
            "metric": metric,
            "boxes": boxes,
            "stratum": self.stratum,
            "n": self.n,
            "groups": self.groups,
            "dropped": self.dropped,
            "arms": {
                arm: {**found.as_json(), "seeds": self.seeds[arm]}
                for arm, found in self.arms.items()
            },
            "differences": {
                arm: {**found.as_json(), "p": found.p_value, "p_holm": self.corrected[arm]}
                for arm, found in self.differences.items()
            },
        }


def comparison_rows(
    arms: Arms, reference: str, groups: Mapping[str, Collection[str]] | None = None
) -> list[Row]:
    """All rows, means over sets first in each task; p-values corrected over the whole table.

    groups  "mean:several-labels", "mean:one-label" -> sets whose mean is a row of its own
    """
    shared = [one for key in _keys(arms) if (one := _shared(key, arms, reference)) is not None]
    rows = [row for one in shared for row in _rows_of(one, reference)]
    for like in _several_sets(shared):
        rows += _rows_of_mean(MEAN, like, reference)
        for name, sets in (groups or {}).items():
            some = [one for one in like if one.key[1] in sets]
            if like[0].key[0] == GROUPED and len(some) < len(like):  # else it is the mean of all
                rows += _rows_of_mean(name, some, reference)[:1]
    tasks = list(dict.fromkeys(row.key[0] for row in rows))
    rows.sort(key=lambda row: (tasks.index(row.key[0]), not is_mean(row.key[1])))  # stable
    named = [(number, arm) for number, row in enumerate(rows) for arm in row.differences]
    corrected = holm([rows[number].differences[arm].p_value for number, arm in named])
    for (number, arm), p in zip(named, corrected, strict=True):
        rows[number].corrected[arm] = p
    return rows


def is_mean(name: str) -> bool:
    """Whether a row is of a mean over sets."""
    return name.startswith("mean:")


def left_out(arms: Arms, reference: str) -> list[Key]:
    """What the reference and another arm answered, but not out of the same gallery or labels."""
    pairs = [(key, _answered(key, arms, reference)) for key in _keys(arms)]
    return [key for key, by_arm in pairs if by_arm is not None and not _alike(key, by_arm)]


def _keys(arms: Arms) -> list[Key]:
    every = (one.key for seeds in arms.values() for outcomes in seeds for one in outcomes)
    return list(dict.fromkeys(every))


def _answered(key: Key, arms: Arms, reference: str) -> dict[str, list[Outcomes]] | None:
    """Each arm's seeds; None where the reference, or everyone else, did not answer in all."""
    by_arm: dict[str, list[Outcomes]] = {}
    for name, seeds in arms.items():
        found = [one for outcomes in seeds for one in outcomes if one.key == key]
        if len(found) == len(seeds):
            by_arm[name] = found
    if reference not in by_arm or len(by_arm) < 2:
        return None
    return by_arm


def _alike(key: Key, by_arm: Mapping[str, Sequence[Outcomes]]) -> bool:
    """Whether what an answer was chosen from is the same for all arms and seeds.

    A gallery, and the negatives that an AUROC stands a picture above, are told by the items;
    labels that compete are told by the columns.
    """
    everyone = [one for seeds in by_arm.values() for one in seeds]
    task, _, metric, _ = key
    ranked = task in GALLERIES or "auroc" in metric
    asked = {(frozenset(one.columns), frozenset(one.items if ranked else ())) for one in everyone}
    return len(asked) == 1


def _shared(key: Key, arms: Arms, reference: str) -> Shared | None:
    """None where too few arms answered, or not out of the same (see left_out)."""
    by_arm = _answered(key, arms, reference)
    if by_arm is None or not _alike(key, by_arm):
        return None
    everyone = [set(one.items) for seeds in by_arm.values() for one in seeds]
    first = by_arm[reference][0]
    rows = [row for row, item in enumerate(first.items) if all(item in one for one in everyone)]
    if not rows:
        return None
    items = [first.items[row] for row in rows]
    return Shared(
        key,
        {name: np.array([_values(one, items) for one in seeds]) for name, seeds in by_arm.items()},
        np.array([first.columns[row] for row in rows]),
        np.array([first.groups[row] for row in rows]),
        tuple(first.strata[row] for row in rows),
        dropped=len(set().union(*everyone)) - len(items),
    )


def _values(one: Outcomes, items: Iterable[str]) -> list[float]:
    value_of = dict(zip(one.items, one.values_N.tolist(), strict=True))
    return [value_of[item] for item in items]


def _rows_of(shared: Shared, reference: str, strata: Sequence[str] = ("all", *SIZES)) -> list[Row]:
    parts = [(stratum, shared.within(stratum)) for stratum in strata]
    return [_row(part, stratum, reference) for stratum, part in parts if part is not None]


def _row(part: Shared, stratum: str, reference: str) -> Row:
    groups = part.groups.tolist()
    seed = f"compare {part.key[1]} {stratum}"  # the same draws for every task and arm of a set
    arms = {
        name: over_seeds(values, part.columns, groups, seed)
        for name, values in part.values_SN.items()
    }
    own = part.values_SN[reference]
    against = {
        name: difference_over_seeds(values, own, part.columns, groups, seed)
        for name, values in part.values_SN.items()
        if name != reference
    }
    seeds = {name: _seed_list(values, part) for name, values in part.values_SN.items()}
    return Row(
        part.key, stratum, len(groups), len(set(groups)), part.dropped, arms, against, seeds, {}
    )


def _seed_list(values_SN: Floats, part: Shared) -> list[float]:
    return [float(value) for value in seed_values(values_SN, part.columns)]


def _several_sets(shared: Sequence[Shared]) -> list[list[Shared]]:
    """Those that differ in their set alone, and have the same arms; two sets or more."""
    found: dict[tuple[object, ...], list[Shared]] = {}
    for one in shared:
        task, _, metric, boxes = one.key
        found.setdefault((task, metric, boxes, *sorted(one.values_SN)), []).append(one)
    return [members for members in found.values() if len(members) > 1]


def _rows_of_mean(name: str, members: Sequence[Shared], reference: str) -> list[Row]:
    """The mean over sets, every set weighing the same, then sizes over the sets' items together."""
    wholes = [part for one in members if (part := one.within("all")) is not None]
    if len(wholes) < 2:
        return []
    task, _, metric, boxes = members[0].key
    key = (task, name, metric, boxes)
    # Sets were drawn apart, but a seed is the same model in all of them: seeds enter on the mean.
    rows = [_row(_mean_of_seeds(part), "all", reference) for part in wholes]
    of_seeds = {
        arm: np.mean([seed_values(one.values_SN[arm], one.columns) for one in wholes], axis=0)
        for arm in rows[0].arms
    }
    mean = Row(
        key,
        "all",
        sum(row.n for row in rows),
        sum(row.groups for row in rows),
        sum(row.dropped for row in rows),
        {
            arm: with_seeds(mean_of_estimates([row.arms[arm] for row in rows]), [value_S])
            for arm, value_S in of_seeds.items()
        },
        {
            arm: with_seeds(
                mean_of_estimates([row.differences[arm] for row in rows]),
                [of_seeds[arm], of_seeds[reference]],
            )
            for arm in rows[0].differences
        },
        {arm: value_S.tolist() for arm, value_S in of_seeds.items()},
        {},
    )
    return [mean, *_rows_of(_pooled(key, members), reference, SIZES)]


def _mean_of_seeds(part: Shared) -> Shared:
    means = {arm: values.mean(axis=0, keepdims=True) for arm, values in part.values_SN.items()}
    return replace(part, values_SN=means)


def _pooled(key: Key, members: Sequence[Shared]) -> Shared:
    """Sets as one: each pair of set and column weighs the same, groups stay those of their set."""
    names = [one.key[1] for one in members]
    pairs = list(zip(names, members, strict=True))
    return Shared(
        key,
        {
            arm: np.concatenate([one.values_SN[arm] for one in members], axis=1)
            for arm in members[0].values_SN
        },
        np.array([f"{name}/{column}" for name, one in pairs for column in one.columns]),
        np.array([f"{name}/{group}" for name, one in pairs for group in one.groups]),
        tuple(names for one in members for names in one.strata),
        dropped=sum(one.dropped for one in members),
    )
