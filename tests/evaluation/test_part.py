"""A Part holds what may be scored; what is excluded is in no score and no control's training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regionmed.batches.cache import open_picture_cache
from regionmed.corpus.shards import write_corpus
from regionmed.evaluation.part import open_parts, spoken_name
from regionmed.model.region_clip import RegionClip
from regionmed.record import Record

Paint = Callable[[int, str], Record]


def test_excluded_records_and_tables_are_in_no_part(
    paint: Paint, untrained: RegionClip, tmp_path: Path
) -> None:
    kept = [paint(number, split) for split in ("train", "test") for number in range(5)]
    bad = [replace(paint(9, split), exclude="twin") for split in ("train", "test")]
    table = replace(paint(8, "test"), frame=None, picture=None, regions=(), image=None)
    corpus = write_corpus([*bad, *kept, table], tmp_path / "corpus", {"phrases": {}})
    (part,) = open_parts(untrained, [corpus], "test")
    names = [record.image for record in part.records]
    assert names == ["test0.png", "test1.png", "test2.png", "test4.png"]  # test3 was trained on
    assert [record.image for record in part.train] == [f"train{i}.png" for i in range(5)]
    assert part.records[0].regions[0].mask is not None
    assert part.train[0].regions[0].mask is None


def test_a_part_finds_its_pictures_again(
    paint: Paint, untrained: RegionClip, tmp_path: Path
) -> None:
    records = [paint(number, split) for number in (0, 1) for split in ("train", "test")]
    corpus = write_corpus(records, tmp_path / "corpus", {"phrases": {}})
    (part,) = open_parts(untrained, [corpus], "test")
    pictures = part.pictures(96)
    dark, bright = pictures.pixels_NHWC
    assert dark.shape == (96, 96, 3)
    assert (dark[16 + 40, 70] < 30).all()
    assert (bright[16 + 20, 19] > 240).all()
    assert (bright[:16] == 0).all()


def test_pictures_are_taken_from_the_cache_that_training_left(
    paint: Paint, untrained: RegionClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [paint(number, split) for number in (0, 1) for split in ("train", "test")]
    corpus = write_corpus(records, tmp_path / "corpus", {"phrases": {}})
    (part,) = open_parts(untrained, [corpus], "test")
    decoded = part.pictures(96)
    open_picture_cache(corpus, 96)
    monkeypatch.setattr(corpus, "picture", None)  # nothing is decoded any more
    cached = part.pictures(96)
    assert np.array_equal(cached.pixels_NHWC, decoded.pixels_NHWC)
    assert cached.placements == decoded.placements


def test_a_model_is_called_by_its_folder_without_the_path(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert spoken_name(str(tmp_path / "run")) == "run"
    assert spoken_name(f"open_clip:{tmp_path / 'run'}") == "open_clip:run"
    assert spoken_name("open_clip:ViT-B-32/laion2b") == "open_clip:ViT-B-32/laion2b"


def test_a_twin_in_another_set_counts_as_seen(
    paint: Paint, untrained: RegionClip, tmp_path: Path
) -> None:
    trained_on = replace(
        paint(3, "test"), set="other", id="other/3", split="train", twins="one film"
    )
    records = [trained_on, replace(paint(1, "test"), twins="one film"), paint(2, "test")]
    corpus = write_corpus(records, tmp_path / "corpus", {"phrases": {}})
    (part,) = open_parts(untrained, [corpus], "test")
    assert [record.image for record in part.records] == ["test2.png"]
    assert part.conditions.leakage.startswith("1 of 2")
