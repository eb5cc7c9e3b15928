"""Whether stated probabilities come true, and what is left when the unsure is declined, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.confidence import stated_and_true
from regionmed.evaluation.report.verdicts import find
from regionmed.evaluation.score import Score
from regionmed.evaluation.selective import Reliability, SelectiveCurve, reliability
from regionmed.evaluation.zero_shot import DENIED, HEADLINE, PromptAnswers

SIDE = 150  # of a drawing inside its axes
SMALLEST, GROWTH = 2.5, 7.0  # radius of a dot: of no answer, and what all answers add


@dataclass(frozen=True, slots=True)
class Dot:
    """The answers of one bin of stated probability, on the drawing."""

    x: float  # mean stated
    y: float  # share that came true
    radius: float  # grows with the number of answers
    stated: float
    came: float
    count: int


@dataclass(frozen=True, slots=True)
class ReliabilityPlot:
    """One set's diagram and its score; `fitted` tells whether the scale was fitted on val."""

    title: str
    dots: tuple[Dot, ...]
    score: Score
    fitted: bool


@dataclass(frozen=True, slots=True)
class SelectivePlot:
    """Accuracy over coverage as points of a polyline, with the best that could be had."""

    title: str
    points: str
    oracle: str
    random: float  # height of the accuracy of all answers
    at_half: float  # accuracy of the surer half
    at_all: float


def prompt_plots(
    answers: Sequence[PromptAnswers], scores: Sequence[Score]
) -> list[ReliabilityPlot]:
    """The diagram of each set whose pictures were named, at the scale that its score used."""
    found = []
    for one in answers:
        score = find(scores, task="prompt_classification", metric="ece", set=one.part.name)
        if score is not None:
            way = one.ways[DENIED if one.several else HEADLINE]
            scale = float(score.details["scale"])
            pair = stated_and_true(way.scores_NL, one.truth_NL, one.several, scale)
            drawn = reliability(one.part.name, *pair)
            found.append(_plot(f"{one.part.name}, whole pictures", drawn, score))
    return found


def region_plots(found: Sequence[Reliability], scores: Sequence[Score]) -> list[ReliabilityPlot]:
    """The same of each set whose regions were named."""
    plots = []
    for one in found:
        score = find(scores, task="region_classification", metric="ece", set=one.set)
        if score is not None:
            plots.append(_plot(f"{one.set}, regions", one, score))
    return plots


def selective_plots(found: Sequence[SelectiveCurve]) -> list[SelectivePlot]:
    """Curves of accuracy over the share of answers that is taken, surest first."""
    return [
        SelectivePlot(
            title=f"{one.set}, regions",
            points=_polyline(one.coverage_C, one.accuracy_C),
            oracle=_polyline(one.coverage_C, one.oracle_C),
            random=round(SIDE * (1 - one.random), 1),
            at_half=float(np.interp(0.5, one.coverage_C, one.accuracy_C)),
            at_all=float(one.accuracy_C[-1]),
        )
        for one in found
    ]


def _plot(title: str, one: Reliability, score: Score) -> ReliabilityPlot:
    total = int(one.count_B.sum())
    dots = tuple(
        Dot(
            x=round(SIDE * float(stated), 1),
            y=round(SIDE * (1 - float(came)), 1),
            radius=round(SMALLEST + GROWTH * float(np.sqrt(count / total)), 1),
            stated=float(stated),
            came=float(came),
            count=int(count),
        )
        for stated, came, count in zip(one.stated_B, one.came_B, one.count_B, strict=True)
        if count
    )
    fitted = str(score.details.get("scale_from", "")).startswith("fitted")
    return ReliabilityPlot(title, dots, score, fitted)


def _polyline(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{SIDE * a:.1f},{SIDE * (1 - b):.1f}" for a, b in zip(x, y, strict=True))
