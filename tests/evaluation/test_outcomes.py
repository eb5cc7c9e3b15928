"""What each item earned is written once and read back the same, or the file is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regionmed.errors import UsageError
from regionmed.evaluation.outcomes import Outcomes, read_outcomes, write_outcomes


def outcomes(**changes: Any) -> Outcomes:
    fields: dict[str, Any] = {
        "task": "region_classification",
        "set": "chests",
        "metric": "macro_accuracy",
        "boxes": "jitter-20",
        "items": ("chests/a.png#0", "chests/a.png#1", "chests/b.png#0"),
        "groups": ("patient 1", "patient 1", "patient 2"),
        "columns": ("nodule", "mass", "nodule"),
        "strata": (("tiny", "modality:xray"), ("large",), ()),
        "values_N": np.array([1.0, 0.5, 0.0]),
    }
    return Outcomes(**{**fields, **changes})


def test_outcomes_come_back_as_they_were_written_in_their_order(tmp_path: Path) -> None:
    written = [outcomes(), outcomes(metric="accuracy"), outcomes(boxes="random")]
    write_outcomes(tmp_path / "new" / "answers.parquet", written)
    read = read_outcomes(tmp_path / "new" / "answers.parquet")
    assert [one.key for one in read] == [one.key for one in written]
    for name in ("items", "groups", "columns", "strata"):
        assert getattr(read[2], name) == getattr(written[2], name)
    assert read[2].values_N.tolist() == [1.0, 0.5, 0.0]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["answers.parquet"]


def test_the_same_outcomes_give_the_same_bytes_over_an_older_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    second.write_text("older")
    for path in (first, second):
        write_outcomes(path, [outcomes(), outcomes(set="hands")])
    assert first.read_bytes() == second.read_bytes()


def test_no_outcomes_are_an_empty_file_that_reads_as_none(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "answers.parquet", [])
    assert read_outcomes(tmp_path / "answers.parquet") == []


def test_boxes_are_given_unless_said_otherwise() -> None:
    names = ("task", "set", "metric", "items", "groups", "columns", "strata", "values_N")
    assert Outcomes(**{name: getattr(outcomes(), name) for name in names}).boxes == "given"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"groups": ("one", "two")}, "equally many"),
        ({"items": ("a", "b", "a")}, "item 'a' comes twice"),
        ({"values_N": np.array([0, 1, np.nan])}, "not a number from 0 to 1"),
        ({"values_N": np.array([0, 1, 1.5])}, "not a number from 0 to 1"),
    ],
)
def test_outcomes_that_cannot_be_paired_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        outcomes(**changes)


def test_two_outcomes_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two Outcomes of this name"):
        write_outcomes(tmp_path / "answers.parquet", [outcomes(), outcomes()])
    assert not list(tmp_path.iterdir())


def _not_parquet(path: Path) -> None:
    path.write_bytes(b"PAR1 but not for long")


def _other_columns(path: Path) -> None:
    pq.write_table(pa.table({"item": ["a"], "value": [1.0]}), path)


def _changed(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_outcomes(path, [outcomes()])
        pq.write_table(change(pq.read_table(path)), path)

    return write


def _emptied(table: pa.Table) -> pa.Table:
    return table.set_column(5, "group", pa.array([None] * 3, pa.string()))


def _above_one(table: pa.Table) -> pa.Table:
    return table.set_column(8, "value", pa.array([1.0, 2.0, 0.0]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: None, "is not there"),
        (_not_parquet, "is not a Parquet file"),
        (_other_columns, "has the columns item, value"),
        (_changed(_emptied), "has empty cells"),
        (_changed(_above_one), "not a number from 0 to 1"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_the_way_out(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "answers.parquet"
    spoil(path)
    with pytest.raises(UsageError, match=said) as caught:
        read_outcomes(path)
    assert "regionmed evaluate" in str(caught.value)
    assert "\n" not in str(caught.value)
