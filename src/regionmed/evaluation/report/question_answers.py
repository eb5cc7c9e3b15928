"""The answers to the reviewer's questions: plain sentences made of scores, each with its place.

Every function takes the findings and all scores. Regions stand for the mean over sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.report.curves import gates_by_size
from regionmed.evaluation.report.failures import first_screen
from regionmed.evaluation.report.tables import strata_tables
from regionmed.evaluation.report.verdicts import (
    against,
    against_chance,
    find,
    headline_scores,
)
from regionmed.evaluation.report.words import (
    SOURCE_TITLES,
    anchor_of,
    number,
    plural,
    signed,
    title_of,
)
from regionmed.evaluation.score import Score

COMPARE = "`regionmed compare` does"
WITHOUT = {
    "box-only": "from place and size of the box alone",
    "whole-picture": "from the whole picture, no region,",
    "blank": "with the region painted over",
    "wrong-region": "from a box of that size elsewhere",
    "marker": "with a frame painted on the whole picture",
    "context-free": "without surroundings",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Sentences, the id on the page that shows their figure, and whether it was measured."""

    text: str
    link: str | None = None
    measured: bool = True


def not_measured(because: str, link: str | None = None) -> Answer:
    """An open question and the reason."""
    return Answer(f"Not measured, because {because}.", link, measured=False)


NO_REGIONS = not_measured("no set here holds two labels with five regions each")


def regions_named(scores: Sequence[Score], boxes: str = "given") -> Score | None:
    """Macro accuracy of regions, the mean over sets."""
    return find(scores, task="region_classification", metric="macro_accuracy", set="mean:all",
                boxes=boxes)  # fmt: skip


def against_control(score: Score, *names: str) -> str:
    """ "place and size alone .588, so it gains +.204 [+.180, +.230]" for each control it has."""
    found = [verdict for name in names if (verdict := against(score, name)) is not None]
    words = {"above": "gains", "level": "gains nothing sure:", "below": "loses:"}
    return "; ".join(
        f"{WITHOUT[v.rival]} {number(v.rival_value)}, so it {words[v.standing]} "
        f"{signed(v.gain)} [{signed(v.low)}, {signed(v.high)}]"
        for v in found
    )


def without_the_region(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 1."""
    return _beside_controls(scores, "box-only", "whole-picture")


def painted_over(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 2."""
    return _beside_controls(scores, "blank", "wrong-region")


def marker(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 3."""
    return _beside_controls(scores, "marker")


def sources(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 4."""
    return _by_source(scores, ("predicted", "random", "none"))


def sloppy(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 5."""
    return _by_source(scores, ("jitter-10", "jitter-20", "jitter-40"))


def equal_budget(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 6."""
    return not_measured(
        "one model was scored. Score plain CLIP of the same data and steps the same way: "
        f"{COMPARE} the comparison"
    )


def strata(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 7."""
    tables = strata_tables(scores)
    if not tables:
        return NO_REGIONS
    said = []
    for table in tables:
        if table.task == "region_classification" and len(table.rows) > 1:
            rows = sorted(table.rows, key=lambda row: row[1].value - row[1].chance)
            (low, lowest), (high, highest) = rows[0], rows[-1]
            said.append(
                f"{table.title}: best {high} ({number(highest.value)}, chance "
                f"{number(highest.chance)}), worst {low} ({number(lowest.value)}, chance "
                f"{number(lowest.chance)})"
            )
    text = ". ".join(said) if said else "Regions here are all of one size, kind and number"
    return Answer(f"{text}.", "strata")


def whole_pictures(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 8."""
    heads = [s for s in headline_scores(scores) if s.task in ("retrieval", "prompt_classification")]
    if not heads:
        return not_measured("no set here has captions, or labels of whole pictures")
    clear = sum(against_chance(score).standing == "above" for score in heads)
    return Answer(
        f"{clear} of {plural(len(heads), 'score')} of captions and whole pictures are clear of "
        f"chance. Whether they suffered only a second model tells: {COMPARE} that.",
        anchor_of(heads[0]),
    )


def order_of_stages(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 9."""
    return not_measured(
        f"that needs a second run with all losses from the first step; {COMPARE} the comparison"
    )


def parts(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 10."""
    score = regions_named(scores)
    if score is None or "context-free" not in score.controls:
        return not_measured(f"that needs runs without each part; {COMPARE} the comparison")
    said = f"Surroundings: with them {number(score.value)}; "
    said += f"{against_control(score, 'context-free')}. "
    if gates := gates_by_size(scores):
        first, last = gates[0], gates[-1]
        said += (
            f"Gates, from {first.size} to {last.size} regions: detail {number(first.detail)} to "
            f"{number(last.detail)}, surroundings {number(first.context)} to "
            f"{number(last.context)} (1 before training). "
        )
    said += "Zoom and hard negatives were not measured: they need runs without them."
    return Answer(said, anchor_of(score))


def false_words(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 11."""
    probes = [s for s in headline_scores(scores) if s.task == "probe"]
    if not probes:
        return not_measured("no set here has pairs of true and false texts")
    seen = [v for score in probes if (v := against(score, "text-only")) is not None]
    clear = [v for v in seen if v.standing == "above"]
    right = sum(score.value * score.n for score in probes) / sum(score.n for score in probes)
    text = f"The true text is chosen in {number(right)} of pairs, chance 0.500."
    if seen:
        text += (
            f" In {len(clear)} of {plural(len(seen), 'score')} that is clearly more than the "
            "texts give without a picture."
        )
    return Answer(text, "probes")


def leakage(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 12."""
    known = [part.leakage for part in findings.parts if part.leakage is not None]
    if not known or any(found.trained is None for found in known):
        return Answer("The model does not say what it was trained on, so nothing can be ruled out.",
                      "leakage", measured=False)  # fmt: skip
    dropped = sum(len(found.seen) for found in known)
    asked = sum(found.pictures for found in known)
    away = max(found.not_at_hand for found in known)
    said = f"Of {plural(asked, 'picture')} of this split {dropped:,} were trained on, or are copies"
    text = f"{said} of such, and are in no score."
    if away:
        text += f" {plural(away, 'training picture')} could not be looked at for copies."
    return Answer(text, "leakage")


def seeds(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 13."""
    return not_measured(
        "one model of one seed was scored; every interval here is over patients or pictures. "
        f"Give several seeds of each arm: {COMPARE} paired tests with Holm's correction",
        "summary",
    )


def controls(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 14."""
    heads = headline_scores(scores)
    beside = sum(bool(score.controls) for score in heads)
    clear = sum(against_chance(score).standing == "above" for score in heads)
    return Answer(
        f"Chance stands beside all {plural(len(heads), 'score')} of whole sets, blind answers "
        f"beside {beside}; {clear} are clear of chance.",
        "summary",
    )


def labels(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 15."""
    count = len(findings.parts)
    return Answer(
        f"From the publishers of {plural(count, 'set')}, listed with counts and licences. How "
        "often these labels are wrong was not measured, because each picture was read once.",
        "sources",
    )


def failures(findings: Findings, scores: Sequence[Score]) -> Answer:
    """Question 16."""
    weakest = first_screen(findings, scores).weakest
    said = f"Weakest: {weakest[0].what} ({weakest[0].said}). " if weakest else ""
    errors = [s for s in scores if s.metric == "ece" and not s.set.startswith("mean:")]
    if errors:
        worst = max(errors, key=lambda score: score.value)
        said += (
            f"Stated probabilities are off by up to {number(worst.value)} ({title_of(worst)}, "
            f"where constant guessing is off by {number(worst.chance)}). "
        )
    declined = find(scores, task="region_classification", metric="aurc", set="mean:all")
    if declined is None:
        said += "Whether it knows when it is wrong was not measured."
        return Answer(said, "calibration" if errors else "fails", measured=False)
    word = {"above": "less", "level": "not clearly less", "below": "more"}
    standing = against_chance(declined).standing
    said += (
        f"Declining the least sure answers leaves {word[standing]} error than declining at random "
        f"(area under the risk {number(declined.value)} against {number(declined.chance)})."
    )
    return Answer(said, "calibration")


def _beside_controls(scores: Sequence[Score], *names: str) -> Answer:
    score = regions_named(scores)
    if score is None:
        return NO_REGIONS
    said = against_control(score, *names)
    if not said:
        return not_measured("stored embeddings cannot be asked this")
    return Answer(f"Regions named: {number(score.value)}; {said}.", anchor_of(score))


def _by_source(scores: Sequence[Score], wanted: Sequence[str]) -> Answer:
    given = regions_named(scores)
    if given is None:
        return NO_REGIONS
    found = [(source, regions_named(scores, source)) for source in wanted]
    said = [
        f"{SOURCE_TITLES[source]} {number(score.value)} ({signed(verdict.gain)})"
        for source, score in found
        if score is not None and (verdict := against(score, "given")) is not None
    ]
    if not said:
        return not_measured("only given boxes could be asked of this model")
    return Answer(f"Boxes given {number(given.value)}; {', '.join(said)}.", "boxes")
