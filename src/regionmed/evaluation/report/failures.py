"""Where does it fail? The first screen: what is unproven, what is weakest, in words and linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.report.verdicts import (
    Verdict,
    against_chance,
    headline_scores,
    rivals_of,
)
from regionmed.evaluation.report.words import (
    SHORT_TITLES,
    anchor_of,
    counted,
    metric_title,
    number,
    plural,
    slug,
    source_of,
    stratum_title,
    title_of,
)
from regionmed.evaluation.score import Score

SHOWN = 5  # lines of a list; what is more is counted
WEAK_LABELS, WEAK_STRATA = 4, 3
NOT_WEAK = 0.9  # share of a label's regions that are right


@dataclass(frozen=True, slots=True)
class Line:
    """One failure: what failed in bold, then what is said of it, and the id it links to."""

    what: str
    said: str
    link: str


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """The answer to "where does it fail?" in one sentence and three lists.

    unproven  not clear of chance, unlooking  not clear of an answer that does not look,
    weakest   labels and strata that came out lowest; `more_*` counts what is not shown
    """

    sentence: str
    unproven: tuple[Line, ...]
    more_unproven: int
    unlooking: tuple[Line, ...]
    more_unlooking: int
    weakest: tuple[Line, ...]


def first_screen(findings: Findings, scores: Sequence[Score]) -> FirstScreen:
    """All of it from the scores of whole sets, one a task and way of asking."""
    heads = headline_scores(scores)
    chance = [v for v in map(against_chance, heads) if v.standing != "above"]
    chance.sort(key=_order)
    unproven = {anchor_of(verdict.score) for verdict in chance}
    worst = [worst_rival(score) for score in heads if anchor_of(score) not in unproven]
    rivals = [v for v in worst if v is not None and v.standing != "above"]
    rivals.sort(key=_order)
    return FirstScreen(
        sentence=_sentence(len(heads), len(chance), len(rivals)),
        unproven=tuple(_chance_line(verdict) for verdict in chance[:SHOWN]),
        more_unproven=max(0, len(chance) - SHOWN),
        unlooking=tuple(_rival_line(verdict) for verdict in rivals[:SHOWN]),
        more_unlooking=max(0, len(rivals) - SHOWN),
        weakest=(*_weak_labels(findings.regions), *_weak_strata(scores)),
    )


def worst_rival(score: Score) -> Verdict | None:
    """The verdict against the control that leaves the least gain; None without such controls."""
    return min(rivals_of(score), key=lambda verdict: verdict.gain, default=None)


def _order(verdict: Verdict) -> tuple[bool, int, float, str]:
    """Surely below first, then task by task as on the page, the smallest gain first."""
    task = list(SHORT_TITLES).index(verdict.score.task)
    return verdict.standing != "below", task, verdict.gain, anchor_of(verdict.score)


def _sentence(heads: int, unproven: int, unlooking: int) -> str:
    if not unproven and not unlooking:
        whole = "The one score of a whole set is" if heads == 1 else f"All {heads} scores are"
        return f"{whole} clear of chance and of every answer that does not look."
    proven = heads - unproven - unlooking
    return (
        f"Of {plural(heads, 'score')} of whole sets, {unproven} cannot be told from chance, "
        f"{unlooking} more can be had without looking at the place in question, "
        f"and {proven} {'is' if proven == 1 else 'are'} clear of both."
    )


def _named(score: Score) -> str:
    return f"{title_of(score)} · {SHORT_TITLES.get(score.task, score.task)}"


def _chance_line(verdict: Verdict) -> Line:
    score = verdict.score
    below = "below chance" if verdict.standing == "below" else "chance"
    said = f"{metric_title(score.metric)}: {number(score.value)}, {below} {number(score.chance)}"
    return Line(_named(score), f"{said}, {counted(score)}", anchor_of(score))


def _rival_line(verdict: Verdict) -> Line:
    score = verdict.score
    word = "below" if verdict.standing == "below" else "no better than"
    said = f"{number(score.value)}, {word} {verdict.rival} {number(verdict.rival_value)}"
    return Line(_named(score), f"{said}, {counted(score)}", anchor_of(score))


def _weak_labels(answers: Sequence[RegionAnswers]) -> list[Line]:
    """The labels that are recognised least, against what chance would give in their set."""
    found: list[tuple[float, Line]] = []
    for one in answers:
        labels, truth = one.asked.labels, one.asked.truth_R
        said = one.similarity_RL.argmax(axis=1)
        for column, label in enumerate(labels):
            rows = truth == column
            share = float(one.hits[rows].mean())
            if share >= NOT_WEAK:
                continue
            wrong = np.bincount(said[rows & (said != column)], minlength=len(labels))
            taken = f", most often called {labels[int(wrong.argmax())]}" if wrong.any() else ""
            line = Line(
                f"{label} · {one.part.name}",
                f"{round(100 * share)} % of {plural(int(rows.sum()), 'region')} right{taken}",
                f"confusion-{slug(one.part.name)}",
            )
            found.append((share - 1 / len(labels), line))
    found.sort(key=lambda pair: (pair[0], pair[1].what))
    return [line for _, line in found[:WEAK_LABELS]]


def _weak_strata(scores: Sequence[Score]) -> list[Line]:
    """The strata over all sets that stand least above chance, one task after the other."""
    strata = [
        score
        for score in scores
        if score.set == "mean:all"
        and score.stratum != "all"
        and (score.task, score.metric) in (
            ("region_classification", "macro_accuracy"), ("grounding", "pointing")
        )
        and (score.task == "grounding" or source_of(score) == "given")
    ]  # fmt: skip
    strata.sort(key=lambda score: (score.value - score.chance) / (1 - score.chance + 1e-9))
    return [
        Line(
            f"{stratum_title(score.stratum)} · {SHORT_TITLES[score.task]}",
            f"{metric_title(score.metric)}: {number(score.value)}, chance {number(score.chance)}, "
            f"{counted(score)}",
            anchor_of(score),
        )
        for score in strata[:WEAK_STRATA]
    ]
