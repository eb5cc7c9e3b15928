"""The main table: the columns that were answered, seeds and their spread, Holm over it alone."""

from __future__ import annotations

import numpy as np
import pytest

from regionmed.evaluation.compare_main import columns, main_table
from regionmed.evaluation.compare_page import comparison_markdown, costs
from regionmed.evaluation.compare_table import comparison_rows
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.significance import holm

SIZES = ("tiny", "small", "medium", "large")


def answers(skill: float, seed: int, name: str, task: str, metric: str, boxes: str) -> Outcomes:
    luck = np.random.default_rng([seed, *name.encode()]).random(60)
    return Outcomes(
        task=task,
        set=name,
        metric=metric,
        boxes=boxes,
        items=tuple(f"{name}/{i}" for i in range(60)),
        groups=tuple(f"patient {i // 2}" for i in range(60)),
        columns=tuple("ab"[i % 2] for i in range(60)),
        strata=tuple((SIZES[i % 4],) for i in range(60)),
        values_N=(luck < skill).astype(float),
    )


def all_tasks(skill: float, seed: int) -> list[Outcomes]:
    regions = ("region_classification", "macro_accuracy", "given")
    return [
        answers(skill, seed, "chests", *regions),
        answers(skill, seed, "hands", *regions),
        answers(skill, seed, "chests", "grounding", "pointing", "none"),
    ]


ARMS = {
    "roi": [all_tasks(0.8, 1), all_tasks(0.9, 2), all_tasks(0.7, 3)],
    "crop": [all_tasks(0.5, 4), all_tasks(0.55, 5)],
    "alpha": [all_tasks(0.6, 6)],
}


def test_columns_that_nobody_answered_are_not_there_and_shown_sets_are() -> None:
    main = main_table(comparison_rows(ARMS, "roi"), "roi", ["hands", "feet"])
    titles = [column["title"] for column in main["columns"]]
    assert titles == ["regions", "hands", *SIZES, "pointing"]
    assert main["columns"][-1]["set"] == "chests"  # the one set of that task stands for its mean
    assert titles == [one.title for one in columns(["hands"]) if one.title in titles]


def test_a_cell_has_its_seeds_their_spread_and_the_difference_to_the_reference() -> None:
    rows = comparison_rows(ARMS, "roi")
    first = main_table(rows, "roi", ())["columns"][0]["cells"]
    by_hand = [
        np.mean([one.values_N[i::2].mean() for one in outcomes[:2] for i in (0, 1)])
        for outcomes in ARMS["crop"]
    ]
    assert first["crop"]["seeds"] == pytest.approx(by_hand)
    assert first["crop"]["spread"] == pytest.approx(abs(by_hand[0] - by_hand[1]) / 2**0.5)
    assert first["alpha"]["spread"] is None
    assert "difference" not in first["roi"]
    gain = first["crop"]["difference"]
    assert gain["value"] == pytest.approx(first["crop"]["value"] - first["roi"]["value"])


def test_p_values_are_corrected_over_the_main_table_alone() -> None:
    rows = comparison_rows(ARMS, "roi")
    main = main_table(rows, "roi", ())
    found = [
        cell["difference"]
        for column in main["columns"]
        for cell in column["cells"].values()
        if "difference" in cell
    ]
    assert main["comparisons"] == len(found) == 2 * 6
    assert [one["p_holm"] for one in found] == pytest.approx(holm([one["p"] for one in found]))
    whole = sum(len(row.differences) for row in rows)
    assert main["comparisons"] < whole


def test_costs_are_means_over_the_seeds_that_know_them() -> None:
    counts = {"picture": 400, "picture and 8 regions": 500}
    runs = [
        {"multiply_adds": counts, "seconds_a_step": 1.0},
        {"multiply_adds": {**counts, "picture and 8 regions": 700}, "seconds_a_step": 2.0},
        {"multiply_adds": None, "seconds_a_step": None},
    ]
    assert costs(runs) == {"picture": 400, "picture and 8 regions": 600, "seconds": 1.5}
    assert costs(runs[2:])["seconds"] is None


def test_the_markdown_says_which_runs_are_missing() -> None:
    rows = comparison_rows(ARMS, "roi")
    run = {"seed": 0, "model": "m", "weights": "0", "leakage": []}
    table = {
        "split": "val",
        "reference": "roi",
        "arms": {arm: [run] * len(seeds) for arm, seeds in ARMS.items()},
        "main": main_table(rows, "roi", ()),
        "missing": ["crop-2", "alpha-1"],
        "left_out": [],
        "comparisons": 0,
        "rows": [],
    }
    text = comparison_markdown(table)
    assert "Not finished yet, so not counted: crop-2, alpha-1." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| alpha | 1 | ")]
    assert line.endswith("| · | · | · |")
