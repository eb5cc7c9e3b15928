"""A step that ended in no number, kept so that it can be looked at again.

RUN/failed-step-000123/ holds the state before the step (state.safetensors, as a checkpoint) and
step.json, which says how to draw its batch: from the recipe, the corpora and the step's number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from regionmed.corpus.shards import Corpus
from regionmed.errors import RecipeError
from regionmed.progress import Track, silent
from regionmed.training.loader import draw_steps
from regionmed.training.parallel import ALONE, Share
from regionmed.training.prepare import check_recipe, heard_anew, prepare, resolved
from regionmed.training.stages import Recipe
from regionmed.training.state import RunState, put_tensors, tensors_of, write_folder
from regionmed.training.step import NotFiniteError, Numbers, enter_stage, one_step

STEP = "step.json"


def keep_failed_step(
    run: Path,
    state: RunState,
    made_from: dict[str, Any],
    stage: str,
    failure: NotFiniteError,
    share: Share = ALONE,
) -> RecipeError:
    """Write the folder, complete or not at all; returns the error that names it.

    made_from  the resolved recipe and corpora of the run
    """
    folder = run / f"failed-step-{state.step:06d}"
    told = {"step": state.step, "stage": stage, "failure": str(failure)}
    # JSON has no word for these numbers
    numbers = {
        name: None if value is None else str(value) for name, value in failure.numbers.items()
    }
    tensors = tensors_of(state, share)
    if share.leads:
        write_folder(folder, tensors, {STEP: {**told, "numbers": numbers, **made_from}})
    return RecipeError(
        f"stage '{stage}', step {state.step}: {failure}; weights and draw are kept in {folder} "
        "(regionmed.training.capture.replay takes the step again); begin another run with a lower "
        "learning_rate"
    )


def replay(
    recipe: Recipe, corpora: Sequence[Corpus], folder: Path, track: Track = silent
) -> Numbers:
    """Take the step of a failed-step folder again, on the weights and the batch it failed on.

    Returns what its journal line would have held. RecipeError where the folder is none, or of
    another recipe or other corpora.
    """
    path = folder / STEP
    if not path.is_file():
        raise RecipeError(f"{folder} holds no failed step: it has no {STEP}")
    kept = json.loads(path.read_text())
    if {key: kept.get(key) for key in ("recipe", "corpora")} != resolved(recipe, corpora):
        raise RecipeError(f"{folder} was written by a run of another recipe or other corpora")
    ready = prepare(recipe, corpora, check_recipe(recipe, corpora), track)
    number = int(kept["step"])
    put_tensors(ready.learner.state, folder)
    ready.learner.state.step = number
    learner = heard_anew(ready.learner, ready.examples.bank, track)
    stage, first = recipe.stage_at(number)
    learner = enter_stage(learner, stage)
    torch.manual_seed(recipe.chance(number))
    (step,) = draw_steps(ready.drawer, stage, range(number, number + 1))
    try:
        return one_step(learner, stage, number - first, step)
    except NotFiniteError as failure:
        return failure.numbers
