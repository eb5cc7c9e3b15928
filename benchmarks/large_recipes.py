"""Claim: the recipes for eight GPUs run, and what they would need can be said before renting them.

`python benchmarks/large_recipes.py [NAME...]`: each recipe of regionmed.recipes_large runs a few
steps a stage on shrunken towers with random weights and painted smears, on one thread; the
floating-point operations of a step and what autograd keeps of it are counted. Those of the
full-sized towers are counted on the meta device, where nothing is computed, and take the place of
the small ones. Nothing was run at full size: the table is an estimate, and its assumptions stand
beneath it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from large_towers import SHORT, full_towers, paint_corpus, shrunken
from regionmed.corpus.shards import Corpus
from regionmed.model.tower import adapters_first
from regionmed.recipes_large import biomedclip, medtrinity, vit_b16
from regionmed.training.draw import WINDOWED, WRITTEN_NEGATIVES
from regionmed.training.loader import draw_steps
from regionmed.training.prepare import check_recipe, prepare
from regionmed.training.stages import Recipe, Stage
from regionmed.training.step import begin_stage, one_step

RECIPES = (biomedclip, vit_b16, medtrinity)
GPUS, GPU_FLOPS = 8, 0.35 * 312e12  # an A100's bf16 peak, and the share of it one may hope for
TOKENS = {"open_clip": 256, "timm": 32}  # of a text: BiomedCLIP pads to 256; our captions are short


@dataclass(frozen=True)
class Cost:
    """What a piece of work takes."""

    flops: float = 0.0  # floating-point operations
    kept: float = 0.0  # bytes that autograd keeps for the backward


@dataclass(frozen=True)
class Towers:
    """What one picture and one text take in two towers, under a stage."""

    picture: Cost  # forward and backward
    seen: Cost  # forward alone, as the teacher of `distil` looks
    text: Cost  # forward and backward; nothing where the stage trains no texts


@dataclass(frozen=True)
class Measured:
    """Steps of a shrunken stage: what they took, and what of it was not the towers'."""

    seconds: float
    step: Cost
    beside_picture: Cost  # a picture's share of all that is no tower


def main() -> None:
    """One line a recipe and stage."""
    torch.set_num_threads(1)
    print(
        "recipe      stage   here: s, GFLOP a step | estimated: moving M, TFLOP a step, h, GB a GPU"
    )
    chosen = [make for make in RECIPES if make.__name__ in sys.argv[1:]] or RECIPES
    with tempfile.TemporaryDirectory() as place:
        corpus = paint_corpus(Path(place) / "corpus")
        for make in chosen:
            folder = Path(place) / make.__name__
            for line in lines_of(make(), corpus, folder):
                print(line, flush=True)
    print(
        f"estimated for {GPUS} GPUs at {GPU_FLOPS / 1e12:.0f} TFLOP/s each (35 % of an A100's peak,"
    )
    print(
        "an assumption), one process a GPU; weights, gradients, moments and average in fp32, what"
    )
    print(
        f"the backward needs in bf16; texts of {TOKENS['open_clip']} and {TOKENS['timm']} tokens."
    )


def lines_of(recipe: Recipe, corpus: Corpus, folder: Path) -> Iterator[str]:
    """A line of the table for each stage."""
    small = shrunken(recipe, folder)
    full = full_towers(recipe, folder)
    for stage, measured in measure(small, corpus):
        moving, weights = numbers_of(*full, stage)
        tokens = TOKENS[recipe.model.image_tower.partition(":")[0]]
        towers = towers_of(*full, stage, recipe.model.image_size, tokens)
        texts = recipe.batch_size + WRITTEN_NEGATIVES if stage.trains_texts else 0
        step = step_of(towers, stage, recipe.batch_size, texts)
        flops = step.flops + recipe.batch_size * measured.beside_picture.flops
        kept = (step.kept + recipe.batch_size * measured.beside_picture.kept) / 2 / GPUS
        planned = next(s for s in recipe.stages if s.name == stage.name)
        hours = planned.steps * flops / (GPUS * GPU_FLOPS) / 3600
        memory = kept + 4 * weights + 16 * moving
        here = f"{measured.seconds:5.2f} {measured.step.flops / 1e9:7.1f}"
        there = f"{moving / 1e6:6.1f} {flops / 1e12:8.1f} {hours:7.1f} {memory / 1e9:6.1f}"
        yield f"{recipe.name:11} {stage.name:7} {here} | {there}"


def step_of(towers: Towers, stage: Stage, pictures: int, texts: int) -> Cost:
    """What the towers take in a step."""
    taught = WINDOWED * pictures if "distil" in stage.losses else 0
    return Cost(
        pictures * towers.picture.flops + taught * towers.seen.flops + texts * towers.text.flops,
        pictures * towers.picture.kept + texts * towers.text.kept,
    )


def measure(recipe: Recipe, corpus: Corpus) -> Iterator[tuple[Stage, Measured]]:
    """Run each stage of a shrunken recipe: one step counted, others timed."""
    ready = prepare(recipe, [corpus], check_recipe(recipe, [corpus]))
    learner, first = ready.learner, 0
    model, size = learner.model, learner.model.image_size
    for stage in recipe.stages:
        texts = 0
        towers = towers_of(model.image_tower, model.text_tower, stage, size, SHORT)
        begin_stage(model, stage)
        steps = draw_steps(ready.drawer, stage, range(first, first + stage.steps))
        with counted(model) as cost:
            step = next(steps)
            if stage.trains_texts:
                texts = len({*step.text_columns, *step.labels, *step.queries_BQ.flatten().tolist()})
            one_step(learner, stage, 0, step)
        total = cost()
        started = time.perf_counter()
        for number, step in enumerate(steps, 1):
            numbers = one_step(learner, stage, number, step)
            if not np.isfinite(numbers["loss"] or np.nan):
                raise SystemExit(f"{recipe.name}, {stage.name}: the loss is no number")
        seconds = (time.perf_counter() - started) / (stage.steps - 1)
        own = step_of(towers, stage, recipe.batch_size, texts)
        beside = Cost(
            max(0.0, total.flops - own.flops) / recipe.batch_size,
            max(0.0, total.kept - own.kept) / recipe.batch_size,
        )
        yield stage, Measured(seconds, total, beside)
        first += stage.steps


@contextmanager
def counted(model: nn.Module) -> Iterator[Callable[[], Cost]]:
    """Counts what happens inside, both ways; the model's own weights are not what is kept."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield lambda: Cost(float(counter.get_total_flops()), float(sum(kept.values())))


def towers_of(image: Any, text: Any, stage: Stage, size: int, tokens: int) -> Towers:
    """What a picture and a text of so many tokens take, on whatever device the towers are."""
    begin_towers(image, text, stage)
    device = next(image.parameters()).device
    pixels_BCHW = torch.zeros(1, 3, size, size, device=device)

    def read() -> Tensor:
        reading = image.trunk(image.stem(pixels_BCHW))
        return torch.stack([reading.pooled_BD.sum(), *(m.sum() for m in reading.levels)]).sum()

    with counted(image) as picture:
        read().backward()
    with torch.no_grad(), counted(image) as seen:
        read()
    if not stage.trains_texts:
        return Towers(picture(), seen(), Cost())
    numbers = torch.ones(1, tokens, dtype=torch.long, device=device)
    # without a mask: kernels look at its numbers, and the meta device has none
    net = image.clip.text.transformer if image.joint else text.net
    with counted(net) as said:
        net(input_ids=numbers)[0].sum().backward()
    return Towers(picture(), seen(), said())


def begin_towers(image: Any, text: Any, stage: Stage) -> None:
    """The towers' parameters that the stage trains collect gradients, no others."""
    for tower in (image, text):
        tower.requires_grad_(False)
        for part in stage.trains:
            name, _, last = part.partition(":")
            blocks = list(tower.groups().get(name, ()))[-int(last or 0) :]
            for own in adapters_first([name for block in blocks for name in block]):
                tower.get_parameter(own).requires_grad_(True)


def numbers_of(image: Any, text: Any, stage: Stage) -> tuple[int, int]:
    """How many numbers of the towers move, and how many there are."""
    begin_towers(image, text, stage)
    every = {id(p): p for tower in (image, text) for p in tower.parameters()}.values()
    return sum(p.numel() for p in every if p.requires_grad), sum(p.numel() for p in every)


if __name__ == "__main__":
    main()
