"""A corpus of painted smears to train on, and a recipe short enough for a test."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from regionmed.corpus.describe import describe
from regionmed.corpus.painted import paint_smear
from regionmed.corpus.shards import write_corpus
from regionmed.geometry import Box, Frame, Mask
from regionmed.record import Provenance, Record, Region

if TYPE_CHECKING:
    from regionmed.training.prepare import Ready
    from regionmed.training.stages import Recipe

SHORT = """
from dataclasses import replace
from regionmed.recipes import GLOBAL, JOINT, REGION, tiny

def short():
    stages = (replace(GLOBAL, steps=3), replace(REGION, steps=4), replace(JOINT, steps=5))
    return replace(tiny(), name="short", stages=stages, batch_size=4, views=2, checkpoint_every=2)
"""


@pytest.fixture(scope="session")
def smears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve painted smears, eight of them for training, with masks, texts and false twins."""
    generator = np.random.default_rng(0)
    records = []
    for number in range(12):
        study = paint_smear(generator)
        frame = Frame("file", study.pixels.shape[1], study.pixels.shape[0])
        stored = io.BytesIO()
        Image.fromarray(study.pixels).save(stored, "PNG")
        regions = tuple(
            Region(mark.label, Box(*mark.edges, frame), "mask", mask=Mask(mark.mask, frame))
            for mark in study.marks
        )
        record = Record(
            f"smears/{number}.png",
            "smears",
            f"{number}.png",
            hashlib.sha256(stored.getvalue()).hexdigest(),
            frame,
            Provenance("smears", "painted", synthetic=True),
            modality="microscopy",
            labels=tuple(sorted({region.label for region in regions})),
            regions=regions,
            split="train" if number < 8 else "test",
            picture=stored.getvalue(),
        )
        records.append(describe(record, {}))
    folder = tmp_path_factory.mktemp("smears") / "corpus"
    write_corpus(records, folder, {"phrases": {}})
    return folder


@pytest.fixture
def short_recipe(tmp_path: Path) -> str:
    """A recipe file of 12 steps over all three stages, as `FILE.py:FUNCTION`."""
    path = tmp_path / "own.py"
    path.write_text(SHORT)
    return f"{path}:short"


@pytest.fixture(scope="session")
def short(smears: Path) -> Callable[..., Recipe]:
    """Makes a recipe for the smears: two stages of three steps, four pictures a step."""
    from regionmed.recipes import GLOBAL, JOINT, tiny

    stages = (replace(GLOBAL, steps=3), replace(JOINT, steps=3))

    def make(**changed: Any) -> Recipe:
        given = {"stages": stages, "batch_size": 4, "views": 1, "checkpoint_every": 2} | changed
        return replace(tiny(), name="short", **given)

    return make


@pytest.fixture(scope="session")
def ready(smears: Path, short: Callable[..., Recipe]) -> Ready:
    """The short recipe on the smears before its first step; whoever moves it puts it back."""
    from regionmed.corpus.shards import open_corpus
    from regionmed.training.prepare import check_recipe, prepare

    recipe, corpora = short(), [open_corpus(smears)]
    return prepare(recipe, corpora, check_recipe(recipe, corpora))


@pytest.fixture(scope="session")
def calm(
    smears: Path, short: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The short recipe's run on the smears, undisturbed and in this process."""
    from regionmed.corpus.shards import open_corpus
    from regionmed.training.train import train

    return train(short(), [open_corpus(smears)], tmp_path_factory.mktemp("calm") / "run")
