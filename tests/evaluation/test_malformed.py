"""What is wrong with an input is said in one sentence; nothing is written, and the status is 1."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regionmed.cli.main import main
from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.evaluation.stored import write_embeddings
from regionmed.record import Record

Command = Callable[..., tuple[int, str]]
Paint = Callable[[int, str], Record]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line; gives its exit status and what it said on standard error."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["regionmed", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def vectors(tmp_path: Path, squares: Corpus) -> Path:
    """Random vectors for every picture and one text of the squares."""
    rows = np.random.default_rng(0).normal(size=(len(squares), 4)).astype(np.float32)
    ids = [record.id for record in squares]
    return write_embeddings(tmp_path / "vectors", (ids, rows), (["a bright square"], rows[:1]))


def _corpus_of(paint: Paint, folder: Path, numbers: range, split: str) -> Path:
    phrases = {"squares": {"bright": "a bright square", "dark": "a dark square"}}
    records = [paint(number, split) for number in numbers]
    return write_corpus(records, folder, {"phrases": phrases}).folder


def _damaged_shard(folder: Path) -> None:
    shard = next((folder / "shards").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


def _refused(said: Command, out: Path, sentence: str, *words: object) -> None:
    status, error = said(*words, "--out", out)
    assert status == 1, error
    lines = [line for line in error.splitlines() if line.strip()]
    assert len(lines) == 1, error
    assert sentence in lines[0]
    assert "Traceback" not in error
    assert not (out / "scores.json").exists()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("no/such/run", "is not a finished run or checkpoint"),
        ("open_clip:no-such-model", "no-such-model"),
        ("open_clip:no/such/folder", "no/such/folder"),
        ("transformers:EMPTY", "config.json"),
        ("embeddings:EMPTY", "has no images.parquet"),
        ("embeddings:no/such/folder", "no/such/folder"),
    ],
)
def test_a_model_that_cannot_be_found(
    said: Command, squares: Corpus, tmp_path: Path, model: str, sentence: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    name = model.replace("EMPTY", str(empty))
    _refused(said, tmp_path / "out", sentence, "evaluate", name, "--corpus", squares.folder)


def test_vectors_that_lack_a_text_or_a_picture(
    said: Command, squares: Corpus, vectors: Path, tmp_path: Path, paint: Paint
) -> None:
    asked = ("evaluate", f"embeddings:{vectors}", "--corpus")
    _refused(said, tmp_path / "out", "text", *asked, squares.folder)
    more = _corpus_of(paint, tmp_path / "more", range(100, 130), "test")
    _refused(said, tmp_path / "out", "images.parquet", *asked, more)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda ids, rows: rows.__setitem__((2, 1), np.nan), "not finite"),
        (lambda ids, rows: rows.__setitem__(3, 0), "all 0"),
        (lambda ids, rows: ids.__setitem__(4, ids[5]), "rows have a"),
    ],
)
def test_vectors_that_are_no_directions_or_stand_twice(
    said: Command,
    squares: Corpus,
    vectors: Path,
    tmp_path: Path,
    spoil: Callable[[list[str], np.ndarray], None],
    sentence: str,
) -> None:
    ids = [record.id for record in squares]
    rows = np.ones((len(squares), 4), np.float32)
    spoil(ids, rows)
    table = pa.table({"id": ids, "embedding": pa.array(list(rows), pa.list_(pa.float32()))})
    pq.write_table(table, vectors / "images.parquet")
    words = ("evaluate", f"embeddings:{vectors}", "--corpus", squares.folder)
    _refused(said, tmp_path / "out", sentence, *words)


def test_corpora_that_cannot_be_scored(
    said: Command, squares: Corpus, vectors: Path, tmp_path: Path, paint: Paint
) -> None:
    model = ("evaluate", f"embeddings:{vectors}", "--corpus")
    out = tmp_path / "out"
    _refused(said, out, "no/corpus", *model, "no/corpus")
    _refused(said, out, "vectors", *model, vectors)  # a folder, and no corpus
    _refused(said, out, "'tset' is no split", *model, squares.folder, "--split", "tset")
    _refused(said, out, "is in two", *model, squares.folder, "--corpus", squares.folder)
    only_test = _corpus_of(paint, tmp_path / "only test", range(12), "test")
    _refused(said, out, "holds no picture", *model, only_test, "--split", "val")
    copy = tmp_path / "damaged"
    shutil.copytree(squares.folder, copy)
    _damaged_shard(copy)
    _refused(said, out, "damaged", *model, copy)
    a_file = tmp_path / "file"
    a_file.write_text("")
    status, error = said(*model, squares.folder, "--out", a_file)
    assert (status, "is a file" in error) == (1, True)


def test_benchmarks_that_are_unknown_or_not_there(
    said: Command, vectors: Path, tmp_path: Path
) -> None:
    words = ("evaluate", f"embeddings:{vectors}", "--corpus", tmp_path / "copy", "--benchmark")
    _refused(said, tmp_path / "out", "vqa_rad", *words, "no_such_benchmark")
    (tmp_path / "copy").mkdir()
    _refused(said, tmp_path / "out", "is empty", *words, "busi")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("arms: [", "YAML"),
        ("split: test", "corpora"),
        ("corpora: [CORPUS]\narms: {}\nreference: a", "arms"),
        ("corpora: [CORPUS]\narms: {a: x}\nreference: a", "two arms or more"),
        ("corpora: [CORPUS]\narms: {a: x, c: y}\nreference: b", "reference"),
        ("corpora: [CORPUS]\narms: {a: x, a: y}\nreference: a", "twice"),
        ("corpora: [no/corpus]\narms: {a: x, b: y}\nreference: a", "no/corpus"),
        ("corpora: [CORPUS]\narms: {a: no/run, b: no/run2}\nreference: a", "no/run"),
    ],
)
def test_a_comparison_that_is_not_a_plan(
    said: Command, squares: Corpus, tmp_path: Path, text: str, sentence: str
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(text.replace("CORPUS", json.dumps(str(squares.folder))))
    _refused(said, tmp_path / "out", sentence, "compare", plan)
