"""The recipes for eight GPUs run here on shrunken towers: every stage, every term, to the end."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from safetensors import safe_open

import regionmed
from regionmed.corpus.shards import Corpus
from regionmed.recipes_large import biomedclip, medtrinity, vit_b16
from regionmed.training.train import train

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "large_towers.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The shrunken towers and painted smears of the script that estimates what the recipes need."""
    spec = importlib.util.spec_from_file_location("large_towers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return benchmark.paint_corpus(tmp_path_factory.mktemp("smears") / "corpus", pictures=3)


@pytest.mark.parametrize("make", [biomedclip, vit_b16, medtrinity])
def test_a_recipe_runs_to_its_end_on_shrunken_towers(
    make, benchmark: ModuleType, corpus: Corpus, tmp_path: Path
) -> None:
    small = benchmark.shrunken(make(), tmp_path)
    assert small.model.lora == make().model.lora
    stages = tuple(replace(stage, steps=1) for stage in small.stages)
    few = replace(small, stages=stages, batch_size=3, regions_per_picture=2, average=0.0)
    if make is biomedclip:  # once with the other form of the global loss
        pairs = replace(stages[0], losses={"global-sigmoid": 1.0})
        few = replace(few, model=replace(few.model, sigmoid=True), stages=(pairs, *stages[1:]))
    if make is vit_b16:  # its later stages are those of medtrinity
        few = replace(few, stages=stages[:1])
    run = train(few, [corpus], tmp_path / "run")
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == [stage.name for stage in few.stages]
    for line, stage in zip(lines, few.stages, strict=True):
        assert math.isfinite(line["loss"])
        assert line["gradient_norm"] > 0
        assert all(line[name] is None or math.isfinite(line[name]) for name in stage.losses)
    assert all(line["region"] and line["ground"] for line in lines[1:])
    with safe_open(run / "model" / "weights.safetensors", "pt") as stored:
        names = list(stored.keys())
    texts = [name for name in names if name.startswith("text_tower.")]
    # MiniLM is stored where it moved; BiomedCLIP's own weights are not
    assert bool(texts) == (make is vit_b16)
    of_towers = [name for name in names if name.startswith("image_tower.")]
    assert all(("lora_" in name) == (make is biomedclip) for name in of_towers)
    assert regionmed.load(run).stage == few.stages[-1].name
