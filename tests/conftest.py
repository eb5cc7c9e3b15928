"""Shared by the tests: tensor shapes are checked, the data kit is found, a small run is trained."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip

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
