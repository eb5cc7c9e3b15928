"""regionmed demo: where it writes and what it asks; `.ci/run` runs the whole of it."""

from dataclasses import replace

import pytest

from regionmed.cli.demo import make_room, print_scores, region_to_ask_about
from regionmed.corpus.shards import open_corpus
from regionmed.errors import UsageError
from regionmed.evaluation.score import Conditions, Score


def test_an_earlier_demo_is_replaced(tmp_path):
    (tmp_path / "demo" / "run").mkdir(parents=True)
    (tmp_path / "demo" / "asked.png").touch()
    make_room(tmp_path / "demo")
    assert list((tmp_path / "demo").iterdir()) == []


@pytest.mark.parametrize("theirs", ["thesis.docx", "corpus.tar"])
def test_what_no_demo_wrote_is_left_alone(tmp_path, theirs):
    (tmp_path / theirs).write_text("years of work")
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match=theirs):
        make_room(tmp_path)
    assert (tmp_path / theirs).read_text() == "years of work"
    assert (tmp_path / "run").is_dir()


def test_a_file_is_no_place_for_a_demo(tmp_path):
    (tmp_path / "demo").write_text("a file")
    with pytest.raises(UsageError, match="is a file"):
        make_room(tmp_path / "demo")


def test_the_question_is_about_the_largest_region_of_the_test_split(shapes_corpus):
    # picture 3 is the only one for testing: its disc is 40 x 40 pixels, its square 30 x 30
    number, record, region = region_to_ask_about(open_corpus(shapes_corpus))
    assert (number, record.id, region.label) == (3, "shapes/3.png", "disc")


def test_the_closing_table_names_the_strongest_control(capsys):
    conditions = Conditions(model="m", weights="0", corpus="0", split="test", leakage="none")
    score = Score(
        task="vqa", set="films", metric="accuracy", value=0.71, low=0.6, high=0.8, n=40, chance=0.5,
        conditions=conditions, controls={"majority": 0.55, "question-only": 0.64, "blank": 0.6},
    )  # fmt: skip
    print_scores([score, replace(score, stratum="open"), replace(score, set="mean:all")])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "vqa" in line]
    folded = " ".join(row.split())
    assert folded == "vqa films accuracy 0.71 0.60 - 0.80 40 0.50 question-only 0.64"
