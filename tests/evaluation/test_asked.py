"""What an evaluation asks is known beforehand, so stored vectors get the scores of their model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation import encode
from regionmed.evaluation.asked import asked_of, store_embeddings, write_asked
from regionmed.evaluation.evaluate import evaluate
from regionmed.evaluation.score import Score
from regionmed.evaluation.stored import open_scored
from regionmed.evaluation.subject import is_stored
from regionmed.model.region_clip import RegionClip

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "other-models.md"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, squares: Corpus, untrained: RegionClip
) -> Path:
    """The vectors of the untrained model on all that an evaluation of `test` asks."""
    place = tmp_path_factory.mktemp("vectors") / "squares"
    return store_embeddings(untrained, [squares], "test", place)


def test_stored_vectors_get_the_scores_of_the_model_that_gave_them(
    folder: Path, squares: Corpus, untrained: RegionClip, tmp_path: Path
) -> None:
    of_model = evaluate(untrained, [squares], tmp_path / "model")
    stored = open_scored(f"embeddings:{folder}")
    assert is_stored(stored)
    assert stored.training_pictures == untrained.training_pictures
    of_vectors = evaluate(stored, [squares], tmp_path / "vectors")
    known = {_what(score): score for score in of_model}
    assert {score.task for score in of_vectors} >= {
        "retrieval", "region_classification", "prompt_classification", "vqa",
    }  # fmt: skip
    for score in of_vectors:
        twin = known[_what(score)]
        assert (score.n, score.value, score.low, score.high) == pytest.approx(
            (twin.n, twin.value, twin.low, twin.high), abs=1e-5
        )
        assert "blank" not in score.controls  # no pixels can be altered
    assert any("blank" in score.controls for score in of_model)


def _what(score: Score) -> tuple[object, ...]:
    """What was measured, without what it gave."""
    way = [score.details.get(key) for key in ("direction", "boxes", "target", "shots")]
    return score.task, score.set, score.stratum, score.metric, *way


def test_what_is_asked_is_listed_and_nothing_else_is_stored(
    folder: Path, squares: Corpus, tmp_path: Path
) -> None:
    listed = json.loads(write_asked([squares], "test", tmp_path / "asked.json").read_text())
    texts = pq.read_table(folder / "texts.parquet")["text"].to_pylist()
    # the model's own training picture test3 is not asked of it, but of a model without a list
    assert set(texts) < set(listed["texts"])
    assert "picture 4 with a dark square" in texts
    assert {text for text in listed["texts"] if text not in texts} == {
        "picture 3 with a bright square"
    }
    assert ["squares/test0.png", 0] in listed["regions"]
    assert len(listed["images"]) == 44  # questions are learned on train, thresholds on val


def test_more_regions_of_a_label_than_a_probe_learns_from_are_all_stored_to_be_scored(
    squares: Corpus, untrained: RegionClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two labels: 3 regions of each in train and in val, and the 23 of test that are asked."""
    monkeypatch.setattr(encode, "MOST_OF_A_LABEL", 3)
    folder = store_embeddings(untrained, [squares], "test", tmp_path / "vectors")
    stored = pq.read_table(folder / "regions.parquet")["id"].to_pylist()
    count = {split: sum(split in name for name in stored) for split in ("train", "val", "test")}
    assert count == {"train": 6, "val": 6, "test": 23}
    scores = evaluate(open_scored(f"embeddings:{folder}"), [squares], tmp_path / "report")
    of_regions = [
        score for score in scores
        if (score.task, score.stratum) == ("region_classification", "all")
    ]  # fmt: skip
    assert {score.n for score in of_regions} == {23}


def test_the_list_for_a_model_that_saw_pictures_leaves_them_and_their_texts_out(
    folder: Path, squares: Corpus, untrained: RegionClip, tmp_path: Path
) -> None:
    path = write_asked([squares], "test", tmp_path / "asked.json", untrained.training_pictures)
    listed = json.loads(path.read_text())
    assert "squares/test3.png" not in listed["images"]
    assert ["squares/test3.png", 0] not in listed["regions"]
    # what store_embeddings wrote for that very model
    texts = pq.read_table(folder / "texts.parquet")["text"].to_pylist()
    assert set(listed["texts"]) == set(texts)
    images = pq.read_table(folder / "images.parquet")["id"].to_pylist()
    assert set(listed["images"]) == set(images)


def test_the_page_on_other_models_runs_as_it_is_printed(
    squares: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reader of three mean colours in place of a model."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    (code,) = [block for block in blocks if "encode_pictures" in block]
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "films").symlink_to(squares.folder)
    monkeypatch.chdir(tmp_path)
    names = {
        "encode_pictures": lambda few: np.array([np.asarray(one).mean((0, 1)) + 1 for one in few]),
        "encode_texts": lambda texts: np.array([[len(text), text.count("a"), 1] for text in texts]),
    }
    exec(compile(code, str(PAGE), "exec"), names)
    stored = open_scored("embeddings:vectors/mine")
    scores = evaluate(stored, [squares], tmp_path / "report")
    assert {score.conditions.model for score in scores} == {"mine"}
    # bright and dark squares are told apart by the mean of their crops alone
    assert stored.stored_regions([("squares/test1.png", 0)]) @ [1, 1, 1] > 1.7


def test_an_unfit_split_is_refused_before_anything_is_written(
    squares: Corpus, tmp_path: Path
) -> None:
    everything = frozenset(record.sha256 for record in squares if record.sha256)
    with pytest.raises(UsageError, match="holds no picture that may be scored"):
        asked_of([squares], "test", everything)
