"""Families never cross a split."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmed.corpus.splits import SplitsTable, draw_splits
from regionmed.corpus.twins import families, ties_of
from regionmed.errors import CorpusError


def drawn(groups: list[str | None], set_name: str = "films") -> list[str]:
    """Splits of pictures whose groups are given."""
    roots = families(len(groups), ties_of(groups))
    names = [f"{set_name}/{number}" for number in range(len(groups))]
    return draw_splits([set_name] * len(groups), roots, names)


@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), min_size=1, max_size=60))
def test_no_group_crosses_a_split(groups):
    splits = drawn(groups)
    for group in set(groups) - {None}:
        assert len({splits[at] for at, other in enumerate(groups) if other == group}) == 1


def test_families_tie_over_several_steps():
    assert families(6, [(0, 1), (4, 5), (1, 4)]) == [0, 0, 2, 3, 0, 0]


def test_a_hundred_singles_are_70_10_20():
    assert Counter(drawn([None] * 100)) == {"train": 70, "val": 10, "test": 20}


def test_every_set_has_its_own_70_10_20():
    splits = draw_splits(["a"] * 10 + ["b"] * 100, range(110), [str(n) for n in range(110)])
    assert Counter(splits[:10]) == {"train": 7, "val": 1, "test": 2}


def test_the_draw_depends_on_names_alone():
    names = [f"films/{number}" for number in range(30)]
    forward = dict(zip(names, draw_splits(["s"] * 30, range(30), names), strict=True))
    back = draw_splits(["s"] * 30, range(30), names[::-1])
    assert forward == dict(zip(names[::-1], back, strict=True))


def table(tmp_path: Path, text: str, name: str = "splits.csv") -> SplitsTable:
    path = tmp_path / name
    path.write_text(text)
    return SplitsTable(path)


def test_a_row_of_the_set_comes_before_a_row_of_any_set(tmp_path: Path):
    found = table(tmp_path, "set,image,split\nfilms,x/a.png,test\n,a.png,train\n")
    ruling, other = found.find("films", "x/a.png"), found.find("others", "y/a.png")
    assert ruling is not None
    assert other is not None
    assert (ruling.split, other.split) == ("test", "train")
    assert found.find("films", "b.png") is None


def test_json_lines_are_read_and_dev_is_val(tmp_path: Path):
    text = '{"image": "a.png", "split": "dev", "group": "p1", "exclude": null}\n'
    ruling = table(tmp_path, text, "splits.jsonl").find("films", "a.png")
    assert ruling is not None
    assert (ruling.split, ruling.group, ruling.exclude) == ("val", "p1", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,part of\na.png,x\n", "has no column 'split'; it has image, part of"),
        ("name,split\na.png,train\n", "has no column 'image'"),
        ("image,split\na.png,holdout\n", "row 1: 'holdout' is none of train, val, test"),
        ("", "it has no rows"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(CorpusError, match=sentence):
        table(tmp_path, text)


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(CorpusError, match="cannot be read"):
        SplitsTable(tmp_path / "none.csv")


def test_a_table_in_another_encoding_is_an_error(tmp_path: Path):
    path = tmp_path / "splits.csv"
    path.write_bytes("image,split\ngrößer.png,train\n".encode("latin-1"))
    with pytest.raises(CorpusError, match="is no UTF-8 text"):
        SplitsTable(path)
