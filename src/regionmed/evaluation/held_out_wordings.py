"""Wordings that training never saw, from probe_wordings.yaml, and the balance that probes keep.

Balance: of two texts, each is the true one equally often. Whoever likes one of them, whatever the
picture, is then right in exactly half of the pairs, so that no score is earned by words alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

import yaml

from regionmed.corpus.wording import with_article

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wordings:
    """Forms for regions by kind, what proves nothing, and words that exclude each other."""

    laterality: tuple[str, ...]
    finding: tuple[str, ...]
    negation: tuple[tuple[str, str], ...]  # statement, denial
    always_there: dict[str, frozenset[str]]  # set -> labels
    both_may_hold: dict[str, frozenset[frozenset[str]]]  # set -> pairs of labels
    contradictions: tuple[tuple[str, str], ...]  # words of which one at most is true


@cache
def wordings() -> Wordings:
    """The file's content."""
    text = files("regionmed.evaluation").joinpath("probe_wordings.yaml").read_text("utf-8")
    content = yaml.safe_load(text)
    return Wordings(
        laterality=tuple(content["laterality"]),
        finding=tuple(content["finding"]),
        negation=tuple((stated, denied) for stated, denied in content["negation"]),
        always_there={
            name: frozenset(entry["labels"]) for name, entry in content["always_there"].items()
        },
        both_may_hold={
            name: frozenset(frozenset(entry["pair"]) for entry in entries)
            for name, entries in content["both_may_hold"].items()
        },
        contradictions=tuple(
            (entry["pair"][0], entry["pair"][1]) for entry in content["contradictions"]
        ),
    )


def worded(form: str, phrase: str, side: str = "") -> str:
    """A form with a finding in it: "platelet" -> "There is a platelet on the left side ..."."""
    named = with_article(phrase)
    capitalised = named[0].upper() + named[1:]
    return form.format(x=phrase, a=named, A=capitalised, side=side)


def balanced(
    first: Mapping[str, T], second: Mapping[str, T], seed: str, most: int
) -> tuple[list[T], list[T]]:
    """Equally many of both, at most `most` each, drawn by a seed and their names.

    A name keeps its place in the draw, so two models that are asked of almost the same pictures are
    asked almost the same pairs.
    """
    count = min(len(first), len(second), most)

    def drawn(some: Mapping[str, T]) -> list[T]:
        order = sorted(some, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        return [some[name] for name in order[:count]]

    return drawn(first), drawn(second)


def folded(text: str) -> str:
    """A text without case, spacing and closing marks: what counts as the same wording."""
    return " ".join(text.casefold().split()).strip(" .;:")
