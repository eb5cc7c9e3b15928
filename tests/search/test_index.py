"""An index folder: what goes in, what stays out, and what is refused."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regionmed
from regionmed.errors import CorpusError, StaleIndexError, UsageError
from regionmed.model.region_clip import RegionClip
from regionmed.search.build import build_index
from regionmed.search.index import open_index


def test_every_picture_and_region_is_one_entry_and_excluded_records_are_none(
    shapes_index: Path,
) -> None:
    index = open_index(shapes_index)
    pictures = [entry.record for entry in index.entries if entry.region is None]
    assert pictures == [f"shapes/{number}.png" for number in range(4)]
    assert len(index.entries) == 4 + 8
    assert {key: index.manifest[key] for key in ("pictures", "regions")} == {
        "pictures": 4,
        "regions": 8,
    }


def test_an_entry_keeps_its_record_label_and_box_in_file_pixels(shapes_index: Path) -> None:
    entry = open_index(shapes_index).entries[4]  # picture, disc, square, picture, disc
    assert (entry.record, entry.region, entry.label) == ("shapes/1.png", 0, "disc")
    assert entry.box is not None
    assert entry.box.edges == (18, 12, 58, 52)
    assert (entry.frame.width, entry.frame.height) == (160, 120)
    assert (entry.phrase, entry.split, entry.picture) == ("round disc", "train", 3)


def test_vectors_have_length_one_and_a_row_each(shapes_index: Path) -> None:
    index = open_index(shapes_index)
    assert index.entries_NE.shape == (12, 256)
    assert index.sentences_SE.shape == (len(index.sentences), 256)
    lengths = np.linalg.norm(np.concatenate([index.entries_NE, index.sentences_SE]), axis=1)
    assert np.allclose(lengths, 1, atol=1e-5)


def test_sentences_are_the_models_phrases_then_the_corpus_texts_each_once(
    shapes_index: Path,
) -> None:
    assert open_index(shapes_index).sentences == (
        "a disc",
        "a square",
        "a nodule",
        "picture showing a disc and a square",
        "round disc",
        "square",
        "square block",
    )


def test_thumbnails_show_without_the_corpus(shapes_index: Path) -> None:
    index = open_index(shapes_index)
    whole = Image.open(io.BytesIO(index.thumbnail(0)))
    disc = Image.open(io.BytesIO(index.thumbnail(1)))
    assert (whole.size, disc.size) == ((160, 120), (80, 80))  # small ones are not blown up
    red, _, _ = disc.getpixel((30, 32))  # the view starts at 0, 0 and the disc's centre is 30, 32
    assert red > 180


def test_another_checkpoint_is_refused_in_one_sentence(
    shapes_index: Path, untrained_model: RegionClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untrained_model, "fingerprint", "f" * 64)
    with pytest.raises(StaleIndexError, match="ffffffffffff; give the checkpoint it was made with"):
        open_index(shapes_index).check_model(untrained_model)


def test_an_index_remembers_its_checkpoint_even_when_both_are_moved(
    shapes_corpus: Path, untrained_model: RegionClip, tmp_path: Path
) -> None:
    run, there = tmp_path / "here" / "run", tmp_path / "there"
    run.mkdir(parents=True)
    corpus = regionmed.open_corpus(shapes_corpus)
    build_index(untrained_model, [corpus], tmp_path / "here" / "index", source=str(run))
    (tmp_path / "here").rename(there)
    assert Path(open_index(there / "index").model_path) == there / "run"


def test_a_folder_that_holds_something_else_is_left_as_it_is(
    shapes_corpus: Path, untrained_model: RegionClip, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    corpus = regionmed.open_corpus(shapes_corpus)
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="no index"):
            build_index(untrained_model, [corpus], out, source="run")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_nothing_half_written_stays_where_no_picture_can_be_indexed(
    shapes_corpus: Path, untrained_model: RegionClip, tmp_path: Path
) -> None:
    empty = regionmed.open_corpus(shapes_corpus).split("val")
    with pytest.raises(CorpusError, match="no picture to index"):
        build_index(untrained_model, [empty], tmp_path / "index", source="run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("manifest", [None, "not JSON", json.dumps({"format": "a corpus"})])
def test_a_folder_that_is_no_finished_index_is_named_so(
    tmp_path: Path, manifest: str | None
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(UsageError, match="not a finished index"):
        open_index(tmp_path)
