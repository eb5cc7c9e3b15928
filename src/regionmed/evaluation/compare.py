"""compare: the runs of a plan, one after another, then every arm held against the reference.

Runs are trained and evaluated in turn, the first seed of every arm before the second, and one that
is finished is not run again: a stopped comparison goes on, and several processes share the work
(compare_runs.py). The table is made from the runs that are finished and names those that are not.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.compare_main import main_table
from regionmed.evaluation.compare_page import comparison_html, comparison_markdown, left_out_text
from regionmed.evaluation.compare_plan import Plan, Run
from regionmed.evaluation.compare_result import answers_of
from regionmed.evaluation.compare_runs import Workshop, finish, recipe_of
from regionmed.evaluation.compare_table import Row, comparison_rows, left_out
from regionmed.evaluation.outcomes import Outcomes, read_outcomes
from regionmed.evaluation.score import rounded
from regionmed.evaluation.subject import Scored
from regionmed.progress import Track, silent

TABLE, PAGE, TEXT = "comparison.json", "comparison.html", "comparison.md"
KEY = ("task", "set", "metric", "boxes")
DESCRIBED = ("seed", "model", "weights", "multiply_adds", "steps", "seconds_a_step", "leakage")


@dataclass(frozen=True, slots=True)
class Compared:
    """The rows of the table, none where there was nothing to pair, and the runs still to come."""

    rows: list[Row]
    missing: tuple[str, ...]


def compare(
    plan: Plan,
    corpora: Sequence[Corpus],
    out: Path,
    load: Callable[[str], Scored],
    track: Track = silent,
    *,
    only: Collection[str] = (),
    seeds: Collection[int] = (),
    results: Path | None = None,
    table_only: bool = False,
) -> Compared:
    """Finish the runs that are not finished and write comparison.json, .md and .html into `out`.

    load          makes a model of its name in the plan, or of a run folder
    only, seeds   work on the runs of these arms, of these seeds; all by default. The table holds
                  what other processes finished too.
    results       where finished runs are kept and looked for, OUT/results by default
    table_only    run nothing

    UsageError where `out` or an arm's folder is a file, `only` or `seeds` fit no run, two models
    have the same weights, or all is finished and no arm shares an answered task with the reference.
    Errors of recipes, `load`, training and `evaluate` pass through; recipes are read before any
    work begins.
    """
    results = results or out / "results"
    _need_folders(plan, out, results)
    chosen = _chosen(plan, only, seeds)
    shop = Workshop(plan, corpora, out, results, load, track)
    for run in plan.in_turn():
        if run.trained:
            recipe_of(run)
    _finished(shop)  # what cannot be used is said before hours of work
    for run in chosen:
        if not table_only:
            finish(shop, run)
    finished = _finished(shop)
    missing = tuple(run.name for run in plan.in_turn() if run.name not in finished)
    return Compared(_make_table(shop, finished, missing), missing)


def _finished(shop: Workshop) -> dict[str, dict[str, Any]]:
    """The results that are there, by the runs' names; UsageError where two are of one model."""
    found = {run.name: result for run in shop.plan.in_turn() if (result := shop.result(run))}
    by_weights: dict[str, str] = {}
    for name, result in found.items():
        if (other := by_weights.setdefault(result["weights"], name)) != name:
            raise UsageError(
                f"the results {other} and {name} in {shop.results} are of the same weights; remove "
                "the one that does not belong there and run again"
            )
    return found


def _make_table(
    shop: Workshop, finished: dict[str, dict[str, Any]], missing: tuple[str, ...]
) -> list[Row]:
    """Write the files of the comparison; no row and no file where too little is finished yet."""
    plan, out = shop.plan, shop.out
    arms: dict[str, list[list[Outcomes]]] = {}
    described: dict[str, list[dict[str, Any]]] = {}
    groups: dict[str, list[str]] = {}
    for run in (run for runs in plan.arms.values() for run in runs if run.name in finished):
        result = finished[run.name]
        arms.setdefault(run.arm, []).append(read_outcomes(answers_of(shop.results, run.name)))
        described.setdefault(run.arm, []).append({key: result.get(key) for key in DESCRIBED})
        if run.arm == plan.reference:
            groups = result["groups"]
    rows = comparison_rows(arms, plan.reference, groups)
    left = [dict(zip(KEY, key, strict=True)) for key in left_out(arms, plan.reference)]
    if not rows and missing:
        return []
    if not rows:
        raise UsageError(
            f"nothing is left to compare; {left_out_text(left)}"
            if left
            else f"no arm answered a task that the reference '{plan.reference}' answered too; "
            f"see the scores in {shop.results} for what each was asked"
        )
    table: dict[str, Any] = {
        "split": plan.split,
        "tasks": list(plan.tasks),
        "corpora": [
            {"name": corpus.folder.name, "fingerprint": corpus.fingerprint}
            for corpus in shop.corpora
        ],
        "reference": plan.reference,
        "arms": described,
        "missing": list(missing),
        "main": main_table(rows, plan.reference, plan.show),
        "comparisons": sum(len(row.differences) for row in rows),
        "left_out": left,
        "rows": [row.as_json() for row in rows],
    }
    _write_all(out, _texts(rounded(table)))
    return rows


def _chosen(plan: Plan, only: Collection[str], seeds: Collection[int]) -> list[Run]:
    """The runs that are worked on, in turn; UsageError where an arm or a seed is none of them."""
    if unknown := [arm for arm in only if arm not in plan.arms]:
        raise UsageError(f"'{unknown[0]}' is no arm; choose of {', '.join(plan.arms)}")
    runs = [run for run in plan.in_turn() if not only or run.arm in only]
    if unfit := [seed for seed in seeds if all(run.seed != seed for run in runs)]:
        there = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
        raise UsageError(f"no run has the seed {unfit[0]}; there are {there}")
    return [run for run in runs if not seeds or run.seed in seeds]


def _need_folders(plan: Plan, out: Path, results: Path) -> None:
    """UsageError where a file stands in the place of a folder, before any model is run."""
    if any(path.is_file() for path in (out, *out.parents)):
        raise UsageError(f"--out {out} is a file or lies below one; give a folder for {PAGE}")
    folders = [out / kind for kind in ("arms", "runs", "locks")]
    for path in (results, *results.parents):
        if path.is_file():
            raise UsageError(f"--results {results} is a file or lies below one; give a folder")
    for path in (*folders, *(out / "arms" / run.name for run in plan.in_turn())):
        if path.is_file():
            raise UsageError(
                f"{path} is a file where a folder is needed; move it or give another --out"
            )


def _texts(table: dict[str, Any]) -> dict[str, str]:
    """What each file holds; comparison.json is the table itself."""
    return {
        PAGE: comparison_html(table),
        TEXT: comparison_markdown(table),
        TABLE: json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }


def _write_all(out: Path, texts: dict[str, str]) -> None:
    """All files aside, then into place; the last named is what programs look for."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".comparison-", dir=out) as aside:
        for name, text in texts.items():
            (Path(aside) / name).write_text(text, encoding="utf-8")
        for name in texts:
            os.replace(Path(aside) / name, out / name)
