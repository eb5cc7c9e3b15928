"""The pages keep their word: every command, public name and field has its line, links lead on."""

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

import regionmed
from regionmed.corpus.readers import READERS
from regionmed.evaluation.score import Conditions, Score
from regionmed.geometry import Frame
from regionmed.model.config import ModelConfig
from regionmed.model.region_clip import RegionClip
from regionmed.recipes import Recipe
from regionmed.record import Provenance, Record, as_row
from regionmed.training.stages import Stage

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def page(name: str) -> str:
    """A page below docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(markdown: str) -> Iterator[tuple[str, str, str]]:
    """Language, content and the text before each fenced block of a page."""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", markdown, flags=re.MULTILINE | re.DOTALL)
    yield from zip(parts[1::3], parts[2::3], parts[0::3], strict=False)


def run(command: list[str], folder: Path) -> str:
    """Standard output of a command that has to succeed, with this environment's programs."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def answer_of_served_page(command: str, folder: Path) -> str:
    """What `/health` says while a `regionmed serve` of the tour runs; any free port will do."""
    program = Path(sys.executable).parent / "regionmed"
    words = [str(program), *shlex.split(command)[1:], "--port", "0"]
    server = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
            return str(answer.read(), "utf-8")
    finally:
        server.terminate()
        server.wait(timeout=30)


def shape_of(text: str) -> set[str]:
    """The lines of an output with numbers, checksums and spaces made equal."""
    return {
        re.sub(r"\s+", " ", re.sub(r"\b[0-9a-f]{12}\b|[\d.,]*\d", "#", line)).strip()
        for line in text.splitlines()
    }


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """The folder in which every block of the tour was run, in order."""
    folder = tmp_path_factory.mktemp("tour")
    printed = ""
    for language, content, before in blocks(page("tour.md")):
        saved = re.search(r"save as\s+`([\w.]+)`:\s*$", before)
        if saved:
            (folder / saved[1]).write_text(content, encoding="utf-8")
        elif content.startswith("regionmed serve"):
            assert answer_of_served_page(content, folder) == '{"ok":true}'
        elif language == "bash":
            printed = run(["bash", "-euo", "pipefail", "-c", content], folder)
        elif language == "python":
            printed = run([sys.executable, "-c", content], folder)
        elif language == "output":
            assert shape_of(content) <= shape_of(printed), printed
    return folder


def first_cells(markdown: str) -> set[str]:
    """The names in backticks that stand in the first column of a page's tables."""
    rows = [line.split("|")[1] for line in markdown.splitlines() if line.startswith("|")]
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}


def test_what_is_read_off_the_code_is_as_the_code_is_today():
    spec = importlib.util.spec_from_file_location("write_reference", DOCS / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    old = [name for name, written in writer.PAGES.items() if page(name) != written()]
    assert old == [], "the code changed: run `python docs/write_reference.py`"


def test_every_public_name_of_the_package_has_its_heading():
    headings = re.findall(r"^#+ .*", page("reference/python.md"), re.MULTILINE)
    for name in regionmed.__all__:
        assert any(f"regionmed.{name}" in heading for heading in headings), name
    for name in ("encode_image", "encode_regions", "encode_text"):
        assert hasattr(RegionClip, name)
        assert any(f"model.{name}" in heading for heading in headings), name


def test_every_field_of_scores_json_has_its_row():
    conditions = Conditions(model="tiny", weights="0", corpus="0", split="test", leakage="none")
    score = Score(
        task="vqa", set="a", metric="accuracy", value=0.5, low=0.4, high=0.6, n=9, chance=0.5,
        conditions=conditions,
    )  # fmt: skip
    assert score.row().keys() <= first_cells(page("reference/scores.md"))


def test_every_field_of_the_row_format_has_its_row():
    record = Record(
        id="a/b.png", set="a", image="b.png", sha256=None, frame=Frame("file", 1, 1),
        provenance=Provenance("a", "coco"),
    )  # fmt: skip
    assert as_row(record).keys() <= first_cells(page("reference/row-format.md"))


@pytest.mark.parametrize("configured", [Recipe, Stage, ModelConfig])
def test_every_setting_of_a_run_has_its_row(configured):
    fields = {field.name for field in dataclasses.fields(configured)}
    assert fields <= first_cells(page("reference/recipes.md"))


def test_every_library_has_its_reason_and_its_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {re.split(r"[\[<>=]", line)[0] for line in wanted} - {"regionmed"}
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page("explanation/dependencies.md").splitlines()
        if line.startswith("|")
    ]
    explained = {cell for row in cells for cell in row[:2] if all(row[1:])}
    assert names <= explained


def test_the_tour_leads_from_a_coco_folder_to_an_index(tour):
    for path in ("corpora/mine/manifest.json", "corpora/mine/contact-sheet.html",
                 "runs/mine/model/model.json", "reports/mine/report.html",
                 "reports/mine/scores.json", "indexes/mine/manifest.json"):  # fmt: skip
        assert (tour / path).is_file(), path


def test_the_python_page_runs_where_the_tour_has_been(tour):
    python = [
        content
        for language, content, _ in blocks(page("reference/python.md"))
        if language == "python"
    ]
    printed = run([sys.executable, "-c", "\n".join(python)], tour)
    assert "cosines: regions x texts" in printed


def test_every_format_that_is_read_stands_on_the_page_of_formats():
    assert READERS.keys() <= first_cells(page("how-to/own-data.md"))


def test_every_link_between_pages_leads_to_a_file():
    broken = [
        f"{source.relative_to(ROOT)}: {target}"
        for source in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", source.read_text(encoding="utf-8"))
        if not (source.parent / target).exists()
    ]
    assert broken == []
