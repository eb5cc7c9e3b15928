"""The loop: stages as data, one forward a picture, every term in the journal, exact resume.

RUN/ recipe.json · journal.jsonl · tensorboard/ · checkpoints/ · model/ (last; see checkpoint.py)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from regionmed.corpus.shards import Corpus
from regionmed.errors import RecipeError, RunStoppedError
from regionmed.model.checkpoint import save_model
from regionmed.progress import Track, silent
from regionmed.training.capture import keep_failed_step
from regionmed.training.journal import Journal
from regionmed.training.leaving import Leaving, signals_noted
from regionmed.training.loader import draw_steps
from regionmed.training.parallel import together, whole_model
from regionmed.training.plan import Plan, Tell, plan_run
from regionmed.training.prepare import Ready, check_recipe, heard_anew, prepare, resolved
from regionmed.training.sanity import LONG, sanity_gate
from regionmed.training.stages import Recipe, Stage
from regionmed.training.state import load_state, save_state
from regionmed.training.step import NotFiniteError, enter_stage, one_step
from regionmed.training.trackers import need_tracker, open_tracker


@dataclass(frozen=True)
class _Run:
    ready: Ready
    corpora: Sequence[Corpus]
    out: Path
    journal: Journal | None  # of the process that leads
    leaving: Leaving
    loader_workers: int
    track: Track
    tell: Tell

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"


def train(
    recipe: Recipe,
    corpora: Sequence[Corpus],
    out: Path,
    resume: bool = False,
    track: Track = silent,
    *,
    tell: Tell | None = None,
    loader_workers: int = 0,
    log: str | None = None,
    shard: bool = False,
) -> Path:
    """Run the recipe on the training rows of the corpora; returns the run folder.

    A finished or begun run in `out` is only touched with `resume`, and only by the same recipe on
    the same corpora.
    tell            hears the plan before the first step, and remarks; without it none is measured
    loader_workers  processes that draw steps ahead; their number changes no result
    log             "wandb" or "mlflow" beside the journal
    shard           split what moves over the processes that torchrun started (see parallel.py)
    RecipeError where a stage has a term that the rows cannot feed, where a long run cannot learn a
    few pictures by heart, or where a loss is no number; RunStoppedError after SIGTERM or SIGINT.
    """
    examples = check_recipe(recipe, corpora)
    need_tracker(log)
    with together() as share:
        begun = _check_run(recipe, corpora, out, resume)
        if begun and (out / "model" / "model.json").is_file():
            return out
        share.wait()  # until all have looked: from here on the first one writes
        if not share.leads:
            track, tell = silent, tell and _deaf
        ready = prepare(recipe, corpora, examples, track, share, shard)
        _ready_to_go(ready, out, tell)
        if share.leads and not begun:
            _begin_run(recipe, corpora, out)
        journal = _journal(ready, out, log) if share.leads else None
        try:
            with signals_noted() as leaving:
                run = _Run(
                    ready, corpora, out, journal, leaving, loader_workers, track, tell or _deaf
                )
                first = 0
                for stage in recipe.stages:
                    _run_stage(run, stage, first)
                    first += stage.steps
        finally:
            if journal:
                journal.close()
        _finish(ready, corpora, out)
        share.wait()
    return out


def _ready_to_go(ready: Ready, out: Path, tell: Tell | None) -> None:
    """The newest checkpoint, the plan, and for a long run the sanity gate."""
    learner = ready.learner
    load_state(learner.state, out / "checkpoints")
    if tell:
        tell(plan_run(learner, ready.drawer))
    if learner.state.step == 0 and learner.recipe.steps >= LONG:
        sanity = sanity_gate(learner, ready.drawer)
        if tell and sanity:
            tell(sanity.sentence)


def _journal(ready: Ready, out: Path, log: str | None) -> Journal:
    learner = ready.learner
    tracker = open_tracker(log, out, learner.recipe) if log else None
    return Journal(out, learner.state.step, tracker)


def _run_stage(run: _Run, stage: Stage, first: int) -> None:
    """The steps of a stage that are not done yet; `first` is the number of its first step."""
    learner = run.ready.learner
    recipe, state, end = learner.recipe, learner.state, first + stage.steps
    begin = max(first, state.step)
    if begin >= end:
        return
    learner = heard_anew(learner, run.ready.examples.bank, run.track)
    learner = enter_stage(learner, stage)
    numbers = range(begin, end)
    steps = draw_steps(run.ready.drawer, stage, numbers, run.loader_workers)
    for number in run.track(numbers, f"stage {stage.name}"):
        started = time.monotonic()
        torch.manual_seed(learner.share.chance(recipe.chance(number)))
        step = next(steps)
        try:
            line = one_step(learner, stage, number - first, step)
        except NotFiniteError as failure:
            made_from = resolved(recipe, run.corpora)
            raise keep_failed_step(
                run.out, state, made_from, stage.name, failure, learner.share
            ) from failure
        state.step = number + 1
        line["seconds"] = time.monotonic() - started
        if run.journal:
            warning = run.journal.write(number, stage.name, line)
            if warning:
                run.tell(warning)
        leaves = learner.share.any(bool(run.leaving.signal))
        if state.step % recipe.checkpoint_every == 0 or state.step == end or leaves:
            if run.journal:
                run.journal.to_disk()
            save_state(state, run.checkpoints, learner.share)
        if leaves:
            heard = run.leaving.signal or "a signal to another process"
            raise RunStoppedError(
                f"{heard} after step {number}; all is saved in {run.out}: resume with --resume"
            )


def _deaf(said: Plan | str) -> None:
    """Hears nothing."""


def _check_run(recipe: Recipe, corpora: Sequence[Corpus], out: Path, resume: bool) -> bool:
    """Whether `out` holds this run already; RecipeError where it may not be written."""
    if any(path.is_file() for path in (out, *out.parents)):
        raise RecipeError(f"{out} is a file or lies below one; --out needs a new run folder")
    path = out / "recipe.json"
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise RecipeError(f"{out} is not empty and holds no run; choose another --out")
        return False
    if not resume:
        raise RecipeError(
            f"{out} holds a run already; continue it with --resume, or choose another --out"
        )
    if json.loads(path.read_text()) != resolved(recipe, corpora):
        raise RecipeError(
            f"{out} was begun with another recipe or other corpora; choose another --out"
        )
    return True


def _begin_run(recipe: Recipe, corpora: Sequence[Corpus], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    aside = out / ".recipe.part"
    aside.write_text(json.dumps(resolved(recipe, corpora), indent=1))
    os.replace(aside, out / "recipe.json")


def _finish(ready: Ready, corpora: Sequence[Corpus], out: Path) -> None:
    model, state, recipe = ready.learner.model, ready.learner.state, ready.learner.recipe
    if recipe.average:
        with torch.no_grad():
            for name, parameter in state.moving.items():
                parameter.copy_(state.average[name])
    model = whole_model(model)
    if not ready.learner.share.leads:
        return
    model.eval()
    model.stage = recipe.stages[-1].name
    model.phrases = ready.examples.sentences()
    model.region_phrases = ready.examples.region_phrases()
    model.training_pictures = frozenset(
        item.record.sha256 for item in ready.examples.items if item.record.sha256
    )
    made_from = {
        "recipe": recipe.name,
        "steps": recipe.steps,
        "seed": recipe.seed,
        "corpora": [corpus.fingerprint for corpus in corpora],
    }
    save_model(model, out / "model", made_from)
