"""The corpus commands as a person runs them: exit status, one line, files complete or absent."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def regionmed(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-c", "from regionmed.cli.main import main; main()"]
    return subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Ten pictures of 60 x 40 px with a table of boxes."""
    folder = tmp_path / "films"
    folder.mkdir()
    lines = ["image,label,xmin,ymin,xmax,ymax"]
    for number in range(10):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((60, 40)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,nodule,10,8,30,24")
    (folder / "boxes.csv").write_text("\n".join(lines))
    return folder


def test_build_rows_report_and_leaks_work_one_after_the_other(films: Path, tmp_path: Path):
    out = tmp_path / "corpus"
    built = regionmed("corpus", "build", films, "--out", out)
    assert built.returncode == 0, built.stderr
    assert "films: read as boxes: 10 pictures, 10 regions" in built.stdout
    assert regionmed("corpus", "rows", out, "--out", tmp_path / "rows.jsonl").returncode == 0
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 10
    assert rows[0]["regions"] == [
        {"label": "nodule", "box": [0.166667, 0.2, 0.5, 0.6], "mask": None, "shape": "box"}
    ]
    report = regionmed("corpus", "report", out)
    assert report.returncode == 0, report.stderr
    assert "films" in report.stdout
    assert (out / "contact-sheet.html").is_file()
    leaks = regionmed("corpus", "leaks", f"{out}:train", f"{out}:test")
    assert (leaks.returncode, leaks.stdout.strip()) == (0, "0 exact and 0 near duplicates")
    pairs = tmp_path / "pairs.jsonl"
    assert "0 exact" in regionmed("corpus", "leaks", out, out, "--out", pairs).stdout
    assert pairs.read_text() == ""


def test_a_mistake_is_one_line_and_exit_status_1(films: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    table = films / "boxes.csv"
    table.write_text(table.read_text().replace("10,8,30,24", "30,24,20,16"))
    result = regionmed("corpus", "build", films, "--out", tmp_path / "corpus")
    assert result.returncode == 1
    assert result.stdout == "films: read as boxes\n"
    (line,) = result.stderr.splitlines()  # found while reading, after the bar would have begun
    assert line.startswith("CorpusError: films: 10 of 10 boxes end before they begin")
    assert sorted(tmp_path.rglob("*")) == before


def test_misuse_is_exit_status_2(films: Path, tmp_path: Path):
    assert regionmed("corpus", "build", films).returncode == 2
    twice = ("--format", "boxes", "--format", "coco")
    assert regionmed("corpus", "build", films, *twice, "--out", tmp_path / "x").returncode == 2
    bad = regionmed("corpus", "build", films, "--out", tmp_path / "x", "--outside", "keep")
    assert bad.returncode == 2


def test_rows_go_to_a_file_in_a_folder_that_exists(films: Path, tmp_path: Path):
    out = tmp_path / "corpus"
    assert regionmed("corpus", "build", films, "--out", out).stderr == ""
    before = sorted(tmp_path.rglob("*"))
    for place in (films, tmp_path / "none" / "rows.jsonl", films / "boxes.csv" / "rows.jsonl"):
        result = regionmed("corpus", "rows", out, "--out", place)
        (line,) = result.stderr.splitlines()
        assert (result.returncode, line.startswith("CorpusError: --out")) == (1, True)
    assert sorted(tmp_path.rglob("*")) == before
