"""Before a long run: can this recipe learn anything by heart?

A few pictures in fixed views, shown again and again at the recipe's own rates: a model, a text
tower or a rate that is broken shows here in seconds, not after hours. The weights come back bit for
bit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from statistics import fmean

import torch

from regionmed.errors import RecipeError
from regionmed.training.draw import Drawer, Step
from regionmed.training.loader import draw_steps
from regionmed.training.stages import Recipe, Stage
from regionmed.training.state import on_trial
from regionmed.training.step import Learner, Numbers, enter_stage, one_step

LONG = 500  # steps; a shorter run shows what it learns before the gate has paid
PAIRS = 64  # pictures with their texts and regions, or as many as there are
STEPS = 60  # at most
LEARNT = 0.5  # of the way from chance to the least possible loss, of each term
SMOOTHING = 0.05  # of the labels, see losses.label_loss
JUDGED = ("global", "region")  # terms whose value is known for a model that knows nothing

Bounds = dict[str, tuple[float, float]]  # term -> its value at chance, its least value


@dataclass(frozen=True)
class Sanity:
    """How a recipe learnt a few pictures by heart."""

    pictures: int
    steps: int
    seconds: float
    learnt: dict[str, float]  # term -> share of the way from chance to its least value

    @property
    def sentence(self) -> str:
        """The same in words."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.learnt.items())
        return (
            f"sanity: {self.pictures} pictures learnt by heart in {self.steps} steps, "
            f"{self.seconds:.0f} s (of the way from chance to the least value: {shares})"
        )


def sanity_gate(learner: Learner, drawer: Drawer) -> Sanity | None:
    """Learn PAIRS pictures by heart; None where the recipe has no term that can be judged.

    RecipeError where STEPS steps do not bring each judged term LEARNT of its way.
    """
    stage = _all_in_one(learner.recipe)
    batches = [] if stage is None else _fixed_batches(drawer, stage)
    bounds = [_bounds(step, learner.vocabulary) for step in batches]
    if stage is None or not any(bounds):
        return None
    started = time.perf_counter()
    learnt: dict[str, float] = {}
    with on_trial(learner.model, learner.state, learner.recipe) as state:
        trial, number = enter_stage(replace(learner, state=state), stage), 0
        while number < STEPS and min(learnt.values(), default=0.0) < LEARNT:
            shares: list[dict[str, float]] = []
            for step, bound in zip(batches, bounds, strict=True):
                torch.manual_seed(learner.share.chance(number))
                shares.append(_shares(one_step(trial, stage, number, step), bound))
                number += 1
            learnt = {
                name: fmean(share[name] for share in shares if name in share)
                for name in sorted({name for share in shares for name in share})
            }
    pictures = sum(len(step.picture_texts) for step in batches)
    worst = min(learnt, key=learnt.__getitem__)
    if learnt[worst] < LEARNT:
        raise RecipeError(
            f"recipe '{learner.recipe.name}' cannot learn {pictures} pictures by heart: after "
            f"{number} steps its loss '{worst}' has gone {learnt[worst]:.0%} of the way from "
            f"chance to its least value and {LEARNT:.0%} are needed; look at its learning rates, "
            "the parts it trains and the texts before a long run"
        )
    return Sanity(pictures, number, time.perf_counter() - started, learnt)


def _all_in_one(recipe: Recipe) -> Stage | None:
    """The judged terms of all stages at once, at the recipe's highest rates."""
    terms = [name for name in JUDGED if any(name in stage.losses for stage in recipe.stages)]
    if not terms:
        return None
    return Stage(
        name="sanity",
        steps=50 * STEPS,  # at the peak rate after the warm-up, as in a long stage
        trains=tuple(sorted({part for stage in recipe.stages for part in stage.trains})),
        losses=dict.fromkeys(terms, 1.0),
        learning_rate=max(stage.learning_rate for stage in recipe.stages),
        trunk_rate=max(stage.trunk_rate for stage in recipe.stages),
    )


def _fixed_batches(drawer: Drawer, stage: Stage) -> list[Step]:
    """Batches of the recipe's size, so that no more memory is asked than in the run itself."""
    pictures = min(PAIRS, len(drawer.examples.items))
    few = Drawer(
        drawer.examples,
        drawer.views,
        min(drawer.batch, pictures),
        drawer.regions,
        drawer.seed,
        drawer.grid,
    )
    return list(draw_steps(few, stage, range(math.ceil(pictures / few.batch))))


def _bounds(step: Step, vocabulary: list[int]) -> Bounds:
    """Terms that this batch can judge; where all pictures say the same, `global` cannot be."""
    found: Bounds = {}
    if step.text_columns:
        rows = step.positive_BM.sum(1)
        columns = step.positive_BM[:, : step.own_columns].sum(0)
        # n true answers share the probability: ln n is the least a softmax over them can lose
        least = (rows[rows > 0].log().mean() + columns[columns > 0].log().mean()) / 2
        chance = (math.log(len(step.text_columns)) + math.log(len(step.picture_texts))) / 2
        found["global"] = chance, float(least)
    if step.labels:
        labels, rest = len(vocabulary), SMOOTHING / len(vocabulary)
        top = 1 - SMOOTHING + rest
        least_region = -top * math.log(top) - (labels - 1) * rest * math.log(rest)
        found["region"] = math.log(labels), least_region
    return {name: (high, low) for name, (high, low) in found.items() if high - low > 0.1}


def _shares(numbers: Numbers, bounds: Bounds) -> dict[str, float]:
    losses = {name: numbers.get(name) for name in bounds}
    return {
        name: (bounds[name][0] - loss) / (bounds[name][0] - bounds[name][1])
        for name, loss in losses.items()
        if loss is not None
    }
