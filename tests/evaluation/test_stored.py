"""A folder of vectors gives unit rows by their keys, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regionmed.errors import CheckpointError, UsageError
from regionmed.evaluation.stored import StoredEmbeddings, open_embeddings, write_embeddings


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two pictures, two texts and one region, of three numbers each."""
    write(tmp_path / "images.parquet", id=["a/1", "a/2"], embedding=[[3.0, 4.0, 0.0], [0, 0, 2]])
    write(tmp_path / "texts.parquet", text=["disc", "square"], embedding=[[1, 0, 0], [0, 1.0, 0]])
    write(tmp_path / "regions.parquet", id=["a/1"], region=[2], embedding=[[0.0, 5, 0]])
    return tmp_path


def write(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)


def test_rows_are_brought_to_length_one_and_found_by_their_keys(
    small: Path, paint: Callable[[int, str], Any]
) -> None:
    stored = open_embeddings(small)
    assert stored.embedding_dim == 3
    assert stored.encode_text(["square", "disc", "square"]).tolist() == [
        [0, 1, 0], [1, 0, 0], [0, 1, 0],
    ]  # fmt: skip
    assert stored.images.of(["a/2", "a/1"]) == pytest.approx(np.array([[0, 0, 1], [0.6, 0.8, 0]]))
    regions = stored.stored_regions([("a/1", 2)])
    assert regions is not None
    assert regions.tolist() == [[0, 1, 0]]
    assert (stored.training_pictures, stored.phrases) == (None, ())
    assert stored.name == f"embeddings:{small}"
    (small / "regions.parquet").unlink()
    assert open_embeddings(small).stored_regions([("a/1", 2)]) is None


def test_what_is_not_stored_is_counted_and_texts_are_not_repeated(
    small: Path, paint: Callable[[int, str], Any]
) -> None:
    stored: StoredEmbeddings = open_embeddings(small)
    with pytest.raises(UsageError, match=r"2 of 2 records .* 'squares/test0.png' first"):
        stored.stored_images([paint(0, "test"), paint(1, "test")])
    with pytest.raises(UsageError, match=r"1 of 2 regions .* \('a/1', 0\) first"):
        stored.stored_regions([("a/1", 2), ("a/1", 0)])
    with pytest.raises(UsageError, match="1 of 2 texts asked together have no row") as caught:
        stored.encode_text(["disc", "a patient's words", "disc"])
    assert "patient" not in str(caught.value)


def test_the_fingerprint_changes_with_one_number_and_not_with_the_place(
    small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = open_embeddings(small).fingerprint
    moved = tmp_path_factory.mktemp("moved")
    for file in small.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    assert open_embeddings(moved).fingerprint == before
    write(moved / "regions.parquet", id=["a/1"], region=[2], embedding=[[0.0, 5, 1e-3]])
    assert open_embeddings(moved).fingerprint != before


NAN, INF = float("nan"), float("inf")
GOOD = [[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("file", "columns", "message"),
    [
        ("images", None, "has no images.parquet"),
        ("texts", None, "has no texts.parquet"),
        ("images", b"PAR1 no", "is no Parquet file"),
        ("images", {"name": ["a", "b"], "embedding": GOOD}, "has no column 'id'"),
        ("images", {"id": ["a/1", "a/1"], "embedding": GOOD}, r"1 of 2 rows .* row 0 \(a/1\)"),
        (
            "texts",
            {"text": ["x", "x"], "embedding": GOOD},
            "1 of 2 rows have a text .* row 0 first",
        ),
        ("images", {"id": ["a", "b"], "embedding": [[1.0, NAN, 0], [0.0, 1, 0]]}, "1 of 2 .* not"),
        ("images", {"id": ["a", "b"], "embedding": [[0.0, 1, 0], [INF, 0, 0]]}, "row 1 first"),
        ("images", {"id": ["a", "b"], "embedding": [[0.0, 0, 0], [0.0, 1, 0]]}, "that are all 0"),
        ("images", {"id": ["a", "b"], "embedding": [[1.0, 0, 0], [1.0, 0]]}, "2 to 3 .* row 1 is"),
        ("images", {"id": ["a", "b"], "embedding": [[1.0, 0, 0], None]}, "0 to 3 numbers, row 1"),
        ("images", {"id": ["a"], "embedding": [[]]}, "lists of floats|above 0"),
        ("images", {"id": ["a"], "embedding": ["1 2 3"]}, "must be lists of floats, got string"),
        ("images", {"id": ["a"], "embedding": [[1, 2, 3]]}, "must be lists of floats"),
        ("texts", {"text": ["x"], "embedding": [[1.0, 0]]}, "have 2 numbers, those of images"),
        ("regions", {"id": ["a"], "embedding": [[1.0, 0, 0]]}, "no column 'region'"),
        ("regions", {"id": ["a"], "region": [0], "embedding": [[1.0]]}, "regions.parquet have 1"),
        ("about", b'{"trained": []}', "may say name, training_pictures, phrases, got 'trained'"),
        ("about", b'{"training_pictures": "all"}', "'training_pictures' is not"),
        ("about", b"[1]", "got no object"),
        ("about", b"{", "is no JSON"),
    ],
)
def test_a_folder_with_something_wrong_is_refused_in_one_sentence(
    small: Path, file: str, columns: Any, message: str
) -> None:
    path = small / (f"{file}.json" if file == "about" else f"{file}.parquet")
    if columns is None:
        path.unlink()
    elif isinstance(columns, bytes):
        path.write_bytes(columns)
    else:
        write(path, **columns)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_embeddings(small)
    assert "\n" not in str(caught.value)


def test_an_empty_file_of_vectors_is_refused(small: Path) -> None:
    schema = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32()))])
    pq.write_table(schema.empty_table(), small / "images.parquet")
    with pytest.raises(CheckpointError, match="has no row"):
        open_embeddings(small)


def test_bad_vectors_are_never_written(tmp_path: Path) -> None:
    rows = np.array([[1.0, np.nan]], np.float32)
    with pytest.raises(CheckpointError, match="not finite"):
        write_embeddings(tmp_path / "bad", (["a"], rows), (["x"], rows))
    assert list(tmp_path.iterdir()) == []
    good = np.ones((1, 2), np.float32)
    write_embeddings(tmp_path / "good", (["a"], good), (["x"], good))
    with pytest.raises(CheckpointError, match="exists"):
        write_embeddings(tmp_path / "good", (["a"], good), (["x"], good))
