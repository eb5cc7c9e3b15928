"""The journal of a run: one JSON line a step, and the same numbers for TensorBoard.

Every enabled term stands at every step; null where the batch held nothing that feeds it. Where
asked, a tracker gets the numbers too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from regionmed.training.trackers import Tracker
from regionmed.training.watch import Watch


class Journal:
    """Appends to RUN/journal.jsonl and RUN/tensorboard; lines from `step` on are dropped."""

    def __init__(self, folder: Path, step: int, tracker: Tracker | None = None) -> None:
        self.path = folder / "journal.jsonl"
        kept: list[str] = []
        if self.path.exists():
            # a killed process may leave half a line, and lines after its last checkpoint
            kept = [line for line in self.path.read_text().splitlines() if _step(line) < step]
            aside = self.path.with_suffix(".part")
            aside.write_text("".join(line + "\n" for line in kept))
            os.replace(aside, self.path)
        self._lines = self.path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        self._tracker = tracker
        self._watch = Watch(json.loads(line) for line in kept)

    def write(self, step: int, stage: str, numbers: dict[str, float | None]) -> str | None:
        """One step: name -> value; returns a warning where these numbers call for one."""
        line: dict[str, Any] = {"step": step, "stage": stage, **numbers}
        warning = self._watch.remark(line)
        if warning:
            line["warning"] = warning
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()
        fed = {name: value for name, value in numbers.items() if value is not None}
        for name, value in fed.items():
            self._board.add_scalar(name, value, step)
        if self._tracker:
            self._tracker.write(step, fed)
        return warning

    def to_disk(self) -> None:
        """Returns when the lines have reached the disk: a checkpoint must not be ahead of them."""
        os.fsync(self._lines.fileno())

    def close(self) -> None:
        """Flush and close all."""
        self._lines.close()
        self._board.close()
        if self._tracker:
            self._tracker.close()


def _step(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")
