"""A picture that was trained on is found, itself, as a twin or as a copy, and said."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps

from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.evaluation.leakage import Leakage, check_leakage
from regionmed.evaluation.part import open_parts
from regionmed.model.region_clip import RegionClip
from regionmed.record import Record

Paint = Callable[[int, str], Record]


def looked_up(corpus: Corpus, trained_on: frozenset[str] | None) -> Leakage:
    """The leakage of the test pictures of a corpus of one set."""
    records = list(corpus)
    asked = [record for record in records if record.split == "test"]
    (found,) = check_leakage(asked, [(corpus, records)], trained_on).values()
    return found


def test_the_same_file_a_twin_and_a_copy_are_each_found_once(paint: Paint, tmp_path: Path) -> None:
    negative = io.BytesIO()
    original = Image.open(io.BytesIO(paint(7, "test").picture or b""))
    ImageOps.invert(original).save(negative, "JPEG", quality=60)
    records = [
        replace(paint(0, "train"), sha256="same"),
        replace(paint(1, "train"), twins="family"),
        replace(paint(2, "train"), picture=negative.getvalue()),
        replace(paint(5, "test"), sha256="same"),
        replace(paint(6, "test"), twins="family"),
        paint(7, "test"),
        paint(8, "test"),
    ]
    corpus = write_corpus(records, tmp_path / "corpus", {})
    found = looked_up(corpus, frozenset({"same", "train1", "train2"}))
    assert found.exact == {"squares/test5.png"}
    assert found.twins == {"squares/test6.png"}
    assert found.copies == {"squares/test7.png"}
    assert found.remark == (
        "3 of 4 pictures were trained on and are dropped: 1 exact, 1 twin, 1 perceptual"
    )


def test_a_copy_of_a_picture_that_was_not_trained_on_is_no_leak(
    paint: Paint, tmp_path: Path
) -> None:
    again = replace(paint(3, "train"), picture=paint(3, "test").picture)
    corpus = write_corpus([again, paint(4, "train"), paint(3, "test")], tmp_path / "corpus", {})
    found = looked_up(corpus, frozenset({"train4"}))
    assert found.seen == frozenset()
    assert found.remark == "none: 0 of 1 by exact, twin and perceptual check"


def test_training_pictures_that_nobody_could_look_at_are_counted(squares: Corpus) -> None:
    found = looked_up(squares, frozenset({"train0", "of another hospital", "lost"}))
    assert found.remark.endswith("(2 of 3 training pictures were not at hand to be looked at)")


def test_unknown_training_data_says_so_and_is_never_none(squares: Corpus) -> None:
    found = looked_up(squares, None)
    assert (found.seen, found.remark) == (frozenset(), "unknown training data")


def test_the_part_drops_what_was_found_and_its_scores_say_how_many(
    paint: Paint, untrained: RegionClip, tmp_path: Path
) -> None:
    copied = replace(paint(0, "train"), picture=paint(9, "test").picture)
    records = [copied, *(paint(number, "test") for number in (8, 9, 10))]
    corpus = write_corpus(records, tmp_path / "corpus", {})
    (part,) = open_parts(untrained, [corpus], "test")
    assert [record.image for record in part.records] == ["test8.png", "test10.png"]
    assert part.conditions.leakage == (
        "1 of 3 pictures were trained on and are dropped: 0 exact, 0 twin, 1 perceptual "
        "(1 of 2 training pictures were not at hand to be looked at)"
    )


def test_what_the_embedding_check_found_is_dropped_and_named() -> None:
    found = Leakage(10, 5, exact=frozenset({"a"}), neighbours=frozenset({"b", "c"}))
    assert found.seen == {"a", "b", "c"}
    assert found.remark.endswith("dropped: 1 exact, 0 twin, 0 perceptual, 2 embedding")
    clean = Leakage(10, 5, neighbours=frozenset())
    assert clean.remark == "none: 0 of 10 by exact, twin, perceptual and embedding check"
