"""compare: every arm of a plan evaluated on the same corpora, then held against the reference.

Each model is evaluated into OUT/arms/NAME-SEED, with its own report; one that was finished there
with the same weights, corpora, split and version is not run again, so a stopped comparison goes on.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.compare_page import comparison_html, comparison_markdown, left_out_text
from regionmed.evaluation.compare_plan import Plan
from regionmed.evaluation.compare_table import Row, comparison_rows, left_out
from regionmed.evaluation.evaluate import SCORES, evaluate
from regionmed.evaluation.outcomes import ANSWERS, Outcomes, read_outcomes
from regionmed.evaluation.part import spoken_name
from regionmed.evaluation.score import rounded
from regionmed.evaluation.subject import Scored
from regionmed.progress import Track, silent

FINISHED = "evaluated.json"  # of an arm's folder, written last
TABLE, PAGE, TEXT = "comparison.json", "comparison.html", "comparison.md"
KEY = ("task", "set", "metric", "boxes")


def compare(
    plan: Plan,
    corpora: Sequence[Corpus],
    out: Path,
    load: Callable[[str], Scored],
    track: Track = silent,
) -> list[Row]:
    """Evaluate what is not evaluated yet and write comparison.json, .md and .html into `out`.

    load  makes a model of its name in the plan. UsageError where `out` or an arm's folder is a
          file, two models have the same weights, or no arm shares an answered task with the
          reference; errors of `load` and `evaluate` pass through.
    """
    _need_folders(plan, out)
    arms: dict[str, list[list[Outcomes]]] = {}
    described: dict[str, list[dict[str, Any]]] = {}
    owner: dict[str, str] = {}  # weights -> the model's name in the plan
    for name, models in plan.arms.items():
        for seed, model in enumerate(models):
            folder = _folder(out, name, seed)
            loaded = load(model)
            weights = loaded.fingerprint
            if weights in owner:
                raise UsageError(
                    f"{owner[weights]} and {model} (arm '{name}') are the same weights under two "
                    "names, which says nothing when compared; name two different models"
                )
            owner[weights] = model
            _evaluate_once(loaded, corpora, plan.split, folder, track)
            arms.setdefault(name, []).append(read_outcomes(folder / ANSWERS))
            described.setdefault(name, []).append(
                {
                    "model": spoken_name(model),
                    "weights": weights,
                    "leakage": _leakage(folder / SCORES),
                }
            )
    rows = comparison_rows(arms, plan.reference)
    left = [dict(zip(KEY, key, strict=True)) for key in left_out(arms, plan.reference)]
    if not rows:
        raise UsageError(
            f"nothing is left to compare; {left_out_text(left)}"
            if left
            else f"no arm answered a task that the reference '{plan.reference}' answered too; "
            f"see {out / 'arms'} for what each was scored on"
        )
    table: dict[str, Any] = {
        "split": plan.split,
        "corpora": [_described(corpus) for corpus in corpora],
        "reference": plan.reference,
        "arms": described,
        "comparisons": sum(len(row.differences) for row in rows),
        "left_out": left,
        "rows": [row.as_json() for row in rows],
    }
    _write_all(out, _texts(rounded(table)))
    return rows


def _folder(out: Path, name: str, seed: int) -> Path:
    return out / "arms" / f"{name}-{seed}"


def _need_folders(plan: Plan, out: Path) -> None:
    """UsageError where a file stands in the place of a folder, before any model is run."""
    if any(path.is_file() for path in (out, *out.parents)):
        raise UsageError(f"--out {out} is a file or lies below one; give a folder for {PAGE}")
    folders = [
        _folder(out, name, i) for name, seeds in plan.arms.items() for i in range(len(seeds))
    ]
    for path in (out / "arms", *folders):
        if path.is_file():
            raise UsageError(
                f"{path} is a file where a folder of reports is needed; move it or give another "
                "--out"
            )


def _evaluate_once(
    model: Scored, corpora: Sequence[Corpus], split: str, folder: Path, track: Track
) -> None:
    """Evaluate a model into a folder, unless it was finished there under the same conditions."""
    conditions = {
        "weights": model.fingerprint,
        "corpora": [corpus.fingerprint for corpus in corpora],
        "split": split,
        "version": version("regionmed"),
    }
    text = json.dumps(conditions, indent=1) + "\n"
    finished = folder / FINISHED
    complete = all((folder / name).is_file() for name in (SCORES, ANSWERS, FINISHED))
    if not complete or finished.read_text("utf-8") != text:
        finished.unlink(missing_ok=True)
        evaluate(model, corpora, folder, split, track)
        _write_all(folder, {FINISHED: text})


def _texts(table: dict[str, Any]) -> dict[str, str]:
    """What each file holds; comparison.json is the table itself."""
    return {
        PAGE: comparison_html(table),
        TEXT: comparison_markdown(table),
        TABLE: json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }


def _described(corpus: Corpus) -> dict[str, str]:
    return {"name": corpus.folder.name, "fingerprint": corpus.fingerprint}


def _leakage(path: Path) -> list[str]:
    """What scores.json says of leakage: each remark once, with its sets."""
    try:
        scores = json.loads(path.read_text("utf-8"))
        remarks: dict[str, list[str]] = {}
        for score in scores:
            if not score["set"].startswith("mean:"):
                remarks.setdefault(score["leakage"], []).append(score["set"])
    except (OSError, ValueError, TypeError, KeyError):
        raise UsageError(
            f"{path} is not one that `regionmed evaluate` wrote; remove its folder and run again"
        ) from None
    return [f"{', '.join(dict.fromkeys(sets))}: {remark}" for remark, sets in remarks.items()]


def _write_all(out: Path, texts: dict[str, str]) -> None:
    """All files aside, then into place; the last named is what programs look for."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".comparison-", dir=out) as aside:
        for name, text in texts.items():
            (Path(aside) / name).write_text(text, encoding="utf-8")
        for name in texts:
            os.replace(Path(aside) / name, out / name)
