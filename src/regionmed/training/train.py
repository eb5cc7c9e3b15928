"""The loop: stages as data, one forward a picture, every term in the journal, exact resume.

RUN/ recipe.json · journal.jsonl · tensorboard/ · checkpoints/ · model/ (last; see checkpoint.py)
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regionmed.batches.cache import open_picture_cache
from regionmed.corpus.shards import Corpus
from regionmed.errors import RecipeError
from regionmed.model.checkpoint import save_model
from regionmed.model.region_clip import RegionClip
from regionmed.progress import Track, silent
from regionmed.training.draw import Drawer, Step
from regionmed.training.examples import Examples, check_feeds, gather
from regionmed.training.journal import Journal
from regionmed.training.stages import Recipe, Stage
from regionmed.training.state import RunState, load_state, save_state
from regionmed.training.terms import Terms, teach
from regionmed.training.views import ViewCache

WARM_UP = 30  # steps at the start of each stage, or a tenth of it if that is less
CLIP = 1.0  # largest norm of the gradient
REGION_TERMS = frozenset({"joined", "region", "caption", "hard", "ground"})
ROI_TERMS = frozenset({"joined", "ground", "distil"})
TEXT_TERMS = frozenset({"global", "joined", "hard"})


@dataclass(frozen=True)
class _Run:
    recipe: Recipe
    model: RegionClip
    drawer: Drawer
    features_ND: Tensor  # of the frozen text tower, a row a text of the bank
    state: RunState
    journal: Journal
    checkpoints: Path
    track: Track


def train(
    recipe: Recipe,
    corpora: Sequence[Corpus],
    out: Path,
    resume: bool = False,
    track: Track = silent,
) -> Path:
    """Run the recipe on the training rows of the corpora; returns the run folder.

    A finished or begun run in `out` is only touched with `resume`, and only by the same recipe on
    the same corpora. RecipeError where a stage has a term that the rows cannot feed.
    """
    examples = gather(corpora)
    check_feeds(recipe, examples)
    _check_plain(recipe)
    begun = _check_run(recipe, corpora, out, resume)
    if begun and (out / "model" / "model.json").is_file():
        return out
    torch.manual_seed(recipe.seed)
    model = RegionClip(recipe.model)
    if not begun:
        _begin_run(recipe, corpora, out)
    pictures = [open_picture_cache(corpus, model.image_size, track) for corpus in corpora]
    distil = any("distil" in stage.losses for stage in recipe.stages)
    views = ViewCache(
        examples, pictures, model, recipe.views, corpora[0].folder / "cache", track, distil
    )
    features_ND = examples.bank.features(model, track)
    with torch.inference_mode():
        early = views.early([(0, 0)])
        early = early.float() if model.image_tower.stem_is_frozen else model.stem(early)
        levels = model.read_early(early).levels
        grid = levels[0].shape[-1] if levels else 1
    drawer = Drawer(
        examples, views, recipe.batch_size, recipe.regions_per_picture, recipe.seed, grid
    )
    state = _run_state(model, recipe)
    load_state(state, out / "checkpoints")
    journal = Journal(out, state.step)
    run = _Run(recipe, model, drawer, features_ND, state, journal, out / "checkpoints", track)
    try:
        first = 0
        for stage in recipe.stages:
            _run_stage(run, stage, first)
            first += stage.steps
    finally:
        journal.close()
    _finish(model, recipe, corpora, examples, state, out)
    return out


def parts(model: RegionClip) -> dict[str, dict[str, nn.Parameter]]:
    """The model's parameters by part name, as stages name them.

    trunk: the image tower behind its stem; heads: projections and temperatures; roi: pyramid, ROI
    processor, dense head. The stem and the text tower stay as they came.
    """
    found: dict[str, dict[str, nn.Parameter]] = {"trunk": {}, "heads": {}, "roi": {}}
    stem = ("net.conv_stem", "net.bn1", "net.blocks.0", "net.blocks.1", "net.blocks.2")
    text_side = (
        "clip.transformer",
        "clip.token_embedding",
        "clip.ln_final",
        "clip.text",
        "clip.positional_embedding",
        "clip.logit",
    )
    for name, parameter in model.named_parameters():
        head, _, rest = name.partition(".")
        if head == "text_tower":
            continue
        if head == "image_tower":
            if not rest.startswith(stem + text_side):
                found["trunk"][name] = parameter
        elif head in ("pyramid", "roi_processor", "dense", "alpha", "region_log_scale"):
            found["roi"][name] = parameter
        else:
            found["heads"][name] = parameter
    return found


def _run_state(model: RegionClip, recipe: Recipe) -> RunState:
    model.requires_grad_(False)
    grouped = parts(model)
    used = {part for stage in recipe.stages for part in stage.trains}
    moving = {name: p for part in sorted(used) for name, p in grouped[part].items()}
    groups = [
        {"params": list(grouped[part].values()), "part": part, "lr": 0.0} for part in sorted(used)
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    average = {name: parameter.detach().clone() for name, parameter in moving.items()}
    return RunState(moving, average, optimizer)


def _run_stage(run: _Run, stage: Stage, first: int) -> None:
    """The steps of a stage that are not done yet; `first` is the number of its first step."""
    state, end = run.state, first + stage.steps
    begin = max(first, state.step)
    if begin >= end:
        return
    run.model.train()
    for part, parameters in parts(run.model).items():
        for parameter in parameters.values():
            parameter.requires_grad_(part in stage.trains)
    names = set(stage.losses)
    needs_regions, needs_texts = bool(REGION_TERMS & names), bool(TEXT_TERMS & names)
    for number in run.track(range(begin, end), f"stage {stage.name}"):
        started = time.monotonic()
        torch.manual_seed(run.recipe.seed * 1_000_003 + number)  # dropout: from the step alone
        step = run.drawer.step(number, needs_regions, needs_texts)
        numbers = _one_step(run, stage, number - first, step)
        state.step = number + 1
        numbers["seconds"] = time.monotonic() - started
        run.journal.write(number, stage.name, numbers)
        if state.step % run.recipe.checkpoint_every == 0 or state.step == end:
            save_state(state, run.checkpoints)


def _one_step(run: _Run, stage: Stage, number: int, step: Step) -> dict[str, float | None]:
    model, state = run.model, run.state
    shape = _schedule(number, stage.steps)
    for group in state.optimizer.param_groups:
        peak = stage.trunk_rate if group["part"] == "trunk" else stage.learning_rate
        group["lr"] = shape * peak
    with torch.autocast("cpu", torch.bfloat16, enabled=run.recipe.precision == "bf16"):
        taught_DE = teach(model, step, state.average) if "distil" in stage.losses else None
        terms = Terms(model, run.features_ND, run.drawer.examples.vocabulary, step, taught_DE)
        losses = terms.compute(list(stage.losses))
    fed = [stage.losses[name] * loss for name, loss in losses.items() if loss is not None]
    values = {name: None if loss is None else float(loss.detach()) for name, loss in losses.items()}
    if not fed:
        return {"loss": None, **values, "gradient_norm": None}
    total = torch.stack(fed).sum()
    if not torch.isfinite(total):
        raise RecipeError(
            f"stage '{stage.name}', step {number}: the loss is not finite; resume with a lower "
            "learning_rate"
        )
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    moved = [p for p in state.moving.values() if p.grad is not None]
    norm = nn.utils.clip_grad_norm_(moved, CLIP)
    state.optimizer.step()
    with torch.no_grad():
        model.log_scale.clamp_(max=math.log(100))
        model.region_log_scale.clamp_(max=math.log(100))
        # early on the average follows quickly, later slowly
        decay = min(run.recipe.average, (1 + state.step) / (10 + state.step))
        for name, parameter in state.moving.items():
            state.average[name].lerp_(parameter, 1 - decay)
    return {"loss": float(total.detach()), **values, "gradient_norm": float(norm)}


def _schedule(number: int, steps: int) -> float:
    warm_up = min(WARM_UP, max(1, steps // 10))
    if number < warm_up:
        return (number + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (number - warm_up) / max(1, steps - warm_up)))


def _check_plain(recipe: Recipe) -> None:
    """RecipeError where a model is asked to learn what it has no part for."""
    regions = recipe.model.regions
    for stage in recipe.stages:
        lacking = set(stage.losses) & ROI_TERMS if not recipe.model.roi else set()
        if regions == "none":
            lacking |= set(stage.losses) & REGION_TERMS | {"roi"} & set(stage.trains)
        if lacking:
            raise RecipeError(
                f"stage '{stage.name}' asks for {', '.join(sorted(lacking))}, and the model has no "
                f"part for it (regions='{regions}'); take these out or give the model its ROI "
                "processor (regions='pooled' or 'zoom')"
            )


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
    if json.loads(path.read_text()) != _resolved(recipe, corpora):
        raise RecipeError(
            f"{out} was begun with another recipe or other corpora; choose another --out"
        )
    return True


def _begin_run(recipe: Recipe, corpora: Sequence[Corpus], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    aside = out / ".recipe.part"
    aside.write_text(json.dumps(_resolved(recipe, corpora), indent=1))
    os.replace(aside, out / "recipe.json")


def _resolved(recipe: Recipe, corpora: Sequence[Corpus]) -> dict[str, Any]:
    return {"recipe": recipe.as_json(), "corpora": [corpus.fingerprint for corpus in corpora]}


def _finish(
    model: RegionClip,
    recipe: Recipe,
    corpora: Sequence[Corpus],
    examples: Examples,
    state: RunState,
    out: Path,
) -> None:
    if recipe.average:
        with torch.no_grad():
            for name, parameter in state.moving.items():
                parameter.copy_(state.average[name])
    model.eval()
    model.stage = recipe.stages[-1].name
    model.phrases = examples.sentences()
    model.training_pictures = frozenset(
        item.record.sha256 for item in examples.items if item.record.sha256
    )
    made_from = {
        "recipe": recipe.name,
        "steps": recipe.steps,
        "seed": recipe.seed,
        "corpora": [corpus.fingerprint for corpus in corpora],
    }
    save_model(model, out / "model", made_from)
