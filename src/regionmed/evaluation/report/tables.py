"""Which scores stand in which table, and what is said beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regionmed.evaluation.report.verdicts import against_chance, find, hardest, rivals_of
from regionmed.evaluation.report.words import (
    GLYPHS,
    RIVALS,
    SHORT_TITLES,
    TASK_TITLES,
    source_of,
    stratum_title,
)
from regionmed.evaluation.score import Score
from regionmed.evaluation.strata import SIZES

SUMMARY_METRICS = {
    "region_classification": ("macro_accuracy",),
    "region_retrieval": ("ap",),
    "grounding": ("pointing", "miou", "ap"),
    "retrieval": ("recall@1", "recall@5"),
    "prompt_classification": ("macro_accuracy", "auroc"),
    "vqa": ("accuracy",),
    "vqa_ranking": ("accuracy",),
    "linear_probe": ("macro_accuracy",),
    "probe": ("accuracy",),
    "out_of_distribution": ("auroc",),
}
HEADS = (
    ("region_classification", "macro_accuracy"),
    ("grounding", "pointing"),
    ("retrieval", "recall@5"),
    ("prompt_classification", "macro_accuracy"),
    ("prompt_classification", "auroc"),
    ("vqa", "accuracy"),
)
MOST_HEADS = 5
ONE_IOU = ".50"  # of average precision; the stricter range is in scores.json


@dataclass(frozen=True, slots=True)
class Head:
    """A tile of the first screen: a score beside what is hardest to beat."""

    title: str
    score: Score
    rival: str
    rival_value: float


@dataclass(frozen=True, slots=True)
class Table:
    """Scores under a title; `names` are what tells the rows apart."""

    title: str
    task: str
    metric: str
    rows: tuple[tuple[str, Score], ...]


def summary(scores: Sequence[Score]) -> list[tuple[str, list[Score]]]:
    """For each task its title and the scores of whole sets, means first."""
    tasks = []
    for task, title in TASK_TITLES.items():
        shown = [score for score in scores if score.task == task and _in_summary(score)]
        shown.sort(key=lambda score: not score.set.startswith("mean:"))
        if shown:
            tasks.append((title, shown))
    return tasks


def _in_summary(score: Score) -> bool:
    details = score.details
    return (
        score.metric in SUMMARY_METRICS[score.task]
        and (score.stratum == "all" or score.task in ("vqa", "vqa_ranking"))
        and (score.task != "region_classification" or source_of(score) == "given")
        and details.get("shots", "all") == "all"
        and details.get("iou", ONE_IOU) == ONE_IOU
    )


def flags(score: Score) -> list[str]:
    """What must be said beside a score: that it is not clear of chance, or of not looking."""
    if against_chance(score).standing != "above":
        return ["not clear of chance"]
    found = rivals_of(score)
    said = []
    for standing, words in (("below", "below"), ("level", "no better than")):
        rivals = [verdict.rival for verdict in found if verdict.standing == standing]
        said += [f"{words} {' or '.join(rivals)}"] if rivals else []
    return said


def glyphs_of(score: Score) -> dict[str, str]:
    """The controls that are drawn beside a score, with their marks; the others stand as numbers."""
    drawn = ("majority", "blank", *RIVALS.get(score.task, ()))
    return {
        name: glyph for name, glyph in GLYPHS.items() if name in drawn and name in score.controls
    }


def glyphs_used(scores: Sequence[Score]) -> dict[str, str]:
    """The marks drawn beside any of the scores, in the order of the legend."""
    used = {name for score in scores for name in glyphs_of(score)}
    return {name: glyph for name, glyph in GLYPHS.items() if name in used}


def heads(scores: Sequence[Score]) -> list[Head]:
    """The few numbers a reader sees first: the mean over sets where there is one."""
    found: list[Head] = []
    for task, metric in HEADS:
        of_task = [s for s in scores if (s.task, s.metric, s.stratum) == (task, metric, "all")]
        score = find(of_task, task=task, metric=metric, set="mean:all") or next(iter(of_task), None)
        title = SHORT_TITLES[task].capitalize()
        if score is not None and title not in [head.title for head in found]:
            found.append(Head(title, score, *hardest(score)))
    return found[:MOST_HEADS]


def strata_tables(scores: Sequence[Score]) -> list[Table]:
    """Strata over sets: by size of the region, by modality, by number of regions in the picture."""
    kinds: list[tuple[str, tuple[str, ...]]] = [
        ("By size of the region", SIZES),
        ("By modality", ("modality:",)),
        ("By number of regions in the picture", ("regions:",)),
    ]
    tables = []
    for task, metric in (("region_classification", "macro_accuracy"), ("grounding", "pointing")):
        for title, wanted in kinds:
            rows = [
                (stratum_title(score.stratum), score)
                for score in scores
                if (score.task, score.set, score.metric) == (task, "mean:all", metric)
                and score.stratum.startswith(wanted)
                and (task == "grounding" or source_of(score) == "given")
            ]
            if rows:
                tables.append(Table(title, task, metric, tuple(rows)))
    return tables


def size_grid(scores: Sequence[Score]) -> list[tuple[str, list[Score | None]]]:
    """For each set its macro accuracy in each size, None where there are too few regions."""
    found = {
        (score.set, score.stratum): score
        for score in scores
        if (score.task, score.metric) == ("region_classification", "macro_accuracy")
        and source_of(score) == "given"
    }
    sets = sorted({name for name, stratum in found if stratum == "all" and "mean:" not in name})
    return [(name, [found.get((name, size)) for size in SIZES]) for name in sets]


def probe_table(scores: Sequence[Score]) -> list[tuple[str, Score]]:
    """Pairs of texts by what differs in them: (kind, score), kind by kind."""
    rows = [
        (score.stratum.removeprefix("kind:"), score)
        for score in scores
        if score.task == "probe" and score.stratum.startswith("kind:")
    ]
    return sorted(rows, key=lambda row: (row[0], row[1].set, row[1].details["target"]))


def contrast_table(scores: Sequence[Score]) -> list[Score]:
    """Contrast to noise of the heat maps: no share, so it has a table without a plot."""
    chosen = [score for score in scores if (score.metric, score.stratum) == ("cnr", "all")]
    return sorted(chosen, key=lambda score: not score.set.startswith("mean:"))
