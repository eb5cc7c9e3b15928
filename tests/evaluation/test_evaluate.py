"""The whole way: a corpus and a model in, scores.json and report.html out, the same every time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from typer.testing import CliRunner

from regionmed.cli.main import app
from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.evaluate import evaluate
from regionmed.model.region_clip import RegionClip

REGIONS = {
    "task": "region_classification",
    "set": "squares",
    "stratum": "all",
    "boxes": "given",
}


@pytest.fixture(scope="module")
def evaluated(
    squares: Corpus, untrained: RegionClip, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of one evaluation."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    evaluate(untrained, [squares], out)
    return out


@pytest.fixture(scope="module")
def rows(evaluated: Path) -> list[dict[str, Any]]:
    """scores.json as objects."""
    found: list[dict[str, Any]] = json.loads((evaluated / "scores.json").read_text("utf-8"))
    return found


def only(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (found,) = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
    return found


def test_every_task_is_scored_with_interval_and_chance(rows: list[dict[str, Any]]) -> None:
    tasks = {row["task"] for row in rows}
    assert tasks == {
        "region_classification",
        "grounding",
        "retrieval",
        "prompt_classification",
        "vqa",
        "vqa_ranking",
        "region_retrieval",
        "linear_probe",
        "probe",
    }
    for row in rows:
        assert row["split"] == "test"
        if row["metric"] == "cnr":  # contrast to noise is no share
            continue
        assert 0 <= row["low"] <= row["value"] + 1e-9
        assert row["value"] <= row["high"] + 1e-9
        assert row["high"] <= 1
        assert 0 <= row["chance"] <= 1


def test_a_picture_that_was_trained_on_is_dropped_and_said(rows: list[dict[str, Any]]) -> None:
    row = only(rows, **REGIONS, metric="accuracy")
    assert row["n"] == 23
    assert row["leakage"].startswith("1 of 24 pictures were trained on")


def test_place_alone_answers_here_and_the_control_says_so(rows: list[dict[str, Any]]) -> None:
    row = only(rows, **REGIONS, metric="macro_accuracy")
    assert row["controls"]["box-only"] == 1
    assert row["controls"]["majority"] == 0.5
    assert set(row["controls"]) == {
        "majority", "box-only", "blank", "context-free", "marker", "wrong-region", "whole-picture"
    }  # fmt: skip
    assert row["differences"]["box-only"]["value"] == pytest.approx(row["value"] - 1)


def test_the_mean_over_one_set_is_that_set_in_its_group(rows: list[dict[str, Any]]) -> None:
    chosen = {"task": "region_classification", "metric": "macro_accuracy", "stratum": "all"}
    values = {row["set"]: (row["value"], row["low"], row["high"]) for row in rows
              if all(row[key] == value for key, value in chosen.items())}  # fmt: skip
    assert set(values) == {"squares", "mean:all", "mean:one-label"}
    assert len(set(values.values())) == 1


def test_a_random_map_earns_the_area_share(rows: list[dict[str, Any]]) -> None:
    row = only(rows, task="grounding", set="squares", metric="pointing", stratum="all")
    assert row["chance"] == pytest.approx(400 / (96 * 64), abs=0.03)
    assert row["controls"]["random map"] == row["chance"]


def test_question_only_cannot_know_how_a_square_is(rows: list[dict[str, Any]]) -> None:
    closed = only(rows, task="vqa", stratum="closed")
    assert (closed["value"], closed["controls"]["question-only"], closed["chance"]) == (1, 1, 1)
    opened = only(rows, task="vqa", stratum="open")
    assert opened["controls"]["question-only"] <= 13 / 23
    assert opened["chance"] == 0.5


def test_prompts_seen_in_training_are_counted(rows: list[dict[str, Any]]) -> None:
    row = only(rows, task="prompt_classification", metric="macro_accuracy")
    assert (row["prompts_in_training"], row["labels"]) == (1, ["bright", "dark"])


def test_both_directions_of_retrieval_state_their_gallery(rows: list[dict[str, Any]]) -> None:
    for direction in ("image to text", "text to image"):
        row = only(rows, task="retrieval", metric="recall@5", direction=direction)
        assert (row["gallery"], row["n"]) == (23, 23)
        assert row["chance"] == pytest.approx(5 / 23, abs=1e-6)


def test_the_same_settings_give_the_same_bytes(
    squares: Corpus, untrained: RegionClip, evaluated: Path, tmp_path: Path
) -> None:
    evaluate(untrained, [squares], tmp_path)
    for name in ("scores.json", "report.html", "report.md"):
        assert (tmp_path / name).read_bytes() == (evaluated / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answers.parquet",
        "report.html",
        "report.md",
        "scores.json",
    ]


def test_the_report_loads_nothing_and_shows_every_whole_set_score(
    evaluated: Path, rows: list[dict[str, Any]]
) -> None:
    html = (evaluated / "report.html").read_text("utf-8")
    page = BeautifulSoup(html, "html.parser")
    for tag in page.find_all(["image", "img", "link", "script", "iframe"]):
        assert tag.name == "image"
        assert str(tag["href"]).startswith("data:image/jpeg;base64,")
    assert not re.search(r"url\(|https?://", html)
    assert "Not for clinical use" in page.get_text()
    summary = page.select_one("#summary ~ .wide table")
    assert summary is not None
    shown = summary.get_text()
    moved = ("jitter-10", "jitter-20", "jitter-40", "predicted", "random")
    whole = [row for row in rows if row["stratum"] == "all" and row.get("shots", "all") == "all"]
    for row in whole:
        given = row["boxes"] == "given" if row["task"] == "region_classification" else True
        if given and row["metric"] in ("macro_accuracy", "pointing", "recall@5"):
            assert f"{row['value']:.3f}" in shown
    boxes = page.select_one("#boxes ~ .wide table")
    assert boxes is not None
    for row in whole:
        if (row["boxes"] in moved and row["metric"] == "macro_accuracy"
                and row["set"] == "mean:all"):  # fmt: skip
            assert f"{row['value']:.3f}" in boxes.get_text()
    assert str(evaluated) not in html


def test_boxes_are_drawn_in_file_pixels(evaluated: Path) -> None:
    page = BeautifulSoup((evaluated / "report.html").read_text("utf-8"), "html.parser")
    drawn = [svg for svg in page.select("svg.picture") if svg.select("rect.over")]
    assert drawn
    for svg in drawn:
        assert svg["viewbox"] == "0 0 96 64"
        box = svg.select_one("rect.over")
        assert box is not None
        assert (float(box["width"]), float(box["height"])) == (20, 20)  # type: ignore[arg-type]


def test_a_file_is_refused_as_out_before_any_work(
    squares: Corpus, untrained: RegionClip, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("kept")
    with pytest.raises(UsageError, match="is a file"):
        evaluate(untrained, [squares], tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "kept"


def test_a_set_given_twice_and_a_split_that_is_none_are_refused(
    squares: Corpus, untrained: RegionClip, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="two of the corpora"):
        evaluate(untrained, [squares, squares], tmp_path)
    with pytest.raises(UsageError, match="no split"):
        evaluate(untrained, [squares], tmp_path, split="exam")
    assert not list(tmp_path.iterdir())


def test_help_needs_no_torch_and_names_the_outputs() -> None:
    told = CliRunner().invoke(app, ["evaluate", "--help"]).output
    assert "--corpus" in told
    assert "scores.json" in told
