"""One optimizer step: `_judged` is the one place that judges, `_move` the one that moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from regionmed.errors import RecipeError
from regionmed.model.region_clip import RegionClip
from regionmed.training.draw import Step
from regionmed.training.gradient_cache import Vectors, cached_backward
from regionmed.training.own_texts import live_features, own_texts
from regionmed.training.parallel import ALONE, Share
from regionmed.training.parts import parts_named
from regionmed.training.stages import WHOLE_PICTURE_TERMS, Recipe, Stage
from regionmed.training.state import RunState
from regionmed.training.terms import Terms, read_pictures, teach

WARM_UP = 30  # steps at the start of each stage, or a tenth of it if that is less
CLIP = 1.0  # largest norm of the gradient
Numbers = dict[str, float | None]  # of one step, as the journal has them
Losses = dict[str, Tensor | None]  # by name; None where the batch holds nothing that feeds it


@dataclass(frozen=True)
class Learner:
    """A model that trains, and what a step needs beside its batch.

    texts       of the bank, by number
    features_ND what the text tower says of each; of a text tower that trains, only where it stood
    vocabulary  text numbers of all label phrases
    judge       a Judge of the model; where processes share the steps, wrapped for the stage
    """

    recipe: Recipe
    model: RegionClip
    texts: list[str]
    features_ND: Tensor
    vocabulary: list[int]
    state: RunState
    judge: nn.Module
    share: Share = ALONE


class Judge(nn.Module):
    """`losses_of` as the forward of one module, for DDP and FSDP to wrap."""

    def __init__(self, model: RegionClip) -> None:
        super().__init__()
        self.model = model

    def forward(self, learner: Learner, stage: Stage, step: Step) -> Losses:
        """The stage's terms on one batch."""
        return losses_of(learner, stage, step)


class NotFiniteError(RecipeError):
    """A step whose loss or gradient is no number; `numbers` is what its journal line would be."""

    def __init__(self, message: str, numbers: Numbers) -> None:
        super().__init__(message)
        self.numbers = numbers


def begin_stage(model: RegionClip, stage: Stage) -> None:
    """Training mode; the parts that the stage trains collect gradients, no others."""
    model.train()
    model.requires_grad_(False)
    for parameter in parts_named(model, stage.trains).values():
        parameter.requires_grad_(True)


def enter_stage(learner: Learner, stage: Stage) -> Learner:
    """`begin_stage`, and the learner as it judges in this stage among the processes."""
    begin_stage(learner.model, stage)
    return replace(learner, judge=learner.share.join(learner.judge))


def one_step(learner: Learner, stage: Stage, number: int, step: Step) -> Numbers:
    """Move the weights once; `number` counts from the stage's first step.

    Returns loss, each term (None where the batch holds nothing that feeds it), the norm of the
    gradient before it was clipped, and what `global` would be for a model that knows nothing.
    NotFiniteError before anything has moved.
    """
    _set_rates(learner, stage, number)
    if learner.recipe.chunk and WHOLE_PICTURE_TERMS.issuperset(stage.losses):
        total, losses = _in_parts(learner, stage, step, learner.recipe.chunk)
    else:
        losses = learner.judge(learner, stage, step)
        total = _weighted(stage, losses)
        if total is not None and torch.isfinite(total):
            total.backward()
    values = {name: None if loss is None else float(loss.detach()) for name, loss in losses.items()}
    numbers: Numbers = {"loss": None, **values, "gradient_norm": None}
    if "global" in stage.losses:
        numbers["global_at_chance"] = _at_chance(step)
    if total is None:
        return numbers
    numbers["loss"] = float(total.detach())
    if not torch.isfinite(total):
        raise NotFiniteError("the loss is not finite", numbers)
    numbers["gradient_norm"] = _move(learner, numbers)
    return numbers


def _weighted(stage: Stage, losses: Losses) -> Tensor | None:
    fed = [stage.losses[name] * loss for name, loss in losses.items() if loss is not None]
    return torch.stack(fed).sum() if fed else None


def _in_parts(
    learner: Learner, stage: Stage, step: Step, chunk: int
) -> tuple[Tensor | None, Losses]:
    """The loss with its gradient, pictures read `chunk` at a time (see gradient_cache.py)."""
    found: Losses = {}

    def read(early_BCHW: Tensor) -> Vectors:
        with _precision(learner):
            return (read_pictures(learner.model, early_BCHW),)

    def judge(parts: list[Vectors]) -> Tensor | None:
        with _precision(learner):
            images_BE = torch.cat([images for (images,) in parts])
            found.update(_judged(learner, stage, step, images_BE))
        return _weighted(stage, found)

    reads = [partial(read, few) for few in step.early_BCHW.split(chunk)]
    return cached_backward(reads, judge), found


def losses_of(learner: Learner, stage: Stage, step: Step) -> Losses:
    """The stage's terms on one batch, by name."""
    with _precision(learner):
        return _judged(learner, stage, step)


def _precision(learner: Learner) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=learner.recipe.precision == "bf16")


def _judged(learner: Learner, stage: Stage, step: Step, images_BE: Tensor | None = None) -> Losses:
    features_ND, vocabulary = learner.features_ND, learner.vocabulary
    if stage.trains_texts:
        asked = vocabulary if "region" in stage.losses else []
        step, vocabulary, numbers = own_texts(step, asked)
        features_ND = live_features(learner.model, [learner.texts[n] for n in numbers])
    taught_DE = None
    if "distil" in stage.losses:
        here = learner.share.part(step)
        taught_DE = teach(learner.model, here, learner.state.average)
    share = learner.share
    terms = Terms(learner.model, features_ND, vocabulary, step, taught_DE, share, images_BE)
    return terms.compute(list(stage.losses))


def _set_rates(learner: Learner, stage: Stage, number: int) -> None:
    shape = _schedule(number, stage.steps)
    for group in learner.state.optimizer.param_groups:
        peak = stage.trunk_rate if group["towers"] else stage.learning_rate
        group["lr"] = shape * peak
    learner.state.optimizer.zero_grad(set_to_none=True)


def _move(learner: Learner, numbers: Numbers) -> float:
    """Clip, one step of the optimizer and of the average; the gradient's norm before clipping."""
    model, state = learner.model, learner.state
    norm = learner.share.clip_gradients(state.moving.values(), CLIP)
    if not math.isfinite(norm):
        raise NotFiniteError("the gradient is not finite", {**numbers, "gradient_norm": norm})
    state.optimizer.step()
    with torch.no_grad():
        model.log_scale.clamp_(max=math.log(100))
        model.region_log_scale.clamp_(max=math.log(100))
        # early on the average follows quickly, later slowly
        decay = min(learner.recipe.average, (1 + state.step) / (10 + state.step))
        for name, parameter in state.moving.items():
            state.average[name].lerp_(parameter, 1 - decay)
    return norm


def _at_chance(step: Step) -> float | None:
    # equal similarities: ln(columns) a picture, ln(pictures) a text, whatever the positives are
    if not step.text_columns:
        return None
    return (math.log(len(step.text_columns)) + math.log(len(step.picture_texts))) / 2


def _schedule(number: int, steps: int) -> float:
    warm_up = min(WARM_UP, max(1, steps // 10))
    if number < warm_up:
        return (number + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (number - warm_up) / max(1, steps - warm_up)))
