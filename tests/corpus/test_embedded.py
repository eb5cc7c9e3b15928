"""The demo's sources are real layouts that the ordinary readers read, without a network."""

import hashlib
import json
import socket
from pathlib import Path

import numpy as np
import pytest

from regionmed.corpus.build import build_corpus
from regionmed.corpus.embedded import write_sources
from regionmed.corpus.shards import Corpus
from regionmed.geometry import intersection_over_union

SETS = ("scans", "photographs", "brain", "films", "ultrasound", "smears", "reports")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sources with 24 painted studies, written while no connection can be opened."""
    folder = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _refuse)
        return write_sources(folder, seed=3, studies=24)


def _refuse(*_: object) -> None:
    raise AssertionError("the demo's sources opened a connection")


@pytest.fixture(scope="module")
def corpus(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus that build_corpus makes of them."""
    return build_corpus(sources, tmp_path_factory.mktemp("built") / "corpus")


def test_every_source_is_recognised_and_keeps_its_pictures(corpus: Corpus) -> None:
    counts = {name: entry["pictures"] for name, entry in corpus.manifest["sets"].items()}
    assert list(counts) == [f"demo_{name}" for name in SETS]
    assert (counts["demo_photographs"], counts["demo_films"], counts["demo_reports"]) == (4, 6, 6)
    assert counts["demo_scans"] == 15
    assert counts["demo_brain"] == 75
    assert corpus.manifest["ledger"]["demo_scans"]["pictures"] == 2  # a segmentation, the README


def test_painted_pictures_are_marked_synthetic_and_real_ones_are_not(corpus: Corpus) -> None:
    painted = {record.set for record in corpus if record.provenance.synthetic}
    assert painted == {"demo_films", "demo_ultrasound", "demo_smears", "demo_reports"}
    assert {record.set for record in corpus if not record.provenance.synthetic} == {
        "demo_scans",
        "demo_photographs",
        "demo_brain",
    }


def test_modality_and_licence_are_known_of_every_picture(corpus: Corpus) -> None:
    for record in corpus:
        assert record.licence.name is not None, record.id
        # a nuclear scan and a secondary capture have none of our modalities
        assert record.modality is not None or record.set == "demo_scans", record.id


def test_the_template_is_one_group_and_its_left_lies_on_the_right(corpus: Corpus) -> None:
    slices = [record for record in corpus if record.set == "demo_brain"]
    assert {record.group for record in slices} == {"icbm152"}
    assert len({record.split for record in slices}) == 1
    axial = next(record for record in slices if record.image == "icbm152_axial_090.png")
    boxes = {region.label: region.box for region in axial.regions}
    left, right = boxes["left hemisphere"], boxes["right hemisphere"]
    assert left.centre[0] > axial.frame.width / 2 > right.centre[0]  # type: ignore[union-attr]
    assert left.x0 >= right.x1 - 1


def test_ventricles_are_the_dark_pair_beside_the_midline(corpus: Corpus) -> None:
    number, record = next(
        (n, r) for n, r in enumerate(corpus) if r.image == "icbm152_axial_090.png"
    )
    pixels = np.asarray(corpus.picture(number).convert("L"))
    ventricles = [region for region in record.regions if region.label == "lateral ventricle"]
    white = next(region for region in record.regions if region.label == "white matter")
    assert len(ventricles) >= 2
    assert white.mask is not None
    for ventricle in ventricles:
        assert ventricle.mask is not None
        assert pixels[ventricle.mask.pixels].mean() < pixels[white.mask.pixels].mean() - 50


def test_boxes_of_the_three_layouts_are_those_that_were_painted(
    sources: list[Path], corpus: Corpus
) -> None:
    smears = next(path for path in sources if path.name == "demo_smears")
    coco = json.loads((smears / "instances.json").read_text("utf-8"))
    written = sorted(tuple(float(v) for v in a["bbox"]) for a in coco["annotations"])
    read = sorted(
        (region.box.x0, region.box.y0, region.box.width, region.box.height)
        for record in corpus
        if record.set == "demo_smears"
        for region in record.regions
    )
    assert np.allclose(read, written)
    for record in corpus:
        for region in record.regions:
            if region.mask is not None:
                tight = region.mask.box()
                assert tight is not None
                assert intersection_over_union(tight, region.box) == pytest.approx(1)


def test_captions_and_questions_arrive(corpus: Corpus) -> None:
    films = [record for record in corpus if record.set == "demo_reports"]
    assert all(record.texts.caption for record in films)
    kinds = {question.type for record in films for question in record.questions}
    assert kinds == {"open", "closed"}


def test_equal_seeds_write_equal_files(sources: list[Path], tmp_path: Path) -> None:
    again = write_sources(tmp_path, seed=3, studies=24)
    assert [_digests(path) for path in again] == [_digests(path) for path in sources]


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
