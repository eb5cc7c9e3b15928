"""Is anything learnt at all? A contrastive loss that stands at ln(batch) says no.

A model that gives every picture and text the same similarity loses ln(columns) on each picture and
ln(pictures) on each text. Some collapse to that early and stay: the journal looks calm for hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SPAN = 100  # steps that must all lie in one stage
NEAR = 0.05  # below chance by less than this, on their mean, is standing still


class Watch:
    """Reads the journal line by line; says once a stage that nothing is learnt."""

    def __init__(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """`lines` are those of the run so far, so that a resumed run says what it would have."""
        self._stage = ""
        self._below: list[float] = []  # chance - loss of the stage's last steps
        self._said = False
        for line in lines:
            self.remark(line)
            self._said |= "warning" in line

    def remark(self, line: Mapping[str, Any]) -> str | None:
        """A sentence where the last SPAN steps of the stage stood at chance, else None."""
        if line["stage"] != self._stage:
            self._stage, self._below, self._said = line["stage"], [], False
        loss, chance = line.get("global"), line.get("global_at_chance")
        if loss is None or chance is None:
            return None
        self._below = [*self._below[1 - SPAN :], chance - loss]
        mean = sum(self._below) / len(self._below)
        if self._said or len(self._below) < SPAN or mean > NEAR:
            return None
        self._said = True
        return (
            f"stage '{self._stage}', step {line['step']}: for {SPAN} steps the loss 'global' has "
            f"stood at chance ({chance:.2f}, the logarithm of the batch): pictures and texts are "
            "not told apart; look at learning_rate, precision and the texts"
        )
