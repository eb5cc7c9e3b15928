"""Stages and recipes as data: what moves, for how long, towards what.

The loop in train.py runs any list of stages; recipes.py holds the whole runs.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from dataclasses import dataclass
from typing import Any, Literal

from regionmed.errors import RecipeError
from regionmed.model.config import ModelConfig

# name of a term -> what a corpus must hold for it
LOSSES = {
    # picture against texts
    "global": "a text of the whole picture",
    # the same, each pair judged by itself (SigLIP)
    "global-sigmoid": "a text of the whole picture",
    # picture moved by its regions, against texts
    "joined": "regions and a text of the whole picture",
    # region against the label vocabulary
    "region": "labelled regions",
    # region against the region texts of the batch
    "caption": "regions with texts",
    # region and picture texts against their false twins
    "hard": "texts with false twins",
    # text against the cells of the dense map
    "ground": "labelled regions",
    # a part of the picture read as a region, against the same part seen as a picture
    "distil": "a picture",
}
REGION_TERMS = frozenset({"joined", "region", "caption", "hard", "ground"})
WHOLE_PICTURE_TERMS = frozenset({"global", "global-sigmoid"})
ROI_TERMS = frozenset({"joined", "ground", "distil"})
TEXT_TERMS = frozenset({"global", "global-sigmoid", "joined", "hard"})
PARTS = ("stem", "trunk", "heads", "roi", "text")  # of the model: see parts.py


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One leg of training."""

    name: str
    steps: int  # optimizer steps
    trains: tuple[str, ...]  # parts that move, of PARTS; "trunk:2": its last two blocks
    losses: dict[str, float]  # name in LOSSES -> weight
    learning_rate: float = 1e-3  # peak, for heads and roi
    trunk_rate: float = 3e-4  # peak, for the towers: stem, trunk, text
    sets: dict[str, float] | None = None  # set -> share of the draws; None: all, by root of size

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise RecipeError(f"stage '{self.name}' needs at least one step, got {self.steps}")
        _known(self.name, "part", tuple(part.partition(":")[0] for part in self.trains), PARTS)
        _known(self.name, "loss", tuple(self.losses), tuple(LOSSES))
        if not self.losses:
            raise RecipeError(f"stage '{self.name}' has no loss; give one of {', '.join(LOSSES)}")
        if self.sets is not None and not all(weight > 0 for weight in self.sets.values()):
            raise RecipeError(
                f"stage '{self.name}' draws a set with a weight that is not above 0; leave it out"
            )

    @property
    def trains_texts(self) -> bool:
        """Whether the text tower moves, so that what it says of a text changes with every step."""
        return any(part.partition(":")[0] == "text" for part in self.trains)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run."""

    name: str
    model: ModelConfig
    stages: tuple[Stage, ...]
    batch_size: int = 32  # pictures a step
    chunk: int | None = None  # pictures a forward in stages without regions; None: all at once
    regions_per_picture: int = 16  # at most, drawn anew each step
    views: int = 3  # augmented views of each picture, cached
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    weight_decay: float = 0.05
    average: float = 0.995  # decay of the weight average that becomes the model; 0: last weights
    checkpoint_every: int = 100  # steps

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise RecipeError(
                f"recipe '{self.name}' reads {self.chunk} pictures a forward; chunk is at least 1"
            )
        if not self.model.sigmoid and any("global-sigmoid" in s.losses for s in self.stages):
            raise RecipeError(
                f"recipe '{self.name}' has the loss 'global-sigmoid' and a model without its scale "
                "and bias; give ModelConfig(sigmoid=True)"
            )

    @property
    def steps(self) -> int:
        """Optimizer steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, number: int) -> tuple[Stage, int]:
        """The stage that a step of the run belongs to, and that stage's first step."""
        first = 0
        for stage in self.stages:
            if number < first + stage.steps:
                return stage, first
            first += stage.steps
        raise RecipeError(f"recipe '{self.name}' has {self.steps} steps, none of number {number}")

    def chance(self, number: int) -> int:
        """The seed of dropout in a step, from the recipe's seed and the step's number alone."""
        return self.seed * 1_000_003 + number

    def as_json(self) -> dict[str, Any]:
        """The resolved recipe in JSON types, as stored in the run folder."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def _known(stage: str, what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"; did you mean '{close[0]}'?" if close else f"; it is one of {', '.join(known)}"
            )
            raise RecipeError(f"stage '{stage}' has no {what} '{name}'{hint}")
