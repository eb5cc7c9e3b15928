"""A run goes into the package with a card that says what is so, or it does not go."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import regionmed
from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.model import checkpoint
from regionmed.record import Licence, Record
from regionmed.training.stages import Recipe
from regionmed.training.train import train

SCRIPT = Path(__file__).parents[2] / "docs" / "write_weights.py"
SOURCES = [{"set": "smears", "licence": "CC0 1.0", "card": "Painted smears."}]


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, which ships into an empty folder."""
    spec = importlib.util.spec_from_file_location("write_weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for place in (module, checkpoint):
        monkeypatch.setattr(place, "SHIPPED", tmp_path / "weights")
    return module


def opened(smears: Path, folder: Path, is_open: bool) -> Corpus:
    """The smears, all under one licence."""
    corpus = regionmed.open_corpus(smears)

    def records() -> Iterator[Record]:
        for row, record in enumerate(corpus):
            picture = corpus.picture_bytes(row)
            yield replace(record, licence=Licence("CC0 1.0", is_open), picture=picture)

    return write_corpus(records(), folder, {"phrases": {}, "sources": SOURCES})


def scored(weights: str) -> list[dict[str, Any]]:
    """Two rows of a scores.json."""
    row = {"set": "smears", "stratum": "all", "low": 0.7, "high": 0.9, "n": 12, "weights": weights}
    return [
        row
        | {"task": "region_classification", "metric": "macro_accuracy", "boxes": "given"}
        | {"value": 0.812, "chance": 0.5, "controls": {"box-only": 0.611, "blank": 0.5}},
        row
        | {"task": "grounding", "metric": "pointing", "value": 1.0}
        | {"controls": {"centre prior": 0.411}},
    ]


def test_a_run_on_open_pictures_is_shipped_with_its_figures(
    writer: ModuleType, smears: Path, short: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(regionmed.errors.RegionmedError, match="not in this copy of the package"):
        regionmed.load("regionmed-tiny")
    corpus = opened(smears, tmp_path / "open", True)
    run = train(short(), [corpus], tmp_path / "run")
    model = regionmed.load(run)
    assert "MB" in writer.ship(run, [corpus], scored(model.fingerprint))
    shipped = regionmed.load("regionmed-tiny")
    assert shipped.training_pictures == model.training_pictures
    texts = ["a platelet", "a red blood cell"]
    assert np.abs(shipped.encode_text(texts) - model.encode_text(texts)).max() < 2e-3
    folder = tmp_path / "weights" / "regionmed-tiny"
    written = (folder / "card.md").read_text()
    assert "| smears | .812 [.700, .900] | 12 | .500 | .611 | .500 | - |" in written
    assert "| smears | 1.000 [.700, .900] | .411 |" in written
    assert "| smears | 8 |" in written  # training pictures of twelve
    halved = (folder / "weights.safetensors").stat().st_size
    assert halved < 0.51 * (run / "model" / "weights.safetensors").stat().st_size
    with pytest.raises(SystemExit, match="scores are not those"):
        writer.ship(run, [corpus], scored("another"))
    with pytest.raises(SystemExit, match="other corpora"):
        writer.ship(run, [regionmed.open_corpus(smears)], scored(model.fingerprint))
    assert json.loads((folder / "model.json").read_text())["steps"] == 6


def test_a_picture_that_may_not_be_passed_on_keeps_a_run_at_home(
    writer: ModuleType, smears: Path, short: Callable[..., Recipe], tmp_path: Path
) -> None:
    corpus = opened(smears, tmp_path / "closed", False)
    run = train(short(), [corpus], tmp_path / "run")
    with pytest.raises(SystemExit, match="8 training pictures may not be passed on"):
        writer.ship(run, [corpus], scored(regionmed.load(run).fingerprint))
    assert list((tmp_path / "weights").iterdir()) == []
