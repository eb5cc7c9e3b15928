"""A number and its conditions: what scores.json holds, one Score a line of the report.

Format keys come first and always; `details` adds keys that only some tasks have (the direction of a
retrieval, the size of its gallery, paired differences to controls).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regionmed.evaluation.statistics import Estimate

DIGITS = 6  # of every number written: enough for any use, few enough to be the same on every run


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a number was made: model, corpus, split, and what is known of leakage."""

    model: str  # the model's name
    weights: str  # sha256 of its weights
    corpus: str  # fingerprint; several are joined with "+"
    split: str
    leakage: str  # a sentence of leakage.py


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One value with its interval, size, chance level and controls."""

    task: str
    set: str  # a set's name, or "mean:all", "mean:several-labels", "mean:one-label"
    metric: str
    value: float
    low: float  # 95 % interval, bootstrap over groups
    high: float
    n: int  # what was counted: regions, questions, pictures, queries
    chance: float
    conditions: Conditions
    stratum: str = "all"
    controls: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)  # JSON values

    def row(self) -> dict[str, Any]:
        """The score as a JSON object: the format's keys, then the details; numbers rounded."""
        row = {
            "task": self.task,
            "set": self.set,
            "stratum": self.stratum,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "chance": self.chance,
            "controls": self.controls,
            "model": self.conditions.model,
            "corpus": self.conditions.corpus,
            "split": self.conditions.split,
            "leakage": self.conditions.leakage,
            "weights": self.conditions.weights,
        }
        assert not row.keys() & self.details.keys(), "a detail may not hide a key of the format"
        row |= self.details
        return {key: rounded(value) for key, value in row.items()}


def score_of(estimate: Estimate, **rest: Any) -> Score:
    """A Score whose value and interval are an Estimate's; `rest` are the other fields."""
    return Score(value=estimate.value, low=estimate.low, high=estimate.high, **rest)


def joint_conditions(conditions: Sequence[Conditions]) -> Conditions:
    """The conditions of a mean: fingerprints and remarks on leakage that differ stand together."""
    corpora = "+".join(dict.fromkeys(each.corpus for each in conditions))
    remarks = "; ".join(dict.fromkeys(each.leakage for each in conditions))
    return replace(conditions[0], corpus=corpora, leakage=remarks)


def scores_json(scores: Sequence[Score]) -> str:
    """The text of scores.json: a list of objects, the same bytes for the same scores."""
    rows = [score.row() for score in scores]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rounded(value: Any) -> Any:
    """A JSON value with every number in it rounded to DIGITS."""
    """A JSON value whose numbers have DIGITS digits after the point."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value
