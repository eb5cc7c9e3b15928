"""What a score proves: whether it is clear of chance, and of answers that do not look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regionmed.evaluation.report.words import (
    HEADLINE_METRICS,
    LOWER_IS_BETTER,
    RIVALS,
    source_of,
)
from regionmed.evaluation.score import Score


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a score stands to one rival: "above", "level" (not told apart) or "below".

    gain  score minus rival, low and high its 95 % interval; where no paired difference was kept
          these are the score's own interval minus the rival's value
    """

    score: Score
    rival: str
    rival_value: float
    gain: float
    low: float
    high: float

    @property
    def standing(self) -> str:
        """ "above" where the whole interval is better, "below" where it is worse, else "level"."""
        better = (
            (-self.high, -self.low)
            if self.score.metric in LOWER_IS_BETTER
            else (self.low, self.high)
        )
        return "above" if better[0] > 0 else "below" if better[1] < 0 else "level"


def against_chance(score: Score) -> Verdict:
    """The verdict against the chance level."""
    low, high = score.low - score.chance, score.high - score.chance
    return Verdict(score, "chance", score.chance, score.value - score.chance, low, high)


def against(score: Score, rival: str) -> Verdict | None:
    """The verdict against a control; None where the score has no such control."""
    if rival not in score.controls:
        return None
    value = score.controls[rival]
    found = score.details.get("differences", {}).get(rival)
    if found is None:
        low, high = score.low - value, score.high - value
        return Verdict(score, rival, value, score.value - value, low, high)
    return Verdict(score, rival, value, found["value"], found["low"], found["high"])


def rivals_of(score: Score) -> list[Verdict]:
    """Verdicts against the controls that do not look where the question points."""
    found = (against(score, rival) for rival in RIVALS.get(score.task, ()))
    return [verdict for verdict in found if verdict is not None]


def hardest(score: Score) -> tuple[str, float]:
    """The best of chance and the answers that do not look, and its value."""
    blind = ("majority", *RIVALS.get(score.task, ()))
    values = {name: score.controls[name] for name in blind if name in score.controls}
    values["chance"] = score.chance
    best = min if score.metric in LOWER_IS_BETTER else max
    name = best(values, key=lambda control: values[control])
    return name, values[name]


def headline_scores(scores: Iterable[Score]) -> list[Score]:
    """One score a task, set and way of asking: whole sets, given or no boxes, all examples."""
    chosen = []
    for score in scores:
        headline = (
            score.stratum == "all"
            and not score.set.startswith("mean:")
            and score.metric in HEADLINE_METRICS.get(score.task, ())
            and score.details.get("shots", "all") == "all"
            and (score.task != "region_classification" or source_of(score) == "given")
        )
        if headline:
            chosen.append(score)
    accurate = {
        score.set
        for score in chosen
        if (score.task, score.metric) == ("prompt_classification", "macro_accuracy")
    }
    return [
        score
        for score in chosen
        if (score.task, score.metric) != ("prompt_classification", "auroc")
        or score.set not in accurate
    ]


def find(scores: Sequence[Score], **wanted: str) -> Score | None:
    """The first score with these fields or details; None where there is none.

    stratum is "all" unless wanted otherwise, and so are the boxes of region classification "given".
    """
    wanted = {"stratum": "all", **wanted}
    if wanted.get("task") == "region_classification":
        wanted = {"boxes": "given", **wanted}
    for score in scores:
        values = {"boxes": "given", **score.details, "task": score.task, "set": score.set,
                  "metric": score.metric, "stratum": score.stratum}  # fmt: skip
        if all(values.get(key) == value for key, value in wanted.items()):
            return score
    return None
