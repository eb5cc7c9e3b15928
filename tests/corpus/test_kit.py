"""The proof of the readers: twelve public sets, built by the command line, equal the manifest.

The reference was made by independent parsers and checked by eye (../shared/data/README.md).
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from regionmed.cli.corpus import app
from regionmed.corpus.known import Completion, find_known
from regionmed.corpus.readers import READERS
from regionmed.corpus.readers.recognise import recognise
from regionmed.corpus.readers.source import Source, open_source
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.errors import CorpusError
from regionmed.record import Record, Region, as_row

READ_AS = {
    "bccd": "voc",
    "bone_fracture_yolo": "yolo",
    "brain_tumor2_coco": "coco",
    "busi": "masks",
    "chula_rbc12": "points",
    "covid_cxr_seg": "boxes",
    "fuseg_wounds": "masks",
    "kvasir_seg": "masks",
    "medpix2": "texts",
    "tbx11k_tb": "yolo",
    "vqa_rad": "texts",
    "wbc_seg": "masks",
}
SETS = tuple(READ_AS)
TOLERANCE = 0.002
Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def reference(kit: Path) -> dict[str, Rows]:
    """Set -> picture -> row of the reference manifest."""
    rows: dict[str, Rows] = defaultdict(dict)
    with (kit / "reference_manifest.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            rows[row["set"]][row["image"]] = row
    return rows


@pytest.fixture(scope="session")
def built(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One corpus of the twelve sets, split by the manifest."""
    out = tmp_path_factory.mktemp("corpora") / "kit"
    tars = [str(kit / f"{name}.tar") for name in SETS]
    splits = str(kit / "reference_manifest.jsonl")
    options = ["--format", "tbx11k_tb=yolo", "--splits", splits, "--out", str(out)]
    result = CliRunner().invoke(app, ["build", *tars, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for name, format in READ_AS.items():
        assert f"{name}: read as {format}" in result.output
    return out


@pytest.fixture(scope="session")
def rows(built: Path) -> dict[str, Rows]:
    """Set -> picture -> row that `corpus rows` writes."""
    out = built.parent / "rows.jsonl"
    result = CliRunner().invoke(
        app, ["rows", str(built), "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    found: dict[str, Rows] = defaultdict(dict)
    for line in out.read_text("utf-8").splitlines():
        row = json.loads(line)
        assert row["image"] not in found[row["set"]]
        found[row["set"]][row["image"]] = row
    return found


def folded(value: Any) -> Any:
    """The value with white space folded in all its texts."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return [folded(entry) for entry in value]
    if isinstance(value, dict):
        return {key: folded(entry) for key, entry in value.items()}
    return value


def same_region(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether label, shape and mask are equal and no edge is further off than the tolerance."""
    kinds = all(ours[key] == theirs[key] for key in ("label", "shape", "mask"))
    gaps = (abs(a - b) for a, b in zip(ours["box"], theirs["box"], strict=True))
    return kinds and max(gaps) <= TOLERANCE


@pytest.mark.parametrize("name", SETS)
def test_every_usable_row_of_the_manifest_is_read(
    name: str, rows: dict[str, Rows], reference: dict[str, Rows]
) -> None:
    usable = {image for image, row in reference[name].items() if row["exclude"] is None}
    assert usable <= rows[name].keys() <= reference[name].keys()


@pytest.mark.parametrize("name", SETS)
def test_excluded_rows_are_read_with_their_reason_or_in_the_ledger(
    name: str, built: Path, rows: dict[str, Rows], reference: dict[str, Rows]
) -> None:
    ledger = [json.loads(line) for line in (built / "ledger.jsonl").read_text().splitlines()]
    lost = {line["image"] for line in ledger if line["set"] == name and line["region"] is None}
    for image, row in reference[name].items():
        if row["exclude"] is not None and image not in lost:
            assert rows[name][image]["exclude"] == row["exclude"]


@pytest.mark.parametrize("name", SETS)
def test_rows_equal_the_manifest(
    name: str, rows: dict[str, Rows], reference: dict[str, Rows]
) -> None:
    for image, ours in rows[name].items():
        theirs = reference[name][image]
        assert ours.keys() == theirs.keys()
        for key in theirs.keys() - {"regions"}:
            assert folded(ours[key]) == folded(theirs[key]), f"{image}: {key}"
        assert len(ours["regions"]) == len(theirs["regions"]), image
        pairs = zip(ours["regions"], theirs["regions"], strict=True)
        assert all(same_region(a, b) for a, b in pairs), image


def read_with(source: Source, format: str) -> list[Record]:
    """The records of a known set, without their pixels."""
    known = find_known(source)
    assert known is not None
    completion = Completion(known, source)
    found = READERS[format](source.hinted(known.hints))
    return [completion.complete(entry) for entry in found if isinstance(entry, Record)]


@pytest.mark.parametrize("name", ["dsb2018_nuclei", "lgg_mri_tif"])
def test_sets_of_mask_files_in_other_layouts_are_read_too(
    name: str, kit: Path, reference: dict[str, Rows]
) -> None:
    records = read_with(open_source(kit / f"{name}.tar"), "masks")
    assert {record.image for record in records} == reference[name].keys()
    for record in records:
        ours, theirs = as_row(record), reference[name][record.image or ""]
        assert (ours["modality"], ours["group"]) == (theirs["modality"], theirs["group"])
        pairs = zip(ours["regions"], theirs["regions"], strict=True)
        assert all(same_region(a, b) for a, b in pairs), record.image


def test_tbx11k_says_the_same_in_yolo_and_in_voc(kit: Path) -> None:
    source = open_source(kit / "tbx11k_tb.tar")
    yolo, voc = (
        {record.image: record.regions for record in read_with(source, format)}
        for format in ("yolo", "voc")
    )
    assert yolo.keys() == voc.keys()
    assert sum(len(regions) for regions in yolo.values()) == 781
    for image, regions in yolo.items():
        assert [region.label for region in regions] == [region.label for region in voc[image]]
        for one, other in zip(regions, voc[image], strict=True):
            gaps = (abs(a - b) for a, b in zip(one.box.unit(), other.box.unit(), strict=True))
            assert max(gaps) <= 0.02, image


def test_two_formats_in_one_source_have_to_be_chosen_from(kit: Path) -> None:
    with pytest.raises(CorpusError, match=r"voc and yolo.*--format voc or --format yolo"):
        recognise(open_source(kit / "tbx11k_tb.tar"))


def test_flat_boxes_of_bccd_are_named_in_the_ledger(built: Path) -> None:
    lines = [json.loads(line) for line in (built / "ledger.jsonl").read_text().splitlines()]
    flat = [line for line in lines if line["set"] == "bccd"]
    assert [Path(line["image"]).stem for line in flat] == ["BloodImage_00338", "BloodImage_00343"]
    assert all("no width or no height" in line["reason"] for line in flat)


@pytest.fixture(scope="session")
def corpus(built: Path) -> Corpus:
    """The twelve sets, opened."""
    return open_corpus(built)


@pytest.fixture(scope="session")
def masked(corpus: Corpus) -> dict[str, list[Region]]:
    """Set -> its regions, of two sets with masks."""
    regions: dict[str, list[Region]] = {"kvasir_seg": [], "covid_cxr_seg": []}
    for record in corpus:
        if record.set in regions:
            regions[record.set].extend(record.regions)
    return regions


def test_masks_of_the_shards_fill_their_boxes(masked: dict[str, list[Region]]) -> None:
    regions = masked["kvasir_seg"]
    assert len(regions) == 300
    assert all(region.mask and region.mask.box() == region.box for region in regions)


def test_cropped_masks_lie_where_their_table_puts_them(masked: dict[str, list[Region]]) -> None:
    regions = [region for region in masked["covid_cxr_seg"] if region.mask is not None]
    assert len(regions) == 584  # 602 lines; 14 without a mask file, 2 with an empty one, 2 specks
    near = 0
    for region in regions:
        tight = region.mask.box() if region.mask else None
        assert tight is not None
        gaps = (abs(a - b) for a, b in zip(tight.edges, region.box.edges, strict=True))
        near += max(gaps) < 3
    assert near / len(regions) > 0.95


def test_the_manifest_counts_what_the_shards_hold(corpus: Corpus) -> None:
    sets = corpus.manifest["sets"]
    assert sets["bccd"] == {
        "records": 364, "pictures": 364, "regions": 4886, "captions": 0, "questions": 0, "open": 364
    }  # fmt: skip
    assert sets["vqa_rad"]["questions"] == 3515
    assert corpus.manifest["region_labels"]["bccd"] == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert corpus.manifest["splits"]["bccd"] == {"train": 205, "val": 87, "test": 72}
    assert corpus.phrases["chula_rbc12"]["Burr cell"] == "burr cell (echinocyte)"


def test_a_split_leaves_out_what_is_excluded(corpus: Corpus, reference: dict[str, Rows]) -> None:
    rows = [row for name in SETS for row in reference[name].values()]
    usable = sum(row["split"] == "test" and row["exclude"] is None for row in rows)
    assert len(corpus.split("test")) == usable
