"""Pairs of texts that probes ask: a true one, and one that is false in exactly one respect.

Regions and pictures have the false twins of the corpus: side, finding, location, size, negation
(corpus/negatives.py); a caption written by a person only where its form proves the twin false.
Closed questions "Is there ...?" become a statement and its denial, true or false by the answer.
Labels that people confuse (look_alikes.yaml, each with its reason) are told apart by their phrases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import yaml

from regionmed.corpus.negatives import toggle_negation
from regionmed.evaluation.part import Part
from regionmed.evaluation.strata import NO_KIND
from regionmed.record import Question

LAID = {"side": "laterality"}  # the other kinds keep the names of the corpus


@dataclass(frozen=True, slots=True)
class Pair:
    """A true and a false text about a picture (`region` None) or one of its regions."""

    row: int  # in part.records
    region: int | None
    source: str  # "regions", "pictures", "questions"; held_out_*.py have others
    name: str  # of the record, region or question
    kind: str
    true: str
    false: str
    way: str = ""  # which of the two is true: left or right, stated or denied

    @property
    def item(self) -> str:
        """A name of its own among the pairs of a source."""
        return f"{self.name} {self.kind} {self.false}"


def region_pairs(part: Part) -> list[Pair]:
    """Twins of the regions' texts, and look-alike labels."""
    alike, pairs = look_alikes().get(part.name, ()), []
    for row, record in enumerate(part.records):
        for number, region in enumerate(record.regions):
            if region.label == NO_KIND or region.text is None:
                continue
            base = Pair(row, number, "regions", f"{record.id}#{number}", "", region.text, "")
            pairs += [
                replace(base, kind=LAID.get(twin.kind, twin.kind), false=twin.text)
                for twin in region.negatives
            ]
            pairs += _confusable(base, region.label, {region.label}, part, alike)
    return pairs


def picture_pairs(part: Part) -> list[Pair]:
    """Twins of the caption, else of the summary, and look-alikes of a picture's only label."""
    alike, pairs = look_alikes().get(part.name, ()), []
    for row, record in enumerate(part.records):
        true = record.texts.caption or record.texts.summary
        base = Pair(row, None, "pictures", record.id, "", true or "", "")
        if true:
            pairs += [
                replace(base, kind=LAID.get(twin.kind, twin.kind), false=twin.text)
                for twin in record.texts.negatives
            ]
        if len(record.labels) == 1:
            shown = {*record.labels, *(region.label for region in record.regions)}
            pairs += _confusable(base, record.labels[0], shown, part, alike)
    return pairs


def question_pairs(part: Part) -> list[Pair]:
    """Closed questions that can be turned into a statement and its denial without a doubt."""
    pairs = []
    for row, record in enumerate(part.records):
        for question in record.questions:
            stated = statement_of(question)
            denied = toggle_negation(stated) if stated else None
            answer = question.answer.strip().casefold()
            if stated is None or denied is None or answer not in ("yes", "no"):
                continue
            true, false = (stated, denied) if answer == "yes" else (denied, stated)
            pairs.append(Pair(row, None, "questions", question.id, "negation", true, false))
    return pairs


def statement_of(question: Question) -> str | None:
    """ "Is there a pleural effusion?" -> "There is a pleural effusion."; None for other forms."""
    plain = " ".join(question.question.split()).rstrip("?. ")
    asked = re.fullmatch(r"(is|are) there (?:any )?([^?.,;]+)", plain, re.IGNORECASE)
    if question.type != "closed" or asked is None:
        return None
    if re.search(r"\b(evidence|signs?|or|more|other|another)\b", asked[2], re.IGNORECASE):
        return None  # "no evidence of" and a choice of two are no plain denials
    return f"There {asked[1].lower()} {asked[2]}."


def look_alikes() -> dict[str, list[tuple[str, str]]]:
    """Set -> pairs of labels that people confuse, from look_alikes.yaml."""
    text = files("regionmed.evaluation").joinpath("look_alikes.yaml").read_text("utf-8")
    return {
        name: [(str(one["pair"][0]), str(one["pair"][1])) for one in pairs]
        for name, pairs in yaml.safe_load(text).items()
    }


def _confusable(
    base: Pair, label: str, shown: set[str], part: Part, alike: Sequence[tuple[str, str]]
) -> list[Pair]:
    """The label's phrase against that of each of its look-alikes which the picture has not."""
    others = [b if label == a else a for a, b in alike if label in (a, b)]
    return [
        replace(base, kind="look-alike", true=part.phrases[label], false=part.phrases[other])
        for other in others
        if label in part.phrases and other in part.phrases and other not in shown
    ]
