"""What a run is about to do, with its end in sight: measured on real steps before the first counts.

The steps measured are thrown away: the weights come back bit for bit.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from regionmed.training.draw import Drawer
from regionmed.training.loader import draw_steps
from regionmed.training.parts import part_named
from regionmed.training.stages import Stage
from regionmed.training.state import on_trial
from regionmed.training.step import Learner, enter_stage, one_step

MEASURED = 2  # steps of each stage, after one that is not counted


@dataclass(frozen=True)
class StagePlan:
    """One stage that is still to do, or what is left of it."""

    name: str
    steps: int  # still to do
    terms: dict[str, float]  # loss -> weight
    trains: dict[str, int]  # part -> numbers that move
    step_seconds: float  # measured, drawing included, checkpoints not

    @property
    def seconds(self) -> float:
        """Of all its steps."""
        return self.steps * self.step_seconds


@dataclass(frozen=True)
class Plan:
    """What a run is about to do."""

    recipe: str
    batch_size: int
    done: int  # steps, of an earlier start
    stages: tuple[StagePlan, ...]
    peak_bytes: int  # most memory this process held so far, measured steps included

    @property
    def seconds(self) -> float:
        """Expected time of all steps still to do."""
        return sum(stage.seconds for stage in self.stages)


Tell = Callable[[Plan | str], None]  # hears a run's plan, and remarks as sentences


def plan_run(learner: Learner, drawer: Drawer) -> Plan:
    """Measure a few steps of each stage that is not done; nothing has moved afterwards."""
    recipe, done, first, planned = learner.recipe, learner.state.step, 0, []
    for stage in recipe.stages:
        begin, first = max(first, done), first + stage.steps
        if begin < first:
            planned.append(
                StagePlan(
                    name=stage.name,
                    steps=first - begin,
                    terms=stage.losses,
                    trains={part: _numbers(learner, part) for part in stage.trains},
                    step_seconds=_seconds(learner, drawer, stage, begin),
                )
            )
    return Plan(recipe.name, recipe.batch_size, done, tuple(planned), _peak_bytes())


def _seconds(learner: Learner, drawer: Drawer, stage: Stage, begin: int) -> float:
    numbers = range(begin, begin + 1 + MEASURED)
    with on_trial(learner.model, learner.state, learner.recipe) as state:
        trial = enter_stage(replace(learner, state=state), stage)
        for place, step in enumerate(draw_steps(drawer, stage, numbers)):
            one_step(trial, stage, place, step)
            if place == 0:
                started = time.perf_counter()
        return (time.perf_counter() - started) / MEASURED


def _numbers(learner: Learner, part: str) -> int:
    return sum(parameter.numel() for parameter in part_named(learner.model, part).values())


def _peak_bytes() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # kilobytes on Linux
