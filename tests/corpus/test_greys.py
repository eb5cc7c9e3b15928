"""Greys are made once, lie beside the corpus and fit views of it."""

from pathlib import Path

import numpy as np
import pytest
from tests.corpus.test_copies import photo
from tests.corpus.test_leaks import record

from regionmed.corpus import greys
from regionmed.corpus.greys import SIDE, grey_of, open_greys
from regionmed.corpus.shards import Corpus, write_corpus


def test_greys_are_the_means_of_cells_whatever_the_shape() -> None:
    wide = photo(1).resize((SIDE * 4, SIDE * 2))
    expected = np.asarray(wide).reshape(SIDE, 2, SIDE, 4).mean((1, 3))
    np.testing.assert_allclose(grey_of(wide), expected, atol=2)  # rounded three times
    np.testing.assert_array_equal(grey_of(wide.convert("RGB")), grey_of(wide))


def test_a_second_look_decodes_nothing_and_a_view_takes_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus([record(f"a/{n}", n, f"s{n}") for n in range(4)], tmp_path / "a", {})
    first = np.array(open_greys(corpus))
    assert [path.suffix for path in (corpus.folder / "cache").iterdir()] == [".npy"]
    monkeypatch.setattr(Corpus, "picture_bytes", None)  # calling it would fail
    np.testing.assert_array_equal(open_greys(corpus), first)
    view = Corpus(corpus.folder, corpus.manifest, corpus._store, np.array([2, 0]))
    np.testing.assert_array_equal(open_greys(view), first[[2, 0]])


def test_a_folder_that_cannot_be_written_is_looked_at_without_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus([record("a/1", 1, "s1")], tmp_path / "a", {})

    def refuse(**_: object) -> tuple[int, str]:
        raise PermissionError

    monkeypatch.setattr(greys.tempfile, "mkstemp", refuse)
    assert open_greys(corpus).std() > 5
    assert list((corpus.folder / "cache").iterdir()) == []
