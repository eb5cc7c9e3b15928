"""Claims: all terms cost little more than the global one; our step is as fast as open_clip's.

`python benchmarks/training_step.py [--corpus DIR]`: steps of 32 pictures (drawing, losses, backward
pass, optimizer, running average) of the recipes `global`, `roi` and `roi+zoom`, with all terms of
the stage `joint` but `distil`, and with it; and the plain training loop of open_clip
(open_clip_train.train_one_epoch) with its ClipLoss on the same tower: from the same cached inputs,
and as one would start, from pixels through the frozen stem and texts through the frozen MiniLM.
All are timed in turn, round after round; ratios to the step of `global` are medians over rounds, of
the seconds that the processor worked (on one thread a busy machine disturbs them less) and of the
clock. Without a corpus the pictures of `regionmed demo` are built. Fails where all terms but distil
cost more than 1.4, or open_clip's loop from the same inputs less than 1. Threads as OMP_NUM_THREADS
says.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import open_clip
import torch
from open_clip_train.train import train_one_epoch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from regionmed.batches.cache import PictureCache, open_picture_cache
from regionmed.cli.memory import keep_freed_memory
from regionmed.corpus.build import build_corpus
from regionmed.corpus.embedded import write_sources
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.recipes import JOINT, global_, roi, roi_zoom
from regionmed.training.loader import draw_steps
from regionmed.training.prepare import Ready, check_recipe, prepare
from regionmed.training.stages import Recipe
from regionmed.training.step import begin_stage, one_step
from regions_at_once import in_turn

STUDIES, BATCH, ROUNDS, SEED = 160, 32, 5, 0
MOST_TERMS, LEAST_THEIRS = 1.4, 1.0
Work = Callable[[], object]


def demo_corpus(folder: Path) -> Corpus:
    """The pictures of `regionmed demo`, fewer of them."""
    return build_corpus(write_sources(folder / "sources", studies=STUDIES), folder / "corpus")


def one_stage(recipe: Recipe, *without: str) -> Recipe:
    """The recipe with one stage: its own, or `joint` without some terms."""
    stage = recipe.stages[0]
    if recipe.model.roi:
        losses = {name: weight for name, weight in JOINT.losses.items() if name not in without}
        stage = replace(JOINT, losses=losses)
    return replace(recipe, stages=(replace(stage, steps=1000),), batch_size=BATCH, seed=SEED)


def ours(ready: Ready) -> Work:
    """The next step of a run, as the loop in training/train.py takes it."""
    (stage,) = ready.learner.recipe.stages
    begin_stage(ready.learner.model, stage)
    steps, numbers = draw_steps(ready.drawer, stage, range(stage.steps)), count()
    return lambda: one_step(ready.learner, stage, next(numbers), next(steps))


@dataclass(frozen=True)
class Cached(Dataset[tuple[Tensor, Tensor]]):
    """What our step reads too: early maps and text features."""

    ready: Ready
    rows: list[int]

    def __len__(self) -> int:
        """Pictures with a text."""
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        """Early maps (C, h, w) and the features (D,) of a picture's first text."""
        number = self.rows[at]
        text = self.ready.examples.items[number].texts[0]
        early = self.ready.drawer.views.early([(number, 0)])[0]
        return early.float(), self.ready.learner.features_ND[text]


@dataclass(frozen=True)
class Raw(Cached):
    """Decoded pictures, and texts by their number."""

    pictures: PictureCache

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        """Pixels (3, S, S) and the number of a picture's first text."""
        item = self.ready.examples.items[self.rows[at]]
        pixels = torch.from_numpy(self.pictures.pixels_NHWC[item.row].copy())
        return pixels.permute(2, 0, 1), torch.tensor(item.texts[0])


class TheirClip(nn.Module):
    """The same tower and heads in the form that open_clip's loop asks for."""

    def __init__(self, ready: Ready, raw: bool) -> None:
        super().__init__()
        self.clip, self.texts, self.raw = ready.learner.model, ready.learner.texts, raw
        self.logit_scale = self.clip.log_scale

    def forward(self, images: Tensor, texts: Tensor) -> dict[str, Tensor]:
        """Unit vectors and the scale."""
        if self.raw:
            with torch.no_grad():
                images = self.clip.stem(images)
                texts = self.clip.text_features([self.texts[n] for n in texts.tolist()])
        return {
            "image_features": self.clip.read_early(images).images_BE,
            "text_features": self.clip.project_texts(texts),
            "logit_scale": self.logit_scale.exp(),
        }


def theirs(ready: Ready, pictures: PictureCache | None = None) -> Work:
    """The next step of open_clip's loop: an epoch of one batch."""
    begin_stage(ready.learner.model, ready.learner.recipe.stages[0])
    rows = [number for number, item in enumerate(ready.examples.items) if item.texts]
    data = Cached(ready, rows) if pictures is None else Raw(ready, rows, pictures)
    batches = endless(DataLoader(data, BATCH, shuffle=True, drop_last=True))
    model = TheirClip(ready, pictures is not None)
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=3e-4, betas=(0.9, 0.98), weight_decay=0.05)
    arguments = SimpleNamespace(
        device="cpu", precision="fp32", distill=False, accum_freq=1, skip_scheduler=True,
        horovod=False, grad_clip_norm=1.0, log_every_n_steps=1, rank=0, world_size=1,
        batch_size=BATCH, wandb=False,
    )  # fmt: skip

    def step() -> None:
        batch = OneBatch(batches)
        train = SimpleNamespace(set_epoch=lambda epoch: None, dataloader=batch)
        train_one_epoch(
            model, {"train": train}, open_clip.ClipLoss(), 0, optimizer, None, None, None, arguments
        )

    return step


class OneBatch:
    """An epoch of one batch, with the two counts that open_clip's loop reads."""

    num_batches, num_samples = 1, BATCH

    def __init__(self, batches: Iterator[list[Tensor]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[Tensor]]:
        """The next batch alone."""
        yield next(self.batches)


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[list[Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from loader


def measure(corpus: Corpus) -> None:
    """One line a kind of step."""

    def made(recipe: Recipe) -> Ready:
        return prepare(recipe, [corpus], check_recipe(recipe, [corpus]))

    plain = one_stage(global_())
    pictures = open_picture_cache(corpus, made(plain).learner.model.image_size)
    work = {
        "global": ours(made(plain)),
        "roi, all terms but distil": ours(made(one_stage(roi(), "distil"))),
        "roi+zoom, all terms but distil": ours(made(one_stage(roi_zoom(), "distil"))),
        "roi+zoom, all terms": ours(made(one_stage(roi_zoom()))),
        "open_clip's loop, the same inputs": theirs(made(plain)),
        "open_clip's loop, from pixels and texts": theirs(made(plain), pictures),
    }
    found = in_turn(work, ROUNDS)
    for name, (busy, clock) in found.items():
        print(f"{name:40s} {busy:.2f} of a step of `global` (by the clock {clock:.2f})")
    terms = max(busy for name, (busy, _) in found.items() if name.endswith("but distil"))
    their_loop = found["open_clip's loop, the same inputs"][0]
    if terms > MOST_TERMS or their_loop < LEAST_THEIRS:
        raise SystemExit(f"all terms but distil {terms:.2f}, open_clip's loop {their_loop:.2f}")


def main() -> None:
    """Ratios to a step of `global`."""
    keep_freed_memory()  # as the commands do
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    given = parser.parse_args().corpus
    with tempfile.TemporaryDirectory() as folder:
        corpus = open_corpus(given) if given else demo_corpus(Path(folder))
        shown = given.name if given else f"the demo's, {STUDIES} painted studies"
        print(
            f"torch {torch.__version__}, {torch.get_num_threads()} threads, seed {SEED}, float32; "
            f"{BATCH} pictures a step, cached early maps; corpus: {shown}"
        )
        measure(corpus)


if __name__ == "__main__":
    main()
