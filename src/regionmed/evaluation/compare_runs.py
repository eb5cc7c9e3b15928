"""The runs of a comparison: each trained where it has a recipe, evaluated, and its result written.

OUT/runs/NAME      the training run of an arm's seed; a stopped one goes on, a finished one stays
OUT/arms/NAME      its evaluation: the report, and answers.parquet
RESULTS/NAME       .parquet and .json, written last: they mean that the run is finished, also
                   where its folders are gone
OUT/locks/NAME     held by the process that works on it, given back by the system when that ends;
                   so is RESULTS/.NAME.lock, because several OUT may share one RESULTS
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regionmed.corpus.shards import Corpus
from regionmed.errors import RunStoppedError, UsageError
from regionmed.evaluation.compare_plan import Plan, Run
from regionmed.evaluation.compare_result import (
    ANSWERS_END,
    conditions_of,
    read_result,
    result_of,
    seconds_a_step,
    spoken,
    spoken_source,
    write_result,
)
from regionmed.evaluation.evaluate import SCORES, evaluate
from regionmed.evaluation.outcomes import ANSWERS
from regionmed.evaluation.subject import Scored
from regionmed.progress import Track, silent
from regionmed.recipes import load_recipe
from regionmed.training.stages import Recipe
from regionmed.training.train import train


@dataclass(frozen=True, eq=False)
class Workshop:
    """A plan, its opened corpora, the folders OUT and RESULTS, and the way to a model."""

    plan: Plan
    corpora: Sequence[Corpus]
    out: Path
    results: Path
    load: Callable[[str], Scored]
    track: Track = silent

    @property
    def conditions(self) -> dict[str, Any]:
        """What a result must say of itself to belong to this comparison."""
        fingerprints = [corpus.fingerprint for corpus in self.corpora]
        return conditions_of(self.plan, fingerprints, version("regionmed"))

    def evaluation(self, run: Run) -> Path:
        """The folder of a run's report and answers."""
        return self.out / "arms" / run.name

    def result(self, run: Run) -> dict[str, Any] | None:
        """The result of a finished run; None where it is not finished.

        UsageError where what lies there is damaged, or the result of something else: hours of work
        that are not written over.
        """
        file = self.results / f"{run.name}.json"
        found = read_result(file)
        if found is None:
            return None
        asked = {**self.conditions, "arm": run.arm, "seed": run.seed, "model": spoken_source(run)}
        if run.trained:
            asked["recipe"] = spoken(recipe_of(run).as_json())
        if other := [key for key, value in asked.items() if found.get(key) != value]:
            raise UsageError(
                f"{file} is of another comparison: its {' and '.join(other)} differ from what this "
                f"plan asks; give another --results, or remove it and its {ANSWERS_END}"
            )
        return found


def recipe_of(run: Run) -> Recipe:
    """The recipe of a trained run, with its seed; RecipeError where there is none."""
    return replace(load_recipe(run.source), seed=run.seed)


def finish(shop: Workshop, run: Run) -> bool:
    """Train and evaluate a run as far as that is not done; False where another process is at it.

    RecipeError where OUT/runs/NAME was begun by another recipe or on other corpora, UsageError
    where the model has the weights of another run, RunStoppedError where a signal stopped its
    training; errors of training and evaluation pass through.
    """
    (shop.out / "locks").mkdir(parents=True, exist_ok=True)
    shop.results.mkdir(parents=True, exist_ok=True)
    try:
        with (
            FileLock(shop.out / "locks" / f"{run.name}.lock", timeout=0),
            FileLock(shop.results / f".{run.name}.lock", timeout=0),
        ):
            _finish(shop, run)
    except Timeout:
        return False
    except RunStoppedError:
        raise RunStoppedError(
            f"run {run.name} was stopped in training and is saved; give the same command again to "
            "go on, or --table for what is finished"
        ) from None
    return True


def _finish(shop: Workshop, run: Run) -> None:
    kept, made = shop.result(run), None
    if run.trained:
        if kept is not None:
            return
        recipe = recipe_of(run)
        folder = train(recipe, shop.corpora, shop.out / "runs" / run.name, True, shop.track)
        model = shop.load(str(folder))
        seconds = seconds_a_step(folder / "journal.jsonl")
        made = {"recipe": recipe.as_json(), "steps": recipe.steps, "seconds_a_step": seconds}
    else:
        model = shop.load(run.source)
        if kept is not None and kept["weights"] == model.fingerprint:
            return
    _refuse_twins(shop, run, model.fingerprint)
    folder = shop.evaluation(run)
    evaluate(model, shop.corpora, folder, shop.plan.split, shop.track, tasks=shop.plan.tasks)
    scores = json.loads((folder / SCORES).read_text("utf-8"))
    result = result_of(run, shop.conditions, model, made, scores)
    write_result(shop.results, run.name, result, folder / ANSWERS)


def _refuse_twins(shop: Workshop, run: Run, weights: str) -> None:
    for other in shop.plan.in_turn():
        result = None if other == run else shop.result(other)
        if result is not None and result["weights"] == weights:
            raise UsageError(
                f"{other.source} and {run.source} (arm '{run.arm}') are the same weights under two "
                "names, which says nothing when compared; name two different models"
            )
