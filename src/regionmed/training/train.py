"""The loop: stages as data, one forward a picture, every term in the journal, exact resume.

RUN/ recipe.json · journal.jsonl · tensorboard/ · checkpoints/ · model/ (last; see checkpoint.py)
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

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
from regionmed.training.terms import Terms
from regionmed.training.views import ViewCache

WARM_UP = 30  # steps at the start of each stage, or a tenth of it if that is less
CLIP = 1.0  # largest norm of the gradient
REGION_TERMS = frozenset({"joined", "region", "caption", "hard", "ground"})
TEXT_TERMS = frozenset({"global", "joined", "hard"})


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
    _open_run(recipe, corpora, out, resume)
    if (out / "model" / "model.json").is_file():
        return out
    torch.manual_seed(recipe.seed)
    model = RegionClip(recipe.model)
    pictures = [open_picture_cache(corpus, model.image_size, track) for corpus in corpora]
    views = ViewCache(
        examples, pictures, model, recipe.views, recipe.seed, corpora[0].folder / "cache", track
    )
    features_ND = examples.bank.features(model, track)
    with torch.inference_mode():
        early = views.early([(0, 0)])
        early = early.float() if model.image_tower.stem_is_frozen else model.stem(early)
        grid = model.read_early(early).levels[0].shape[-1]
    drawer = Drawer(
        examples, views, recipe.batch_size, recipe.regions_per_picture, recipe.seed, grid
    )
    state = _run_state(model, recipe)
    load_state(state, out / "checkpoints")
    journal = Journal(out, state.step)
    try:
        for stage in recipe.stages:
            _run_stage(stage, recipe, model, drawer, features_ND, state, journal, out, track)
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
        elif head in ("pyramid", "roi_processor", "dense", "region_log_scale"):
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


def _run_stage(
    stage: Stage,
    recipe: Recipe,
    model: RegionClip,
    drawer: Drawer,
    features_ND: Tensor,
    state: RunState,
    journal: Journal,
    out: Path,
    track: Track,
) -> None:
    first = sum(s.steps for s in recipe.stages[: recipe.stages.index(stage)])
    begin, end = max(first, state.step), first + stage.steps
    if begin >= end:
        return
    model.train()
    grouped = parts(model)
    for part, parameters in grouped.items():
        for parameter in parameters.values():
            parameter.requires_grad_(part in stage.trains)
    names = list(stage.losses)
    needs_regions, needs_texts = bool(REGION_TERMS & set(names)), bool(TEXT_TERMS & set(names))
    for number in track(range(begin, end), f"stage {stage.name}"):
        started = time.monotonic()
        torch.manual_seed(recipe.seed * 1_000_003 + number)  # dropout: from the step alone
        step = drawer.step(number, needs_regions, needs_texts)
        numbers = _one_step(stage, number - first, recipe, model, drawer, features_ND, state, step)
        state.step = number + 1
        numbers["seconds"] = time.monotonic() - started
        journal.write(number, stage.name, numbers)
        if state.step % recipe.checkpoint_every == 0 or state.step == end:
            save_state(state, out / "checkpoints")


def _one_step(
    stage: Stage,
    number: int,
    recipe: Recipe,
    model: RegionClip,
    drawer: Drawer,
    features_ND: Tensor,
    state: RunState,
    step: Step,
) -> dict[str, float | None]:
    rates = {"trunk": stage.trunk_rate}
    shape = _schedule(number, stage.steps)
    for group in state.optimizer.param_groups:
        group["lr"] = shape * rates.get(group["part"], stage.learning_rate)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        terms = Terms(model, features_ND, drawer.examples.vocabulary, step)
        losses = terms.compute(list(stage.losses))
    total = torch.zeros(())
    for name, loss in losses.items():
        if loss is not None:
            total = total + stage.losses[name] * loss
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
        decay = min(recipe.average, (1 + state.step) / (10 + state.step))
        for name, parameter in state.moving.items():
            state.average[name].lerp_(parameter, 1 - decay)
    values = {name: None if loss is None else float(loss.detach()) for name, loss in losses.items()}
    return {"loss": float(total.detach()), **values, "gradient_norm": float(norm)}


def _schedule(number: int, steps: int) -> float:
    warm_up = min(WARM_UP, max(1, steps // 10))
    if number < warm_up:
        return (number + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (number - warm_up) / max(1, steps - warm_up)))


def _open_run(recipe: Recipe, corpora: Sequence[Corpus], out: Path, resume: bool) -> None:
    if out.is_file():
        raise RecipeError(f"{out} is a file; --out needs the name of a new run folder")
    path = out / "recipe.json"
    fingerprints = [corpus.fingerprint for corpus in corpora]
    stored = {"recipe": recipe.as_json(), "corpora": fingerprints}
    if path.is_file():
        if not resume:
            raise RecipeError(
                f"{out} holds a run already; continue it with --resume, or choose another --out"
            )
        if json.loads(path.read_text()) != stored:
            raise RecipeError(
                f"{out} was begun with another recipe or other corpora; choose another --out"
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise RecipeError(f"{out} is not empty and holds no run; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    aside = out / ".recipe.part"
    aside.write_text(json.dumps(stored, indent=1))
    os.replace(aside, path)


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
