"""Claim: a frozen text tower that is read once for all makes every step faster.

`python benchmarks/text_cache.py [--corpus DIR]`: steps of 32 pictures of the recipe `global` and of
the stage `joint` (roi+zoom, all terms but `distil`), with the cached features of MiniLM and with
MiniLM read, without gradients, for the texts that the step asks for. A step asks for the captions
of other pictures as negatives too, which the cache gives for nothing; a third kind of step goes
without them. Timed in turn; medians over rounds of the ratio to the cached step, of the seconds
that the processor worked and of the clock. Without a corpus the pictures of `regionmed demo` are
built. Fails where the cache brings the step as it is less than a fifth. Threads as
OMP_NUM_THREADS says.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch

from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.recipes import global_, roi_zoom
from regionmed.training.draw import Step
from regionmed.training.loader import draw_steps
from regionmed.training.own_texts import live_features, own_texts
from regionmed.training.prepare import Ready, check_recipe, prepare
from regionmed.training.step import begin_stage, one_step
from regions_at_once import in_turn
from training_step import BATCH, ROUNDS, SEED, demo_corpus, one_stage, ours

LEAST = 1.2


def alone(step: Step) -> Step:
    """The step without other pictures' captions among its texts."""
    own = step.own_columns
    return replace(
        step, text_columns=step.text_columns[:own], positive_BM=step.positive_BM[:, :own]
    )


def pictures_alone(step: Step) -> Step:
    """The step without texts of regions and false twins, which `global` does not ask for."""
    return replace(
        step,
        picture_twins=[],
        labels=[],
        captions=[],
        twins=[],
        queries_BQ=step.queries_BQ[:0],
    )


def live(ready: Ready, kept: Callable[[Step], Step], texts: list[int]) -> Callable[[], object]:
    """As `ours`, with the text tower read in every step; notes how many texts it read."""
    learner = ready.learner
    (stage,) = learner.recipe.stages
    begin_stage(learner.model, stage)
    steps, numbers = draw_steps(ready.drawer, stage, range(stage.steps)), count()

    def step() -> None:
        asked = learner.vocabulary if "region" in stage.losses else []
        drawn = kept(next(steps))
        if set(stage.losses) == {"global"}:
            drawn = pictures_alone(drawn)
        drawn, vocabulary, used = own_texts(drawn, asked)
        with torch.no_grad():
            features_ND = live_features(learner.model, [learner.texts[n] for n in used])
        texts.append(len(used))
        now = replace(learner, features_ND=features_ND, vocabulary=vocabulary)
        one_step(now, stage, next(numbers), drawn)

    return step


def measure(corpus: Corpus) -> float:
    """One line a kind of step; the least that the cache brings."""
    least = float("inf")
    for recipe in (one_stage(global_()), one_stage(roi_zoom(), "distil")):
        ready = prepare(recipe, [corpus], check_recipe(recipe, [corpus]))
        texts: dict[str, list[int]] = {"own texts alone": [], "captions as negatives too": []}
        work: dict[str, Callable[[], object]] = {"cached": ours(ready)}
        for name, kept in zip(texts, (alone, lambda step: step), strict=True):
            work[name] = live(ready, kept, texts[name])
        found = in_turn(work, ROUNDS)
        for name, numbers in texts.items():
            busy, clock = found[name]
            mean = sum(numbers) / len(numbers)
            print(
                f"{recipe.name:10s} {name:26s} {mean:4.0f} texts a step: {busy:.2f} times the "
                f"cached step (by the clock {clock:.2f})"
            )
            if name != "own texts alone":  # the step as it is
                least = min(least, busy)
    return least


def main() -> None:
    """Ratios to the cached step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    given = parser.parse_args().corpus
    with tempfile.TemporaryDirectory() as folder:
        corpus = open_corpus(given) if given else demo_corpus(Path(folder))
        shown = given.name if given else "the demo's"
        print(
            f"torch {torch.__version__}, {torch.get_num_threads()} threads, seed {SEED}, float32; "
            f"{BATCH} pictures a step; corpus: {shown}"
        )
        least = measure(corpus)
    if least < LEAST:
        raise SystemExit(f"the cache makes a step {least:.2f} times as fast, at least {LEAST}")


if __name__ == "__main__":
    main()
