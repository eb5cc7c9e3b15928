"""Curves as points on a drawing: scores by size, by source of boxes, by number of examples.

Every curve has an axis of named places and a height from 0 to 1. Chance is a dashed line, controls
are the marks of words.py, a band or a bar is the 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regionmed.evaluation.report.verdicts import find
from regionmed.evaluation.report.words import (
    GLYPHS,
    SET_TITLES,
    SOURCE_TITLES,
    TASK_TITLES,
    metric_title,
)
from regionmed.evaluation.score import Score
from regionmed.evaluation.strata import SIZES

WIDTH, HEIGHT = 300, 150  # inside the axes, in units of the drawing
WIDEST_GATE = 2.0  # gates are 0..2, and 1 before training
SHOTS = (1, 4, 16, "all")
LEAST_POINTS = 2  # fewer are no curve
SHOWN_CONTROLS = {
    "region_classification": ("box-only", "whole-picture", "blank"),
    "grounding": ("centre prior", "blank"),
    "linear_probe": ("box-only", "majority"),
}
SERIES = {"mean:all": "circle", "mean:several-labels": "square", "mean:one-label": "triangle"}


@dataclass(frozen=True, slots=True)
class Place:
    """A score on the drawing: x, and the heights of value, low, high and chance."""

    x: float
    y: float
    low: float
    high: float
    chance: float
    score: Score
    controls: tuple[tuple[str, str, float], ...]  # name, mark, height


@dataclass(frozen=True, slots=True)
class Curve:
    """One drawing; `ticks` are (x, word, n) below the axis."""

    id: str
    title: str
    said: str
    ticks: tuple[tuple[float, str, int], ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of the drawing of sources: a mean over sets with boxes of each source."""

    name: str
    mark: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """How far the gates stood open for regions of one size, and where that is drawn."""

    x: float
    size: str
    detail: float  # mean, 0..2
    context: float
    detail_y: float
    context_y: float
    n: int


def gates_by_size(scores: Sequence[Score]) -> list[Gate]:
    """The mean gates of given regions, all sets together; empty where a model has no gates."""
    gates = []
    for column, size in enumerate(SIZES):
        score = find(scores, task="region_classification", metric="macro_accuracy", set="mean:all",
                     stratum=size)  # fmt: skip
        if score is not None and "gates" in score.details:
            detail, context = (
                float(score.details["gates"][name]) for name in ("detail", "context")
            )
            heights = _y(detail / WIDEST_GATE), _y(context / WIDEST_GATE)
            gates.append(Gate(_x(column, len(SIZES)), size, detail, context, *heights, score.n))
    return gates if len(gates) >= LEAST_POINTS else []


def size_curves(scores: Sequence[Score]) -> list[Curve]:
    """Means over sets by size of region, for regions and for places found."""
    wanted = [
        ("region_classification", "macro_accuracy", {}),
        ("grounding", "pointing", {}),
        ("grounding", "miou", {}),
        ("grounding", "ap", {"iou": ".50"}),
    ]
    curves = []
    for task, metric, details in wanted:
        sized = [
            find(scores, task=task, metric=metric, set="mean:all", stratum=size, **details)
            for size in SIZES
        ]
        curve = _curve(f"size-{task}-{metric}", TASK_TITLES[task], metric, SIZES, sized)
        curves += [] if curve is None else [curve]
    return curves


def shot_curves(scores: Sequence[Score]) -> list[Curve]:
    """The linear probe of each set by the number of examples a label."""
    probes = [score for score in scores if score.task == "linear_probe"]
    curves = []
    for name, target in dict.fromkeys((s.set, s.details["target"]) for s in probes):
        by_shots = {
            score.details["shots"]: score
            for score in probes
            if (score.set, score.details["target"]) == (name, target)
        }
        words = tuple(str(shots) for shots in SHOTS)
        found = [by_shots.get(shots) for shots in SHOTS]
        title = f"{name}, {target}"
        curve = _curve(f"shots-{name}-{target}", title, "macro_accuracy", words, found)
        curves += [] if curve is None else [curve]
    return curves


def source_series(scores: Sequence[Score]) -> list[Series]:
    """Region classification from each source of boxes; means over sets, each beside the other."""
    found: list[Series] = []
    for name, mark in SERIES.items():
        places = []
        for column, source in enumerate(SOURCE_TITLES):
            score = find(scores, task="region_classification", metric="macro_accuracy", set=name,
                         boxes=source)  # fmt: skip
            if score is not None:
                x = _x(column, len(SOURCE_TITLES)) + 11 * (len(found) - 1)
                places.append(_place(x, score))
        if len(places) >= LEAST_POINTS and not _repeats(places, found):
            found.append(Series(SET_TITLES[name], mark, tuple(places)))
    return found


def _repeats(places: Sequence[Place], found: Sequence[Series]) -> bool:
    """Whether these very sets are drawn already: a mean over sets that are all of one kind."""
    return any(
        [place.score.details.get("sets") for place in series.places]
        == [place.score.details.get("sets") for place in places]
        for series in found
    )


def _curve(
    name: str, title: str, metric: str, words: Sequence[str], found: Sequence[Score | None]
) -> Curve | None:
    places = [
        _place(_x(column, len(words)), score)
        for column, score in enumerate(found)
        if score is not None
    ]
    if len(places) < LEAST_POINTS:
        return None
    ticks = [
        (_x(column, len(words)), word, score.n if score else 0)
        for column, (word, score) in enumerate(zip(words, found, strict=True))
    ]
    return Curve(name, title, metric_title(metric), tuple(ticks), tuple(places))


def _place(x: float, score: Score) -> Place:
    shown = SHOWN_CONTROLS.get(score.task, ())
    return Place(
        x=x,
        y=_y(score.value),
        low=_y(score.low),
        high=_y(score.high),
        chance=_y(score.chance),
        score=score,
        controls=tuple(
            (name, GLYPHS[name], _y(score.controls[name]))
            for name in shown
            if name in score.controls
        ),
    )


def _x(column: int, columns: int) -> float:
    return round(WIDTH * (column + 0.5) / columns, 1)


def _y(value: float) -> float:
    return round(HEIGHT * (1 - min(max(value, 0.0), 1.0)), 1)
