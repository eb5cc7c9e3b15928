"""The result of one finished run of a comparison: two small files, fit to be kept and shared.

NAME.json      what the run was made from and the scores of its report that a comparison speaks of,
               each with its interval, chance and controls; no path and no name of a machine
NAME.parquet   what each item earned (outcomes.py), from which the table is made anywhere; items and
               groups are digests, because an item of the word probes is named by its text, and
               that may be a person's sentence
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from regionmed.errors import UsageError
from regionmed.evaluation.compare_plan import Plan, Run
from regionmed.evaluation.compare_table import MEAN, is_mean
from regionmed.evaluation.compute import eight_regions, multiply_adds
from regionmed.evaluation.outcomes import read_outcomes, write_outcomes
from regionmed.evaluation.part import spoken_name
from regionmed.evaluation.strata import SIZES
from regionmed.evaluation.subject import Scored, is_stored

FORMAT = "regionmed-result-2"
# Of a score: what says which one it is, then its numbers. Rows of other strata stay in the report.
KEPT = (
    "task", "set", "stratum", "metric", "boxes", "direction", "source", "target", "shots",
    "value", "low", "high", "n", "chance", "controls",
)  # fmt: skip
ANSWERS_END = ".parquet"
WRITTEN = {"format", "arm", "seed", "model", "weights", "scores", "leakage", "groups", "answers"}


def conditions_of(plan: Plan, fingerprints: Sequence[str], version: str) -> dict[str, Any]:
    """What two results must share to stand in one table."""
    return {
        "format": FORMAT,
        "version": version,
        "split": plan.split,
        "tasks": list(plan.tasks),
        "corpora": list(fingerprints),
    }


def result_of(
    run: Run,
    conditions: dict[str, Any],
    model: Scored,
    made: dict[str, Any] | None,
    scores: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The result of a run as a JSON object.

    made    of a trained run: its recipe, its seconds a step; None for a given model
    scores  rows of its scores.json
    """
    return {
        **conditions,
        "arm": run.arm,
        "seed": run.seed,
        "model": spoken_source(run),
        "weights": model.fingerprint,
        **(spoken(made) if made else {}),
        "multiply_adds": None if is_stored(model) else _multiply_adds(model),
        "scores": [
            {key: row[key] for key in KEPT if key in row}
            for row in scores
            if row["stratum"] in ("all", *SIZES)
        ],
        "leakage": _leakage(scores),
        "groups": _groups(scores),
    }


def spoken_source(run: Run) -> str:
    """A run's model or recipe without the folder it lies in."""
    if not run.trained:
        return spoken_name(run.source)
    path, colon, function = run.source.rpartition(":")
    return f"recipe {Path(path).name}{colon}{function}, seed {run.seed}"


def seconds_a_step(journal: Path) -> float | None:
    """The median seconds of a step of a training run, weighed by the steps of each stage.

    The median, because a step beside which something else ran says nothing of the recipe. None
    where the journal is gone or says no seconds.
    """
    if not journal.is_file():
        return None
    by_stage: dict[str, list[float]] = {}
    for line in journal.read_text("utf-8").splitlines():
        step = json.loads(line)
        if step.get("seconds") is not None:
            by_stage.setdefault(step["stage"], []).append(step["seconds"])
    steps = sum(len(seconds) for seconds in by_stage.values())
    if not steps:
        return None
    total = sum(statistics.median(each) * len(each) for each in by_stage.values())
    return round(total / steps, 3)


def read_result(path: Path) -> dict[str, Any] | None:
    """The result of NAME.json, None where it or its answers are not there.

    UsageError where either is something else, or they do not belong together.
    """
    answers = answers_of(path.parent, path.stem)
    if not path.is_file() or not answers.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found.keys() >= WRITTEN:
        raise UsageError(
            f"{path} is not a result that this `regionmed compare` wrote; remove it and run again"
        )
    if found["answers"] != _digest(answers.read_bytes()):
        raise UsageError(
            f"{answers} is not what {path.name} was written with; remove both and run again"
        )
    return found


def write_result(folder: Path, name: str, result: dict[str, Any], answers: Path) -> None:
    """Write FOLDER/NAME.parquet, then NAME.json; each is complete or not there.

    answers  the file of what each item earned
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").unlink(missing_ok=True)
    kept = answers_of(folder, name)
    write_outcomes(
        kept,
        [
            replace(
                one,
                items=tuple(_digest(item.encode())[:12] for item in one.items),
                groups=tuple(_digest(group.encode())[:12] for group in one.groups),
            )
            for one in read_outcomes(answers)
        ],
    )
    result = {**result, "answers": _digest(kept.read_bytes())}
    aside = folder / f".{name}.{os.getpid()}.part"
    try:
        aside.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(aside, folder / f"{name}.json")
    finally:
        aside.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def answers_of(folder: Path, name: str) -> Path:
    """Where the answers of a run are kept beside its result."""
    return folder / f"{name}{ANSWERS_END}"


def spoken(value: Any) -> Any:
    """A JSON value in which the names of folders have lost the way to them."""
    if isinstance(value, str):
        return spoken_name(value)
    if isinstance(value, dict):
        return {key: spoken(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [spoken(inner) for inner in value]
    return value


def _leakage(scores: Sequence[dict[str, Any]]) -> list[str]:
    """Each remark on leakage once, behind the sets that it is of."""
    remarks: dict[str, list[str]] = {}
    for score in scores:
        if not is_mean(score["set"]):
            remarks.setdefault(score["leakage"], []).append(score["set"])
    return [f"{', '.join(dict.fromkeys(sets))}: {text}" for text, sets in remarks.items()]


def _groups(scores: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The sets of each mean over some of them, as the report of a run tells them apart."""
    return {
        row["set"]: row["sets"]
        for row in scores
        if is_mean(row["set"]) and row["set"] != MEAN and "sets" in row
    }


def _multiply_adds(model: Any) -> dict[str, int]:
    alone, boxes_84 = multiply_adds(model, eight_regions()[:0]), eight_regions()
    return {"picture": alone, "picture and 8 regions": multiply_adds(model, boxes_84)}
