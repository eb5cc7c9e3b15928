"""What goes into a shard comes out of it, here and in Hugging Face datasets."""

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.corpus.conftest import picture

from regionmed.corpus.rows import from_columns, to_columns
from regionmed.corpus.shards import Corpus, open_corpus, write_corpus
from regionmed.errors import CorpusError
from regionmed.geometry import Box, Frame, Mask, Point
from regionmed.record import (
    FalseTwin,
    Licence,
    Provenance,
    Question,
    Record,
    Region,
    Texts,
)


def full_record(number: int = 0) -> Record:
    """A record in which every field is used; 40 x 30 px."""
    frame = Frame("file", 40, 30)
    pixels = np.zeros((30, 40), dtype=np.bool_)
    pixels[3, 2] = pixels[8, 31] = True  # reaches past its box on purpose
    twin = FalseTwin("size", "a large nodule")
    regions = (
        Region("nodule", Box(1.5, 2, 30, 20.25, frame), "polygon", mask=Mask(pixels, frame),
               mask_path="m/1.png", text="a small nodule", negatives=(twin,), confidence=0.5),
        Region("cell", Point(3, 4, frame).square(), "point", point=Point(3, 4, frame)),
        Region("lung", Box(0, 0, 40, 30, frame), "box", source="model:x"),
    )  # fmt: skip
    return Record(
        f"films/{number}.png",
        "films",
        f"{number}.png",
        "ab" * 32,
        frame,
        Provenance("films.tar", "coco", {"window": [40.0, 80.0]}, synthetic=True),
        modality="ct",
        labels=("nodule", "lung"),
        texts=Texts("A film.", "One.", "Two.", (twin,), {"findings": "x", "exam": None}),
        questions=(Question("q1", "Clear?", "no", "closed"),),
        regions=regions,
        group="p1",
        twins="t1",
        split=("train", "val", "test")[number % 3],
        licence=Licence("CC0", True),
        exclude="too dark" if number == 5 else None,
        picture=picture(40, 30, seed=number),
    )


def same(a: Record, b: Record) -> bool:
    """Equal records, masks by their pixels."""
    masks = [region.mask for region in a.regions], [region.mask for region in b.regions]
    for one, other in zip(*masks, strict=True):
        if (one is None) != (other is None):
            return False
        if one is not None and other is not None and not np.array_equal(one.pixels, other.pixels):
            return False
    bare = [
        replace(record, regions=tuple(replace(region, mask=None) for region in record.regions))
        for record in (a, b)
    ]
    return bare[0] == bare[1]


def test_a_record_comes_back_whole():
    record = full_record()
    cells = to_columns(record)
    assert same(from_columns(cells, cells["masks"]), record)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Fifty full records on disk."""
    content = {"phrases": {"films": {"nodule": "nodule"}}}
    return write_corpus(map(full_record, range(50)), tmp_path / "corpus", content)


def test_records_and_pictures_are_read_in_any_order(corpus: Corpus):
    for index in (49, 0, 17, 16, 15, 3):
        assert same(corpus[index], full_record(index))
        assert corpus.picture_bytes(index) == picture(40, 30, seed=index)
    assert [record.id for record in corpus] == [f"films/{n}.png" for n in range(50)]
    image = corpus.picture(7)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert corpus.phrases == {"films": {"nodule": "nodule"}}


def test_a_split_is_a_view_without_excluded_records(corpus: Corpus):
    view = corpus.split("test")
    assert [record.id for record in view] == [f"films/{n}.png" for n in range(2, 50, 3) if n != 5]
    assert view.picture_bytes(1) == picture(40, 30, seed=8)
    assert view.fingerprint == corpus.fingerprint
    with pytest.raises(CorpusError, match="split 'dev' is none of train, val, test"):
        corpus.split("dev")


def test_one_set_is_a_view_of_all_its_splits(tmp_path: Path):
    records = [
        replace(full_record(number), set=("films", "scans")[number % 2], id=f"record {number}")
        for number in range(5)
    ]
    corpus = write_corpus(records, tmp_path / "two sets", {})
    assert [record.id for record in corpus.only("scans")] == ["record 1", "record 3"]
    with pytest.raises(CorpusError, match="holds no set 'smears'; it has films, scans"):
        corpus.only("smears")


def test_shards_open_in_hugging_face_datasets_with_pictures(corpus: Corpus, tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    files = [str(path) for path in sorted((corpus.folder / "shards").glob("*.parquet"))]
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(loaded.features["image"], datasets.Image)
    assert len(loaded) == 50
    row = loaded[9]
    assert isinstance(row["image"], Image.Image)
    expected = Image.open(io.BytesIO(picture(40, 30, seed=9)))
    assert np.array_equal(np.asarray(row["image"]), np.asarray(expected))
    assert row["regions"][0]["box"] == [1.5, 2, 30, 20.25]
    assert row["questions"][0]["answer"] == "no"


def test_one_picture_costs_far_less_than_its_shard(corpus: Corpus, tmp_path: Path):
    big = [replace(full_record(n), picture=bytes(100_000)) for n in range(320)]
    opened = write_corpus(big, tmp_path / "big", {})
    opened.picture_bytes(0)
    started = time.perf_counter()
    for index in range(0, 320, 32):
        assert len(opened.picture_bytes(index)) == 100_000
    each = (time.perf_counter() - started) / 10
    assert each < 0.05  # 32 MB of shard would take longer; a row group holds 1.6 MB


def test_a_changed_shard_changes_the_fingerprint(tmp_path: Path):
    records = [full_record(n) for n in range(3)]
    first = write_corpus(records, tmp_path / "a", {})
    again = write_corpus(records, tmp_path / "b", {})
    other = write_corpus([*records[:2], full_record(9)], tmp_path / "c", {})
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_a_folder_that_is_no_corpus_says_so(tmp_path: Path, corpus: Corpus):
    with pytest.raises(CorpusError, match="no finished corpus"):
        open_corpus(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "something else"}')
    with pytest.raises(CorpusError, match="of something else"):
        open_corpus(tmp_path)
    manifest = json.loads((corpus.folder / "manifest.json").read_text())
    (corpus.folder / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(CorpusError, match=r"version 99.*build it again"):
        open_corpus(corpus.folder)


def test_a_lost_or_damaged_shard_says_so(corpus: Corpus):
    (shard,) = (corpus.folder / "shards").glob("*.parquet")
    shard.write_bytes(b"PAR1 damaged")
    with pytest.raises(CorpusError, match="is damaged"):
        open_corpus(corpus.folder)
    shard.unlink()
    with pytest.raises(CorpusError, match="lacks its shard"):
        open_corpus(corpus.folder)
