"""Steps drawn ahead of time, by other processes where there are some.

A step depends on (seed, number) alone, so who draws it, and when, changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from regionmed.training.draw import Drawer, Step
from regionmed.training.stages import Stage


@dataclass(frozen=True)
class StageSteps(Dataset[Step]):
    """The steps of a stage by their number in the run."""

    drawer: Drawer
    stage: Stage

    def __getitem__(self, number: int) -> Step:
        """The step's inputs."""
        return self.drawer.step(number, self.stage.losses, self.stage.sets)


def draw_steps(drawer: Drawer, stage: Stage, numbers: range, workers: int = 0) -> Iterator[Step]:
    """The stage's steps in order; `workers` processes draw ahead, two steps each."""
    steps = StageSteps(drawer, stage)
    if workers == 0:
        return (steps[number] for number in numbers)
    loader = DataLoader(
        steps,
        sampler=numbers,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_drawn,
        worker_init_fn=_left_to_the_parent,
        # a child sees the parent's mapped arrays; nothing is copied or pickled to it
        multiprocessing_context="fork",
        generator=torch.Generator(),
    )
    return iter(loader)


def _as_drawn(step: Any) -> Any:
    return step


def _left_to_the_parent(worker: int) -> None:
    # a signal to the whole group must not take the parent's next step from it: it saves and ends us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
