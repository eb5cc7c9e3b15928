"""A small corpus that fits every task, and an untrained model: real parts, painted pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.part import open_parts
from regionmed.evaluation.tasks import run_tasks
from regionmed.geometry import Box, Frame, Mask
from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip
from regionmed.progress import silent
from regionmed.record import Licence, Provenance, Question, Record, Region, Texts

FRAME = Frame("file", 96, 64)
SPLIT_SIZES = {"train": 12, "val": 8, "test": 24}


def painted_record(number: int, split: str) -> Record:
    """One bright square on the left or one dark square on the right, on a grain of its own.

    Without the grain any two pictures with the same square would be copies of each other.
    """
    label = "bright" if number % 2 else "dark"
    corner = (8 + number % 5, 10) if label == "bright" else (60 + number % 5, 30)
    box = Box(corner[0], corner[1], corner[0] + 20, corner[1] + 20, FRAME)
    chance = np.random.default_rng([number, *split.encode()])
    grain = Image.fromarray(chance.integers(98, 159, (16, 24)).astype(np.uint8))
    image = grain.resize((FRAME.width, FRAME.height), Image.Resampling.BILINEAR).convert("RGB")
    colour = (250, 250, 250) if label == "bright" else (10, 10, 10)
    edges = (corner[0], corner[1], corner[0] + 19, corner[1] + 19)
    ImageDraw.Draw(image).rectangle(edges, fill=colour)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    mask = np.zeros((FRAME.height, FRAME.width), bool)
    mask[corner[1] : corner[1] + 20, corner[0] : corner[0] + 20] = True
    questions = (
        Question(f"{split}{number}a", "is there a square", "Yes", "closed"),
        Question(f"{split}{number}b", "how is the square", label.upper(), "open"),
    )
    return Record(
        id=f"squares/{split}{number}.png",
        set="squares",
        image=f"{split}{number}.png",
        sha256=f"{split}{number}",
        frame=FRAME,
        provenance=Provenance("squares", "painted", synthetic=True),
        modality="photo",
        labels=(label,),
        texts=Texts(caption=f"picture {number} with a {label} square"),
        questions=questions,
        regions=(Region(label, box, "mask", mask=Mask(mask, FRAME), mask_path="m.png"),),
        split=split,
        licence=Licence("CC0", open=True),
        picture=stream.getvalue(),
    )


def painted_corpus(folder: Path) -> Corpus:
    """The corpus of all splits."""
    records = [
        painted_record(number, split)
        for split, count in SPLIT_SIZES.items()
        for number in range(count)
    ]
    phrases = {"squares": {"bright": "a bright square", "dark": "a dark square"}}
    return write_corpus(records, folder, {"phrases": phrases})


@pytest.fixture(scope="session")
def paint() -> Callable[[int, str], Record]:
    """Paints a record of one square: its number and split in, odd numbers bright."""
    return painted_record


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """44 pictures of one square each: 12 train, 8 val, 24 test."""
    return painted_corpus(tmp_path_factory.mktemp("corpora") / "squares")


@pytest.fixture(scope="session")
def untrained() -> RegionClip:
    """The tiny model as it begins, at 96 pixels; it says that it saw one of the test pictures."""
    torch.manual_seed(0)
    model = RegionClip(replace(TINY, image_size=96))
    model.fingerprint = "0" * 64
    model.training_pictures = frozenset({"train0", "test3"})
    model.phrases = ("a bright square",)
    return model


@pytest.fixture(scope="session")
def findings(squares: Corpus, untrained: RegionClip) -> Findings:
    """What every task found on the test split of the painted corpus."""
    found = Findings()
    for part in open_parts(untrained, [squares], "test"):
        run_tasks(untrained, part, found, silent)
    return found
