"""Where points, dots and cells come to lie on the drawings; numbers worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.report.calibration import SIDE, region_plots, selective_plots
from regionmed.evaluation.report.confusion import CELL, ROW, confusion
from regionmed.evaluation.report.curves import (
    HEIGHT,
    WIDTH,
    gates_by_size,
    shot_curves,
    size_curves,
    source_series,
)
from regionmed.evaluation.score import Conditions, Score
from regionmed.evaluation.selective import reliability, selective_curve

CONDITIONS = Conditions("model", "weights", "corpus", "test", "none")


def score(**fields: Any) -> Score:
    """A mean over sets of regions, .5 [.25, 1] against chance .2, unless told otherwise."""
    usual: dict[str, Any] = {
        "task": "region_classification", "set": "mean:all", "metric": "macro_accuracy",
        "value": 0.5, "low": 0.25, "high": 1.0, "n": 40, "chance": 0.2, "conditions": CONDITIONS,
    }  # fmt: skip
    return Score(**{**usual, **fields})


def test_a_size_curve_has_a_place_a_size_and_says_where_there_are_too_few() -> None:
    small = score(stratum="small", controls={"box-only": 0.75})
    (curve,) = size_curves([score(), small, score(stratum="large", n=7)])
    assert [place.x for place in curve.places] == [WIDTH * 3 / 8, WIDTH * 7 / 8]
    first = curve.places[0]
    assert (first.y, first.low, first.high) == (HEIGHT / 2, HEIGHT * 3 / 4, 0)
    assert first.chance == HEIGHT * 0.8
    assert first.controls == (("box-only", "□", HEIGHT / 4),)
    assert [(word, n) for _, word, n in curve.ticks] == [
        ("tiny", 0), ("small", 40), ("medium", 0), ("large", 7)
    ]  # fmt: skip


def test_one_size_is_no_curve_and_other_boxes_are_not_mixed_in() -> None:
    predicted = {"boxes": "predicted"}
    assert size_curves([score(stratum="small")]) == []
    assert size_curves([score(stratum=s, details=predicted) for s in ("small", "large")]) == []


def test_gates_are_drawn_from_shut_to_wide_open() -> None:
    scores = [
        score(stratum=size, details={"gates": {"detail": detail, "context": 0.5}})
        for size, detail in (("tiny", 2.0), ("large", 1.0))
    ]
    gates = gates_by_size(scores)
    assert [(gate.size, gate.detail_y, gate.context_y) for gate in gates] == [
        ("tiny", 0.0, HEIGHT * 3 / 4), ("large", HEIGHT / 2, HEIGHT * 3 / 4)
    ]  # fmt: skip
    assert gates_by_size([score(stratum=size) for size in ("tiny", "large")]) == []


def test_shots_stand_in_order_whatever_order_they_come_in() -> None:
    scores = [
        score(task="linear_probe", set="cells", value=value,
              details={"target": "regions", "shots": shots})
        for shots, value in (("all", 0.9), (1, 0.3), (16, 0.7))
    ]  # fmt: skip
    (curve,) = shot_curves(scores)
    assert [place.score.value for place in curve.places] == [0.3, 0.7, 0.9]
    assert [place.x for place in curve.places] == [WIDTH / 8, WIDTH * 5 / 8, WIDTH * 7 / 8]


def test_sources_of_boxes_are_one_line_a_mean_and_none_is_drawn_twice() -> None:
    def sourced(name: str, source: str, sets: list[str]) -> Score:
        return score(set=name, details={"boxes": source, "sets": sets})

    both = [sourced("mean:all", source, ["a", "b"]) for source in ("given", "none")]
    one = [sourced("mean:one-label", source, ["b"]) for source in ("given", "none")]
    series = source_series([*one, *both])
    assert [(line.mark, len(line.places)) for line in series] == [("circle", 2), ("triangle", 2)]
    assert {p.score.details["boxes"] for p in series[0].places} == {"given", "none"}
    alike = [sourced("mean:one-label", source, ["a", "b"]) for source in ("given", "none")]
    assert len(source_series([*alike, *both])) == 1


def test_a_confusion_counts_rows_of_truth_and_columns_of_what_was_said(
    findings: Findings,
) -> None:
    (answers,) = findings.regions
    matrix = confusion(answers)
    said = answers.similarity_RL.argmax(axis=1)
    for cell in matrix.cells:
        row, column = round((cell.y - matrix.top) / ROW), round((cell.x - matrix.left) / CELL)
        rows = answers.asked.truth_R == row
        assert cell.count == (said[rows] == column).sum()
        assert cell.share == pytest.approx(cell.count / rows.sum(), abs=1e-3)
        assert cell.right == (row == column)


def test_a_dot_lies_at_what_was_stated_and_how_often_it_came_true() -> None:
    ece = score(
        set="cells", metric="ece", details={"boxes": "given", "scale_from": "fitted on val"}
    )
    stated, came = np.array([0.9, 0.9, 0.3, 0.3]), np.array([1.0, 0.0, 0.0, 0.0])
    (plot,) = region_plots([reliability("cells", stated, came)], [ece])
    dots = [(dot.x, dot.y, dot.count) for dot in plot.dots]
    assert dots == [(0.3 * SIDE, SIDE, 2), (0.9 * SIDE, SIDE / 2, 2)]
    assert plot.fitted
    assert region_plots([reliability("films", stated, came)], [ece]) == []


def test_declining_the_unsure_ends_at_the_accuracy_of_all() -> None:
    sure, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 1.0, 0.0, 1.0])
    (plot,) = selective_plots([selective_curve("cells", sure, right)])
    assert (plot.at_half, plot.at_all) == (1.0, 0.75)
    assert plot.points.split(" ")[-1] == f"{SIDE:.1f},{SIDE * 0.25:.1f}"
    assert plot.random == round(SIDE * 0.25, 1)
