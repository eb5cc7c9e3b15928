"""From answers about regions to scores: each set, its strata, and the means over sets.

The mean over sets stands also for two groups apart: sets with several labels a picture, where the
region must be read, and sets with one, where the whole picture is enough to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.score import Conditions, Score, joint_conditions, score_of
from regionmed.evaluation.significance import beaten_by_chance, permutation_chance
from regionmed.evaluation.statistics import (
    differences,
    macro_mean,
    mean_of_estimates,
)
from regionmed.evaluation.strata import LEAST_IN_STRATUM, SIZES

TASK = "region_classification"


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Regions of one or several sets as rows; `columns` are (set, label) pairs."""

    source: str  # of the boxes
    hits: np.ndarray
    controls: dict[str, np.ndarray]
    chance: np.ndarray
    columns: np.ndarray
    groups: np.ndarray
    strata: list[tuple[str, ...]]
    gates_R2: np.ndarray | None = None  # of given boxes: detail, context

    def part(self, rows: np.ndarray) -> Pool:
        """The rows where `rows` is True."""
        return Pool(
            self.source,
            self.hits[rows],
            {name: hits[rows] for name, hits in self.controls.items()},
            self.chance[rows],
            self.columns[rows],
            self.groups[rows],
            [names for names, chosen in zip(self.strata, rows, strict=True) if chosen],
            None if self.gates_R2 is None else self.gates_R2[rows],
        )


def score_regions(answers: Sequence[RegionAnswers]) -> list[Score]:
    """All scores of region classification; empty where no set was asked.

    Given boxes are scored in every stratum beside all controls; other sources of boxes on whole
    sets and their means, and by size over all sets, beside the answers from given boxes.
    """
    scores: list[Score] = []
    for one in answers:
        name, conditions = one.part.name, one.part.conditions
        own = _scores_of_pool(pool_of([one]), name, conditions, _strata_in([one]))
        scores += [_with_permutations(one, own[0]), *own[1:]] if own else []
    scores += _scores_over_sets(answers, "given")
    for source in dict.fromkeys(source for one in answers for source in one.source_hits):
        members = [one for one in answers if source in one.source_hits]
        if source != "given":
            for one in members:
                pool = pool_of([one], source)
                scores += _scores_of_pool(pool, one.part.name, one.part.conditions, ["all"])
            scores += _scores_over_sets(members, source)
    return scores


def _with_permutations(one: RegionAnswers, score: Score) -> Score:
    """The set's macro accuracy with what permuted labels earn, and how often they earn as much."""
    seed = f"regions {one.part.name} permuted"
    chance = permutation_chance(one.similarity_RL, one.asked.truth_R, one.groups, seed)
    permuted = {**chance.as_json(), "p": beaten_by_chance(score.value, chance)}
    return replace(score, details={**score.details, "chance_by_permutation": permuted})


def region_outcomes(answers: Sequence[RegionAnswers]) -> list[Outcomes]:
    """What each region earned from each source of boxes, for pairing models."""
    return [
        _outcomes(one, source, hits) for one in answers for source, hits in one.source_hits.items()
    ]


def _outcomes(one: RegionAnswers, source: str, hits_R: np.ndarray) -> Outcomes:
    asked = np.flatnonzero(~np.isnan(hits_R))
    items, groups, strata = one.items, one.groups, one.strata
    return Outcomes(
        task=TASK,
        set=one.part.name,
        metric="macro_accuracy",
        boxes=source,
        items=tuple(items[row] for row in asked),
        groups=tuple(groups[row] for row in asked),
        columns=tuple(one.asked.labels[one.asked.truth_R[row]] for row in asked),
        strata=tuple(strata[row] for row in asked),
        values_N=hits_R[asked],
    )


def _scores_over_sets(answers: Sequence[RegionAnswers], source: str) -> list[Score]:
    scores: list[Score] = []
    groups: dict[str, Callable[[RegionAnswers], bool]] = {
        "mean:all": lambda one: True,
        "mean:several-labels": lambda one: one.several_labels,
        "mean:one-label": lambda one: not one.several_labels,
    }
    for name, belongs in groups.items():
        members = [one for one in answers if belongs(one)]
        if members:
            scores.append(_mean_over_sets(name, members, source))
    if answers:
        conditions = joint_conditions([one.part.conditions for one in answers])
        strata = [name for name in _strata_in(answers) if name != "all"]
        if source != "given":
            strata = [name for name in strata if name in SIZES]
        scores += _scores_of_pool(pool_of(answers, source), "mean:all", conditions, strata)
    return scores


def pool_of(answers: Sequence[RegionAnswers], source: str = "given") -> Pool:
    """The regions of several sets together that were asked with boxes of one source.

    Only controls that all sets have; beside another source than `given` stands `given` alone.
    """
    beside = [
        one.control_hits if source == "given" else {"given": one.source_hits["given"]}
        for one in answers
    ]
    shared = [name for name in beside[0] if all(name in controls for controls in beside)]
    chance = [np.full(len(one.hits), 1 / len(one.asked.labels)) for one in answers]
    columns = [f"{one.part.name}/{label}" for one in answers for label in one.asked.truth_R]
    groups = [f"{one.part.name}/{group}" for one in answers for group in one.groups]
    pool = Pool(
        source=source,
        hits=np.concatenate([one.source_hits[source] for one in answers]),
        controls={name: np.concatenate([controls[name] for controls in beside]) for name in shared},
        chance=np.concatenate(chance),
        columns=np.array(columns),
        groups=np.array(groups),
        strata=[names for one in answers for names in one.strata],
        gates_R2=_gates(answers) if source == "given" else None,
    )
    return pool.part(~np.isnan(pool.hits))


def _gates(answers: Sequence[RegionAnswers]) -> np.ndarray | None:
    gates = [one.gates_R2 for one in answers if one.gates_R2 is not None]
    return np.concatenate(gates) if len(gates) == len(answers) else None


def _strata_in(answers: Sequence[RegionAnswers]) -> list[str]:
    """`all`, then the strata that occur, sizes from tiny to large first."""
    found = {name for one in answers for names in one.strata for name in names}
    return ["all", *(size for size in SIZES if size in found), *sorted(found - set(SIZES))]


def _scores_of_pool(
    pool: Pool, name: str, conditions: Conditions, strata: Sequence[str]
) -> list[Score]:
    """Macro accuracy over (set, label) pairs, and the plain share that is right, a stratum each."""
    scores = []
    for stratum in strata:
        rows = np.array([stratum == "all" or stratum in names for names in pool.strata])
        if rows.sum() < LEAST_IN_STRATUM:
            continue
        part = pool.part(rows)
        for metric, columns in (
            ("macro_accuracy", part.columns),
            ("accuracy", np.zeros(len(part.hits), int)),
        ):
            scores.append(_score(part, columns, metric, name, stratum, conditions))
    return scores


def _score(
    pool: Pool, columns: np.ndarray, metric: str, name: str, stratum: str, conditions: Conditions
) -> Score:
    seed = f"regions {name} {stratum}"
    groups = list(pool.groups)

    against = differences(pool.hits, pool.controls, columns, groups, seed)

    def value_of(values: np.ndarray) -> float:
        return macro_mean(values, columns, groups, seed).value

    return score_of(
        macro_mean(pool.hits, columns, groups, seed),
        task=TASK,
        set=name,
        stratum=stratum,
        metric=metric,
        n=len(pool.hits),
        chance=value_of(pool.chance),
        controls={control: value_of(pool.controls[control]) for control in against},
        conditions=conditions,
        details={
            "boxes": pool.source,
            **_mean_gates(pool),
            "labels": len(set(pool.columns)),
            "differences": {control: found.as_json() for control, found in against.items()},
        },
    )


def _mean_gates(pool: Pool) -> dict[str, dict[str, float]]:
    """How much detail and context the regions let in on average, 0..2; nothing without gates."""
    if pool.gates_R2 is None:
        return {}
    detail, context = pool.gates_R2.mean(axis=0)
    return {"gates": {"detail": float(detail), "context": float(context)}}


def _mean_over_sets(name: str, members: Sequence[RegionAnswers], source: str) -> Score:
    """The mean of the sets' macro accuracies, every set weighing the same."""
    pools = [pool_of([one], source) for one in members]
    shared = [c for c in pools[0].controls if all(c in pool.controls for pool in pools)]
    seeds = [f"regions {one.part.name} all" for one in members]
    pairs = list(zip(pools, seeds, strict=True))
    against = [
        differences(p.hits, p.controls, p.columns, list(p.groups), seed) for p, seed in pairs
    ]
    estimates = [macro_mean(p.hits, p.columns, list(p.groups), seed) for p, seed in pairs]
    total = mean_of_estimates(estimates)
    shared = [c for c in shared if all(c in found for found in against)]
    gains = {c: mean_of_estimates([found[c] for found in against]) for c in shared}
    # a control may be asked of fewer regions than the model, so it has a value of its own
    beside = {
        c: [macro_mean(p.controls[c], p.columns, list(p.groups), seed).value for p, seed in pairs]
        for c in shared
    }
    return score_of(
        total,
        task=TASK,
        set=name,
        metric="macro_accuracy",
        n=sum(len(pool.hits) for pool in pools),
        chance=float(np.mean([1 / len(one.asked.labels) for one in members])),
        controls={c: float(np.mean(values)) for c, values in beside.items()},
        conditions=joint_conditions([one.part.conditions for one in members]),
        details={
            "boxes": source,
            "sets": [one.part.name for one in members],
            "differences": {c: gain.as_json() for c, gain in gains.items()},
        },
    )
