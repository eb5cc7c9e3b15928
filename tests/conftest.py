"""Shared by the tests: tensor shapes are checked, the data kit is found, a small run is trained."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip
    from regionmed.record import Record

# before anything imports them: jaxtyping annotations are enforced by beartype under test
install_import_hook(
    [
        "regionmed.model.dense",
        "regionmed.model.roi_pool",
        "regionmed.model.roi_processor",
        "regionmed.training.losses",
    ],
    "beartype.beartype",
)

KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kit() -> Path:
    """The folder of the data kit: one tar a set and reference_manifest.jsonl."""
    if not (KIT / "reference_manifest.jsonl").is_file():
        pytest.skip("the data kit is not beside this checkout (../shared/data)")
    return KIT


@pytest.fixture(scope="session")
def shapes_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of five pictures, 160 x 120: a disc and a square each, in other places and shades.

    Record "shapes/4.png" is excluded, "shapes/table" is a row of a table without a picture.
    """
    from PIL import Image, ImageDraw

    from regionmed.corpus.shards import write_corpus
    from regionmed.geometry import Box, Frame
    from regionmed.record import Provenance, Record, Region, Texts

    frame, provenance = Frame("file", 160, 120), Provenance("shapes", "painted", synthetic=True)
    records = []
    for number in range(5):
        disc = Box(10 + 8 * number, 12, 50 + 8 * number, 52, frame)
        square = Box(100, 60 - 10 * number, 130, 90 - 10 * number, frame)
        image = Image.new("RGB", (160, 120), (20, 20 + 10 * number, 30))
        ImageDraw.Draw(image).ellipse(disc.edges, (200 - 20 * number, 90, 40 + 40 * number))
        ImageDraw.Draw(image).rectangle(square.edges, (90, 200 - 30 * number, 220))
        stored = io.BytesIO()
        image.save(stored, "PNG")
        regions = (
            Region("disc", disc, "box", text="round disc"),
            Region("square", square, "box", text="square block"),
        )
        record = Record(
            f"shapes/{number}.png",
            "shapes",
            f"{number}.png",
            hashlib.sha256(stored.getvalue()).hexdigest(),
            frame,
            provenance,
            labels=("disc", "square"),
            texts=Texts(summary="picture showing a disc and a square"),
            regions=regions,
            split="test" if number == 3 else "train",
            exclude="a trial" if number == 4 else None,
            picture=stored.getvalue(),
        )
        records.append(record)
    records.append(Record("shapes/table", "shapes", None, None, None, provenance))
    folder = tmp_path_factory.mktemp("shapes") / "corpus"
    write_corpus(records, folder, {"phrases": {"shapes": {"disc": "a disc"}}})
    return folder


def disc_and_square(number: int, split: str) -> Record:
    """A record, 160 x 120, of a red disc on the left and a blue square on the right, on a grain."""
    import numpy as np
    from PIL import Image, ImageDraw

    from regionmed.geometry import Box, Frame
    from regionmed.record import Provenance, Record, Region, Texts

    chance = np.random.default_rng([number, *split.encode()])
    frame = Frame("file", 160, 120)
    grain = Image.fromarray(chance.integers(30, 60, (30, 40)).astype(np.uint8))
    image = grain.resize((160, 120), Image.Resampling.BILINEAR).convert("RGB")
    dx, dy = (int(step) for step in chance.integers(0, 20, 2))
    disc = Box(10 + dx, 20 + dy, 50 + dx, 60 + dy, frame)
    square = Box(100 + dx, 20 + dy, 130 + dx, 50 + dy, frame)
    ImageDraw.Draw(image).ellipse(disc.edges, (200, 60, 40))
    ImageDraw.Draw(image).rectangle(square.edges, (60, 90, 200))
    stored = io.BytesIO()
    image.save(stored, "PNG")
    regions = (
        Region("disc", disc, "box", text="round disc"),
        Region("square", square, "box", text="square block"),
    )
    name = f"{split}{number}.png"
    return Record(
        f"shapes/{name}",
        "shapes",
        name,
        hashlib.sha256(stored.getvalue()).hexdigest(),
        frame,
        Provenance("shapes", "painted", synthetic=True),
        labels=("disc", "square"),
        texts=Texts(summary="picture showing a disc and a square"),
        regions=regions,
        split=split,
        picture=stored.getvalue(),
    )


@pytest.fixture(scope="session")
def paint_shapes() -> Callable[[int, str], Record]:
    """Paints the records that `judging_index` was made from, and others like them."""
    return disc_and_square


@pytest.fixture(scope="session")
def judging_index(
    untrained: Path, untrained_model: RegionClip, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The index of 24 pictures of a disc and a square each, 12 to learn and 12 to judge by."""
    import regionmed
    from regionmed.corpus.shards import write_corpus
    from regionmed.search.build import build_index

    places = tmp_path_factory.mktemp("judging")
    splits = {"train": 12, "val": 12}
    records = [disc_and_square(n, split) for split, count in splits.items() for n in range(count)]
    write_corpus(records, places / "corpus", {"phrases": {"shapes": {"disc": "a disc"}}})
    corpus = regionmed.open_corpus(places / "corpus")
    build_index(untrained_model, [corpus], places / "index", source=str(untrained))
    return places / "index"


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of the tiny model before its first step, with three phrases."""
    import torch

    from regionmed.model.checkpoint import save_model
    from regionmed.model.config import TINY
    from regionmed.model.region_clip import RegionClip

    torch.manual_seed(0)
    model = RegionClip(TINY)
    model.stage, model.phrases = "none", ("a disc", "a square", "a nodule")
    return save_model(model, tmp_path_factory.mktemp("untrained") / "model", {})


@pytest.fixture(scope="session")
def untrained_model(untrained: Path) -> RegionClip:
    """The checkpoint `untrained`, loaded; a test that changes it uses monkeypatch."""
    import regionmed

    return regionmed.load(untrained)


@pytest.fixture(scope="session")
def shapes_index(
    shapes_corpus: Path,
    untrained: Path,
    untrained_model: RegionClip,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The index of shapes_corpus, made by the checkpoint `untrained`."""
    import regionmed
    from regionmed.search.build import build_index

    folder = tmp_path_factory.mktemp("shapes-index") / "index"
    corpus = regionmed.open_corpus(shapes_corpus)
    build_index(untrained_model, [corpus], folder, source=str(untrained))
    return folder
