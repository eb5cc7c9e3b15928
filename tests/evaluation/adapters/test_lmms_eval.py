"""What is written for lmms-eval, how answers are read, and a run of the real package."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.adapters.lmms_eval import (
    drawn_region,
    macro_accuracy,
    question_result,
    question_text,
    region_result,
    region_text,
    vqa_outcomes,
    whole_picture,
    write_tasks,
)
from regionmed.evaluation.part import Part, open_parts
from regionmed.model.region_clip import RegionClip

OPTIONS = {"options": ["a dark square", "a bright square"], "answer": 1}


@pytest.fixture(scope="module")
def part(squares: Corpus, untrained: RegionClip) -> Part:
    return next(open_parts(untrained, [squares], "test"))


@pytest.fixture(scope="module")
def written(part: Part, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lmms") / "tasks"
    assert write_tasks(part, folder) == (
        "regionmed_squares_regions",
        "regionmed_squares_regions_drawn",
        "regionmed_squares_questions",
    )
    return folder


def test_a_region_question_gives_the_box_in_pixels_and_numbered_options(
    written: Path, part: Part
) -> None:
    doc = pq.read_table(written / "regions.parquet").to_pylist()[0]
    box = part.records[0].regions[0].box
    assert f"({box.x0:.0f}, {box.y0:.0f}) to ({box.x1:.0f}, {box.y1:.0f})" in region_text(doc)
    assert f"1. {doc['options'][0]}\n2. {doc['options'][1]}\n" in region_text(doc)
    assert doc["options"][doc["answer"]] == f"a {part.records[0].regions[0].label} square"


def test_the_right_option_has_no_place_of_its_own(written: Path) -> None:
    """A model that always says 1 earns about one half, whatever the labels."""
    docs = pq.read_table(written / "regions.parquet").to_pylist()
    firsts = [region_result(doc, ["1"])["accuracy"] for doc in docs]
    assert 0.2 < np.mean(firsts) < 0.8


def test_the_mark_surrounds_the_region_and_hides_nothing_of_it(written: Path) -> None:
    doc = pq.read_table(written / "regions.parquet").to_pylist()[0]
    (plain,), (drawn,) = whole_picture(doc), drawn_region(doc)
    x0, y0, x1, y1 = (round(edge) for edge in doc["box"])
    changed = (np.asarray(plain) != np.asarray(drawn)).any(axis=2)
    assert not changed[y0:y1, x0:x1].any()
    assert changed[y0 - 1, x0:x1].all()
    assert changed[y1, x0:x1].all()
    assert changed[y0:y1, x1].all()


@pytest.mark.parametrize(
    ("said", "earned"),
    [
        ("2", 1),
        ("Option 2.", 1),
        ("1", 0),
        ("3", 0),
        ("It is a bright square", 1),
        ("a dark square", 0),
        ("a bright square or a dark square", 0),
        ("", 0),
    ],
)
def test_the_number_counts_or_else_the_only_name(said: str, earned: int) -> None:
    result = region_result(OPTIONS, [said])
    assert result == {"accuracy": earned, "macro_accuracy": ("a bright square", earned)}


def test_macro_accuracy_weighs_labels_alike() -> None:
    assert macro_accuracy([("a", 1.0), ("a", 1.0), ("a", 0.0), ("b", 0.0)]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("said", "earned"), [("Yes.", 1), ("yes, there is", 1), ("No", 0), ("nothing", 0), ("", 0)]
)
def test_the_first_yes_or_no_is_the_answer(said: str, earned: int) -> None:
    doc = {"question": "is there a square", "answer": "yes"}
    assert question_result(doc, [said]) == {"accuracy": earned}
    assert question_text(doc) == "is there a square\nAnswer with yes or no."


def test_a_folder_that_is_there_is_not_written_over(part: Part, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        write_tasks(part, tmp_path)


def test_lmms_eval_runs_the_tasks(written: Path, tmp_path: Path) -> None:
    """Its model `dummy` says 2 to everything: the share of questions whose answer stands second."""
    pytest.importorskip("lmms_eval.evaluator", reason="lmms-eval is not installed: make proof")
    done = subprocess.run(
        [
            sys.executable, "-m", "lmms_eval", "--model", "dummy", "--model_args", "response=2",
            "--include_path", str(written), "--output_path", str(tmp_path),
            "--tasks", "regionmed_squares_regions,regionmed_squares_regions_drawn",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (path,) = tmp_path.rglob("*_results.json") if done.returncode == 0 else [None]
    assert path is not None, done.stderr[-2000:]
    docs = pq.read_table(written / "regions.parquet").to_pylist()
    second = np.array([doc["answer"] == 1 for doc in docs])
    bright = np.array([doc["options"][doc["answer"]] == "a bright square" for doc in docs])
    macro = (second[bright].mean() + second[~bright].mean()) / 2
    results = json.loads(path.read_text())["results"]
    for name in ("regionmed_squares_regions", "regionmed_squares_regions_drawn"):
        assert results[name]["accuracy,none"] == pytest.approx(second.mean())
        assert results[name]["macro_accuracy,none"] == pytest.approx(macro)


@pytest.mark.parametrize(("said", "earned"), [("Yes", 1), ("no", 0)])
def test_a_model_of_lmms_eval_answers_closed_questions_of_ours(
    part: Part, said: str, earned: int
) -> None:
    """Every painted picture has a square, so `dummy` is always right or always wrong."""
    pytest.importorskip("lmms_eval.evaluator", reason="lmms-eval is not installed: make proof")
    from lmms_eval.models import get_model

    found = vqa_outcomes(get_model("dummy")(response=said), part)
    assert found is not None
    assert found.values_N.tolist() == [earned] * len(part.records)
    assert found.items[0] == part.records[0].questions[0].id
