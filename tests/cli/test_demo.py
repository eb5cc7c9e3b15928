"""regionmed demo: where it writes and what it asks; `.ci/run` runs the whole of it."""

import pytest

from regionmed.cli.demo import make_room, region_to_ask_about
from regionmed.corpus.shards import open_corpus
from regionmed.errors import UsageError


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
