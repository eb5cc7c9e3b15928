"""The journal of a run: one JSON line a step, and the same numbers for TensorBoard.

Every enabled term stands at every step; null where the batch held nothing that feeds it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class Journal:
    """Appends to RUN/journal.jsonl and RUN/tensorboard; lines from `step` on are dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "journal.jsonl"
        if self.path.exists():
            # a killed process may leave half a line, and lines after its last checkpoint
            kept = [line for line in self.path.read_text().splitlines() if _step(line) < step]
            aside = self.path.with_suffix(".part")
            aside.write_text("".join(line + "\n" for line in kept))
            os.replace(aside, self.path)
        self._lines = self.path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def write(self, step: int, stage: str, numbers: dict[str, float | None]) -> None:
        """One step: name -> value."""
        line: dict[str, Any] = {"step": step, "stage": stage, **numbers}
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()
        for name, value in numbers.items():
            if value is not None:
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both files."""
        self._lines.close()
        self._board.close()


def _step(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")
