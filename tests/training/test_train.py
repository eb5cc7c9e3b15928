"""Training learns, tells all it does, and survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import regionmed
from regionmed.errors import RecipeError
from regionmed.recipes import GLOBAL, JOINT, load_recipe, tiny
from regionmed.training.examples import gather
from regionmed.training.stages import Stage
from regionmed.training.train import train


def start(recipe: str, corpus: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    """`regionmed train` in a process of its own, on one thread."""
    command = ["train", recipe, "--corpus", str(corpus), "--out", str(run), *more]
    return subprocess.Popen(
        [sys.executable, "-c", "from regionmed.cli.main import main; main()", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def journal(run: Path) -> list[dict]:
    """The lines of a run's journal; a line that is being written is left out."""
    path = run / "journal.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_run_killed_twice_ends_with_the_weights_of_the_undisturbed_one(
    smears: Path, short_recipe: str, tmp_path: Path
) -> None:
    calm, shaken = tmp_path / "calm", tmp_path / "shaken"
    assert start(short_recipe, smears, calm).wait() == 0
    process = start(short_recipe, smears, shaken)
    # checkpoints fall on even steps and stage ends: it dies in the middle of writing its third
    aside = shaken / "checkpoints" / ".step-000004.part"
    while not aside.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = start(short_recipe, smears, shaken, "--resume", "--workers", "2")
    while len(journal(shaken)) < 9:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (shaken / "model").exists()
    assert start(short_recipe, smears, shaken, "--resume").wait() == 0
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (calm, shaken)]
    assert weights[0] == weights[1]
    timeless = [[{**line, "seconds": 0} for line in journal(run)] for run in (calm, shaken)]
    assert timeless[0] == timeless[1]
    assert [line["step"] for line in timeless[1]] == list(range(12))


def test_every_enabled_term_stands_in_every_line(smears: Path, tmp_path: Path) -> None:
    stages = (replace(JOINT, steps=2),)
    recipe = replace(tiny(), stages=stages, batch_size=4, views=1)
    run = train(recipe, [regionmed.open_corpus(smears)], tmp_path / "run")
    for line in journal(run):
        assert set(JOINT.losses) <= set(line)
        assert all(line[name] is not None for name in JOINT.losses)
    assert json.loads((run / "recipe.json").read_text())["recipe"]["stages"][0]["steps"] == 2
    assert list((run / "tensorboard").iterdir())


def test_eight_smears_are_learnt_and_swapped_boxes_swap_their_answers(
    smears: Path, tmp_path: Path
) -> None:
    corpus = regionmed.open_corpus(smears)
    stage = Stage(name="region", steps=40, trains=("trunk", "heads", "roi"), losses={"region": 1.0})
    recipe = replace(tiny(), stages=(stage,), batch_size=8, views=1, average=0.0)
    run = train(recipe, [corpus], tmp_path / "run")
    lines = journal(run)
    assert lines[0]["region"] > 1.3  # five labels: ln 5 = 1.61
    assert lines[-1]["region"] < 0.7
    model = regionmed.load(run)
    record = corpus[0]
    first = record.regions[0]
    second = next(region for region in record.regions if region.label != first.label)
    boxes = np.array([first.box.edges, second.box.edges])
    answers = (
        model.encode_regions(corpus.picture(0), boxes)
        @ model.encode_text([first.label, second.label]).T
    )
    assert answers[0].argmax() == 0
    assert answers[1].argmax() == 1
    swapped = model.encode_regions(corpus.picture(0), boxes[::-1])
    straight = model.encode_regions(corpus.picture(0), boxes)
    assert np.allclose(swapped, straight[::-1], atol=1e-6)


def test_a_stage_that_cannot_feed_a_term_refuses_to_start(
    shapes_corpus: Path, tmp_path: Path
) -> None:
    corpus = regionmed.open_corpus(shapes_corpus)
    recipe = replace(tiny(), batch_size=3)  # its stage joint wants false twins; shapes have none
    with pytest.raises(RecipeError, match=r"stage 'joint' has the loss 'hard', which needs"):
        train(recipe, [corpus], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_nor_continued_with_another_recipe(
    smears: Path, tmp_path: Path
) -> None:
    corpus = regionmed.open_corpus(smears)
    recipe = replace(tiny(), stages=(replace(JOINT, steps=1),), batch_size=4, views=1)
    run = train(recipe, [corpus], tmp_path / "run")
    with pytest.raises(RecipeError, match="--resume"):
        train(recipe, [corpus], run)
    with pytest.raises(RecipeError, match="another recipe"):
        train(replace(recipe, seed=1), [corpus], run, resume=True)


def test_a_batch_read_in_chunks_trains_as_one_read_at_once(smears: Path, tmp_path: Path) -> None:
    corpus = regionmed.open_corpus(smears)
    once = replace(tiny(), stages=(replace(GLOBAL, steps=3),), batch_size=8, views=1)
    runs = [
        train(recipe, [corpus], tmp_path / f"{recipe.chunk}")
        for recipe in (once, replace(once, chunk=3))
    ]
    whole, parts = (journal(run) for run in runs)
    assert len(whole) == len(parts) == 3
    for one, other in zip(whole, parts, strict=True):
        assert other["global"] == pytest.approx(one["global"], abs=1e-5)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)
    with pytest.raises(RecipeError, match="chunk is at least 1"):
        replace(once, chunk=0)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"globl": 1.0}, "did you mean 'global'"),
        ({}, "has no loss"),
    ],
)
def test_a_wrong_stage_is_met_kindly(losses: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Stage(name="s", steps=1, trains=("heads",), losses=losses)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="tiny, plain, demo"):
        load_recipe("tinny")


def test_only_training_rows_without_a_reason_to_exclude_are_gathered(shapes_corpus: Path) -> None:
    examples = gather([regionmed.open_corpus(shapes_corpus)])
    assert [item.record.id for item in examples.items] == [f"shapes/{n}.png" for n in range(3)]
    assert set(examples.sentences()) >= {"a disc", "square"}


def test_the_rarer_of_two_labels_weighs_more(smears: Path) -> None:
    examples = gather([regionmed.open_corpus(smears)])
    regions = [region for item in examples.items for region in item.regions]
    counts = {label: sum(r.label == label for r in regions) for label in {r.label for r in regions}}
    weights = {region.label: region.weight for region in regions}
    assert np.mean(list(weights.values())) == pytest.approx(1)
    products = [counts[label] * weights[label] for label in counts]
    assert products == pytest.approx([products[0]] * len(products))


def test_a_step_is_drawn_from_its_number_alone(smears: Path, tmp_path: Path) -> None:
    from regionmed.batches.cache import open_picture_cache
    from regionmed.model.config import TINY
    from regionmed.model.region_clip import RegionClip
    from regionmed.training.draw import Drawer
    from regionmed.training.views import ViewCache

    corpus = regionmed.open_corpus(smears)
    examples, model = gather([corpus]), RegionClip(TINY)
    pictures = [open_picture_cache(corpus, model.image_size)]
    views = ViewCache(examples, pictures, model, 2, tmp_path)
    drawers = [Drawer(examples, views, 4, 3, 0, 28) for _ in range(2)]
    for other in range(3):
        drawers[1].step(other)
    one, two = (drawer.step(7) for drawer in drawers)
    assert torch.equal(one.early_BCHW, two.early_BCHW)
    assert torch.equal(one.boxes_BR4, two.boxes_BR4)
    assert one.captions == two.captions
    assert one.present_BR.sum(1).max() <= 3


def test_a_plain_clip_is_trained_without_regions_and_refuses_region_terms(
    smears: Path, tmp_path: Path
) -> None:
    stage = Stage(name="global", steps=3, trains=("trunk", "heads"), losses={"global": 1.0})
    plain = replace(tiny().model, regions="none")
    recipe = replace(tiny(), model=plain, stages=(stage,), batch_size=4, views=1)
    model = regionmed.load(train(recipe, [regionmed.open_corpus(smears)], tmp_path / "run"))
    assert not model.config.roi
    greedy = replace(stage, losses={"global": 1.0, "region": 1.0})
    with pytest.raises(RecipeError, match=r"asks for region, and the model has no part"):
        train(replace(recipe, stages=(greedy,)), [regionmed.open_corpus(smears)], tmp_path / "no")
    assert not (tmp_path / "no").exists()
