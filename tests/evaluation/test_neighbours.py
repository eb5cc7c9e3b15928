"""A model's own vectors lead to training pictures; the overlay says which of them are copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regionmed.corpus.shards import write_corpus
from regionmed.evaluation.encode import rows_of
from regionmed.evaluation.leakage import Leakage
from regionmed.evaluation.neighbours import drop_neighbours
from regionmed.evaluation.part import Part, open_parts
from regionmed.model.region_clip import RegionClip
from regionmed.record import Record

Paint = Callable[[int, str], Record]
SEEN = frozenset({f"train{number}" for number in range(4)})


@pytest.fixture
def part(paint: Paint, untrained: RegionClip, tmp_path: Path) -> Part:
    """Four training pictures, one of them a copy of test5, and the perceptual check left out."""
    records = [paint(number, "train") for number in range(3)]
    records.append(replace(paint(3, "train"), picture=paint(5, "test").picture))
    records += [paint(number, "test") for number in (4, 5, 6)]
    corpus = write_corpus(records, tmp_path / "corpus", {})
    (opened,) = open_parts(untrained, [corpus], "test")  # it saw test3 and train0 only
    return replace(opened, leakage=Leakage(3, len(SEEN)))


def test_the_copy_among_the_nearest_is_dropped_and_named(part: Part, untrained: RegionClip) -> None:
    train, asked = (rows_of(untrained, part, split) for split in ("train", "test"))
    checked = drop_neighbours(part, train, asked, SEEN)
    assert [record.image for record in checked.records] == ["test4.png", "test6.png"]
    assert [part.corpus[index].image for index in checked.indices] == ["test4.png", "test6.png"]
    assert checked.conditions.leakage == (
        "1 of 3 pictures were trained on and are dropped: "
        "0 exact, 0 twin, 0 perceptual, 1 embedding"
    )


def test_the_nearest_picture_that_is_no_copy_stays(part: Part, untrained: RegionClip) -> None:
    train, asked = (rows_of(untrained, part, split) for split in ("train", "test"))
    equal = replace(train, images_NE=np.ones_like(train.images_NE))  # all are as near as can be
    checked = drop_neighbours(part, equal, asked, SEEN - {"train3"})
    assert len(checked.records) == 3
    assert checked.conditions.leakage == (
        "none: 0 of 3 by exact, twin, perceptual and embedding check"
    )


def test_unknown_training_data_leaves_the_part_as_it_is(part: Part, untrained: RegionClip) -> None:
    train, asked = (rows_of(untrained, part, split) for split in ("train", "test"))
    assert drop_neighbours(part, train, asked, None) is part
