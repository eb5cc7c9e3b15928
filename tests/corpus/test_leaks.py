"""Pictures that two corpora share are named."""

from dataclasses import replace
from pathlib import Path

from tests.corpus.conftest import picture

from regionmed.corpus.leaks import find_leaks
from regionmed.corpus.shards import write_corpus
from regionmed.geometry import Frame
from regionmed.record import Provenance, Record


def record(name: str, seed: int, sha256: str, kind: str = "PNG") -> Record:
    """A picture of 120 x 90 px without annotations."""
    frame, provenance = Frame("file", 120, 90), Provenance("x", "masks")
    data = picture(120, 90, seed, kind)
    return Record(name, "x", name, sha256, frame, provenance, picture=data)


def test_exact_and_near_copies_are_named_once(tmp_path: Path):
    first = [record("a/1", 1, "s1"), record("a/2", 2, "s2"), record("a/copy of 1", 1, "s1")]
    second = [record("b/1", 1, "s1"), record("b/2", 2, "t2", "JPEG"), record("b/3", 3, "s3")]
    leaks = find_leaks(
        write_corpus(first, tmp_path / "a", {}), write_corpus(second, tmp_path / "b", {})
    )
    found = [(leak.kind, leak.first, leak.second) for leak in leaks]
    assert found == [("exact", "a/1", "b/1"), ("near", "a/2", "b/2")]
    assert leaks[1].likeness > 0.95


def test_a_corpus_against_itself_leaks_nothing_but_its_copies(tmp_path: Path):
    records = [record("a/1", 1, "s1"), record("a/2", 2, "s2")]
    corpus = write_corpus(records, tmp_path / "a", {})
    assert find_leaks(corpus, corpus) == []


def test_two_splits_of_one_corpus_are_compared(tmp_path: Path):
    records = [
        replace(record("a/1", 1, "s1"), split="train"),
        replace(record("a/2", 1, "s2", "JPEG"), split="test"),
        replace(record("a/3", 3, "s3"), split="test"),
    ]
    corpus = write_corpus(records, tmp_path / "a", {})
    (leak,) = find_leaks(corpus.split("train"), corpus.split("test"))
    assert (leak.first, leak.second, leak.kind) == ("a/1", "a/2", "near")
