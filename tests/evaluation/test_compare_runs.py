"""Arms that are trained: two arms of two seeds go the whole way, stop, go on and are shared."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from regionmed.corpus.shards import Corpus
from regionmed.errors import RecipeError, UsageError
from regionmed.evaluation.compare import TABLE, TEXT, Compared, compare
from regionmed.evaluation.compare_plan import Plan, trained
from regionmed.evaluation.compare_result import FORMAT, read_result, seconds_a_step, spoken_source
from regionmed.evaluation.outcomes import read_outcomes
from regionmed.evaluation.stored import open_scored

ARMS = """
from dataclasses import replace
from regionmed.model.config import TINY
from regionmed.training.stages import Recipe, Stage

def recipe(name, regions, trains, losses):
    model = replace(TINY, image_size=96, detail=1, regions=regions)
    stage = Stage(name="only", steps=4, trains=trains, losses=losses)
    return Recipe(name=name, model=model, stages=(stage,), batch_size=4, views=1,
                  checkpoint_every=1)

def pooled():
    return recipe("pooled", "pooled", ("trunk", "heads", "roi"), {"region": 1.0, "ground": 1.0})

def plain():
    return recipe("plain", "none", ("trunk", "heads"), {"global": 1.0})
"""
TASKS = ("regions", "grounding", "prompts")


def plan_of(corpus: Corpus, arms: Path) -> Plan:
    return Plan(
        (corpus.folder,),
        "test",
        {
            "roi": trained("roi", f"{arms}:pooled", 0, 1),
            "plain": trained("plain", f"{arms}:plain", 0, 1),
        },
        "roi",
        TASKS,
        ("squares",),
    )


def run(plan: Plan, corpus: Corpus, out: Path, **chosen: Any) -> Compared:
    return compare(plan, [corpus], out, lambda name: open_scored(name), **chosen)


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two recipes."""
    path = tmp_path_factory.mktemp("arms") / "own.py"
    path.write_text(ARMS)
    return path


@pytest.fixture(scope="module")
def plan(squares: Corpus, arms: Path) -> Plan:
    """Two arms of two seeds each."""
    return plan_of(squares, arms)


@pytest.fixture(scope="module")
def finished(plan: Plan, squares: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that stopped after the first seeds, and then went on."""
    out = tmp_path_factory.mktemp("compared") / "out"
    first = run(plan, squares, out, seeds=[0])
    assert first.missing == ("roi-1", "plain-1")
    assert first.rows
    assert "Not finished yet, so not counted: roi-1, plain-1." in (out / TEXT).read_text("utf-8")
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*-0/**/*") if path.is_file()}
    assert run(plan, squares, out).missing == ()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    return out


def test_all_runs_of_a_plan_end_in_one_table(finished: Path) -> None:
    table = json.loads((finished / TABLE).read_text("utf-8"))
    assert {arm: len(runs) for arm, runs in table["arms"].items()} == {"roi": 2, "plain": 2}
    (column,) = [one for one in table["main"]["columns"] if one["title"] == "regions"]
    for arm, cell in column["cells"].items():
        reports = [finished / "arms" / f"{arm}-{seed}" / "scores.json" for seed in (0, 1)]
        values = [
            score["value"]
            for report in reports
            for score in json.loads(report.read_text("utf-8"))
            if (score["set"], score["stratum"], score["metric"], score.get("boxes"))
            == ("squares", "all", "macro_accuracy", "given")
            and score["task"] == "region_classification"
        ]
        assert cell["seeds"] == pytest.approx(values, abs=1e-6)
    assert {row["task"] for row in table["rows"]} == {
        "region_classification",
        "prompt_classification",
    }


def test_a_result_says_what_it_was_made_from_and_no_path(finished: Path, arms: Path) -> None:
    result = json.loads((finished / "results" / "roi-1.json").read_text("utf-8"))
    assert (result["format"], result["arm"], result["seed"]) == (FORMAT, "roi", 1)
    assert (result["recipe"]["name"], result["recipe"]["seed"]) == ("pooled", 1)
    assert result["model"] == "recipe own.py:pooled, seed 1"
    made = json.loads((finished / "runs" / "roi-1" / "model" / "model.json").read_text("utf-8"))
    assert result["weights"] == made["fingerprint"]
    costs = result["multiply_adds"]
    assert costs["picture"] < costs["picture and 8 regions"] < 2 * costs["picture"]
    assert 0 < result["seconds_a_step"] < 60
    text = (finished / "results" / "roi-1.json").read_text("utf-8")
    assert str(arms.parent) not in text
    assert str(finished) not in text
    assert {row["task"] for row in result["scores"]} == {
        "region_classification",
        "grounding",
        "prompt_classification",
    }
    assert all(
        {"value", "low", "high", "n", "chance", "controls"} <= set(row) for row in result["scores"]
    )
    regions = next(row for row in result["scores"] if row["task"] == "region_classification")
    assert {"box-only", "blank", "marker", "whole-picture"} <= set(regions["controls"])


def test_a_table_is_made_again_from_what_is_finished_without_running_anything(
    plan: Plan, squares: Corpus, finished: Path, tmp_path: Path
) -> None:
    before = (finished / TABLE).read_bytes()
    (finished / TABLE).unlink()
    refuse = compare(plan, [squares], finished, {}.__getitem__, table_only=True)
    assert refuse.missing == ()
    assert (finished / TABLE).read_bytes() == before
    elsewhere = tmp_path / "elsewhere"
    run(plan, squares, elsewhere, results=finished / "results")  # the runs' folders are not there
    assert (elsewhere / TABLE).read_bytes() == before
    assert not (elsewhere / "runs").exists()
    nothing = run(plan, squares, tmp_path / "new", table_only=True)
    assert nothing.rows == []
    assert nothing.missing == ("roi-0", "plain-0", "roi-1", "plain-1")


def test_a_run_that_another_process_holds_is_left_to_it(
    plan: Plan, squares: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks" / "plain-0.lock"):
        compared = run(plan, squares, tmp_path, seeds=[0], only=["plain"])
    assert "plain-0" in compared.missing
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("table_only", [True, False])
def test_a_result_of_another_comparison_is_neither_counted_nor_written_over(
    plan: Plan, squares: Corpus, finished: Path, table_only: bool
) -> None:
    kept = {path: path.read_bytes() for path in (finished / "results").glob("*.*")}
    source = plan.arms["plain"][0].source
    for other, differs in (
        (replace(plan, tasks=("regions",)), "tasks differ"),
        (
            replace(plan, arms={**plan.arms, "roi": trained("roi", source, 0, 1)}),
            "model and recipe",
        ),
    ):
        with pytest.raises(UsageError, match=f"roi-0.json is of another comparison: its {differs}"):
            run(other, squares, finished, table_only=table_only)
    assert {path: path.read_bytes() for path in kept} == kept


def test_answers_of_another_run_are_not_counted(
    plan: Plan, squares: Corpus, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "results", tmp_path / "kept")
    shutil.copy(tmp_path / "kept" / "plain-1.parquet", tmp_path / "kept" / "roi-1.parquet")
    with pytest.raises(
        UsageError, match=r"roi-1\.parquet is not what roi-1\.json was written with"
    ):
        run(plan, squares, tmp_path / "out", results=tmp_path / "kept", table_only=True)


def test_kept_answers_name_no_picture_and_hold_no_text(finished: Path) -> None:
    for kept in read_outcomes(finished / "results" / "roi-0.parquet"):
        names = (*kept.items, *kept.groups)
        assert all(re.fullmatch("[0-9a-f]{12}", name) for name in names)


def test_a_recipe_that_is_not_there_is_said_before_any_work(
    plan: Plan, squares: Corpus, tmp_path: Path
) -> None:
    wrong = replace(plan, arms={**plan.arms, "zoom": trained("zoom", "zooom", 0)})
    with pytest.raises(RecipeError, match="no recipe 'zooom'"):
        run(wrong, squares, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_begun_by_another_recipe_is_not_taken_for_this_one(
    plan: Plan, squares: Corpus, finished: Path, tmp_path: Path
) -> None:
    source = plan.arms["plain"][0].source
    other = replace(plan, arms={**plan.arms, "roi": trained("roi", source, 0, 1)})
    with pytest.raises(RecipeError, match="roi-0"):
        run(other, squares, finished, only=["roi"], results=tmp_path)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [({"only": ["pooled"]}, "'pooled' is no arm; choose of roi, plain"),
     ({"seeds": [2]}, "no run has the seed 2; there are 0, 1")],
)  # fmt: skip
def test_a_choice_that_fits_no_run_is_refused(
    plan: Plan, squares: Corpus, tmp_path: Path, chosen: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run(plan, squares, tmp_path, **chosen)


def test_a_comparison_that_was_killed_in_training_goes_on(
    squares: Corpus, arms: Path, finished: Path, tmp_path: Path
) -> None:
    """The killed process is a real one; what comes out has the weights of the undisturbed run."""
    file = tmp_path / "plan.yaml"
    file.write_text(
        f"corpora: [{squares.folder}]\ntasks: [regions, grounding, prompts]\nreference: roi\n"
        f"show: [squares]\narms:\n  roi: {{recipe: '{arms}:pooled', seeds: 2}}\n"
        f"  plain: {{recipe: '{arms}:plain', seeds: 2}}\n"
    )
    out = tmp_path / "out"
    program = "from regionmed.cli.main import main; main()"
    command = [sys.executable, "-c", program, "compare", str(file), "--out", str(out)]
    checkpoint = out / "runs" / "roi-0" / "checkpoints" / "latest.json"
    with subprocess.Popen(command, env=os.environ | {"HF_HUB_OFFLINE": "1"}) as process:
        deadline = time.monotonic() + 120
        while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert checkpoint.is_file()
    assert not list((out / "results").glob("*.json"))
    plan = plan_of(squares, arms)
    run(plan, squares, out, only=["roi"], seeds=[0])
    again, undisturbed = (
        read_result(folder / "results" / "roi-0.json") for folder in (out, finished)
    )
    assert again is not None
    assert undisturbed is not None
    assert again["weights"] == undisturbed["weights"]
    assert again["scores"] == undisturbed["scores"]


def test_seconds_a_step_are_medians_weighed_by_the_steps_of_each_stage(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    seconds = {"global": [1.0, 1.0, 40.0], "joint": [2.0]}
    lines = [
        json.dumps({"step": 0, "stage": stage, "seconds": value})
        for stage, values in seconds.items()
        for value in values
    ]
    journal.write_text("\n".join(lines) + "\n")
    assert seconds_a_step(journal) == pytest.approx((3 * 1.0 + 1 * 2.0) / 4)
    assert seconds_a_step(tmp_path / "none.jsonl") is None


def test_a_damaged_result_is_refused_and_sources_lose_their_folder(tmp_path: Path) -> None:
    (tmp_path / "roi-0.json").write_text("{")
    assert read_result(tmp_path / "roi-0.json") is None  # its answers are not there
    (tmp_path / "roi-0.parquet").touch()
    with pytest.raises(UsageError, match="is not a result that"):
        read_result(tmp_path / "roi-0.json")
    (run_of,) = trained("ours", "/home/someone/mine.py:arm", 7)
    assert spoken_source(run_of) == "recipe mine.py:arm, seed 7"
