"""regionmed-tiny: the weights in the package load, are of open pictures, and tell cells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import regionmed
from regionmed.cli.corpus import app
from regionmed.model.checkpoint import SHIPPED, SHIPPED_NAME
from regionmed.model.region_clip import RegionClip

FOLDER = SHIPPED / SHIPPED_NAME
OPEN = {
    "bccd", "brain_tumor2_coco", "busi", "chula_rbc12", "dsb2018_nuclei", "fuseg_wounds",
    "kvasir_seg", "tbx11k_tb", "vqa_rad",
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> RegionClip:
    """The model as the README loads it."""
    return regionmed.load("regionmed-tiny")


def test_the_weights_fit_into_the_package_and_come_from_open_sets_alone(tiny: RegionClip) -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 20 * 2**20
    card = (FOLDER / "card.md").read_text("utf-8")
    assert "Not for clinical use" in card
    assert all(f"| {name} | " in card for name in OPEN)
    assert tiny.training_pictures is not None
    assert tiny.training_pictures


def test_the_weights_tell_the_cells_of_a_smear_apart(
    tiny: RegionClip, kit: Path, tmp_path: Path
) -> None:
    """On split val of bccd, the mean recall over red cells, white cells and platelets."""
    splits = str(kit / "reference_manifest.jsonl")
    options = ["--splits", splits, "--out", str(tmp_path / "bccd")]
    built = CliRunner().invoke(app, ["build", str(kit / "bccd.tar"), *options])
    assert built.exit_code == 0, built.output
    corpus = regionmed.open_corpus(tmp_path / "bccd")
    phrases = corpus.phrases["bccd"]
    texts = tiny.encode_text(list(phrases.values()))
    right: dict[str, list[bool]] = {label: [] for label in phrases}
    rows = [row for row, record in enumerate(corpus) if record.split == "val"]
    for row in rows[:12]:
        regions = corpus[row].regions
        boxes = np.array([region.box.edges for region in regions], np.float32)
        vectors = tiny.encode_regions(corpus.picture(row), boxes)
        answers = np.array(list(phrases))[(vectors @ texts.T).argmax(1)]
        for region, answer in zip(regions, answers, strict=True):
            right[region.label].append(answer == region.label)
    assert np.mean([np.mean(some) for some in right.values()]) > 0.9
