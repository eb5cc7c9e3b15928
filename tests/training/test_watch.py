"""A loss that stands at chance is said, once a stage."""

from __future__ import annotations

import json
import math
from pathlib import Path

from regionmed.training.journal import Journal
from regionmed.training.watch import SPAN, Watch

CHANCE = math.log(32)


def line(step: int, loss: float, stage: str = "global") -> dict:
    return {"step": step, "stage": stage, "global": loss, "global_at_chance": CHANCE}


def test_a_loss_that_stands_at_the_logarithm_of_the_batch_is_said_once() -> None:
    watch = Watch()
    said = [watch.remark(line(step, CHANCE)) for step in range(3 * SPAN)]
    assert [step for step, remark in enumerate(said) if remark] == [SPAN - 1]
    assert "3.47" in str(said[SPAN - 1])  # ln 32


def test_a_loss_that_falls_is_not_spoken_of() -> None:
    watch = Watch()
    assert not any(watch.remark(line(step, CHANCE - 0.002 * step)) for step in range(3 * SPAN))


def test_a_collapse_after_a_good_beginning_is_said_too() -> None:
    losses = [CHANCE - 1.1] * 50 + [CHANCE] * 2 * SPAN
    watch = Watch()
    said = [step for step, loss in enumerate(losses) if watch.remark(line(step, loss))]
    # the mean of 100 steps is within .05 of chance once at most 4 of them are from before
    assert said == [50 + SPAN - 4 - 1]


def test_each_stage_is_watched_anew() -> None:
    watch = Watch()
    stages = ["global"] * (SPAN - 1) + ["joint"] * SPAN
    said = [n for n, stage in enumerate(stages) if watch.remark(line(n, CHANCE, stage))]
    assert said == [2 * SPAN - 2]


def test_a_resumed_run_warns_where_the_undisturbed_one_does(tmp_path: Path) -> None:
    for begin, end in ((0, 40), (40, SPAN + 20), (SPAN + 20, SPAN + 40)):
        journal = Journal(tmp_path, begin)
        for step in range(begin, end):
            numbers = line(step, CHANCE)
            journal.write(step, numbers.pop("stage"), numbers)
        journal.close()
    lines = [json.loads(row) for row in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [row["step"] for row in lines if "warning" in row] == [SPAN - 1]
