"""Pairs about regions in wordings that training never saw: side, finding, denial.

What is true and what is false follows from the annotation alone, with the places of the corpus
(wording.py) and stricter proofs than its twins have (negatives.py): a side is false where nothing
of the kind reaches past the middle of the picture; a finding is false, and its denial true, where
the whole picture lacks it. Every pair of texts is asked as often one way round as the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

from regionmed.corpus.wording import place_of, region_phrase, short_phrase
from regionmed.evaluation.held_out_wordings import balanced, worded, wordings
from regionmed.evaluation.part import Part
from regionmed.evaluation.probe_pairs import Pair
from regionmed.evaluation.strata import NO_KIND

REGIONS = "regions, held-out wordings"
MOST_OF_A_KIND = 120  # regions a side, shared by the labels, each asked in every form
LEAST_OF_A_PAIR = 5
SIDES, WAYS = ("left", "right"), ("stated", "denied")
COLUMNS = {"left": 0, "right": 2}  # thirds of the picture, as place_of counts them

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)

Place = tuple[int, int]  # row in part.records, number of the region


def held_out_region_pairs(part: Part, places: Sequence[Place]) -> list[Pair]:
    """All kinds, for the regions that may be asked (`places`); see the head of this file."""
    asked = _Asked(part, places)
    return [*asked.sides(), *asked.findings(), *asked.denials()]


class _Asked:
    """The regions of a Part by label, and which labels each of its pictures surely lacks."""

    def __init__(self, part: Part, places: Sequence[Place]) -> None:
        self.part, self.known = part, wordings()
        marked = {region.label for _, record in part.everything for region in record.regions}
        unproven = self.known.always_there.get(part.name, frozenset()) | {NO_KIND}
        self.phrases = {
            label: short_phrase(part.phrases[label])
            for label in sorted(marked & part.phrases.keys() - unproven)
        }
        self.by_label: dict[str, list[Place]] = {label: [] for label in self.phrases}
        for row, number in places:
            label = part.records[row].regions[number].label
            if label in self.by_label:
                self.by_label[label].append((row, number))
        present = [
            {*record.labels, *(region.label for region in record.regions)}
            for record in part.records
        ]
        every = set().union(*present)
        self.alike = {label: self._alike(label, every) for label in self.phrases}
        self.lacked = [
            frozenset(label for label, names in self.alike.items() if names.isdisjoint(shown))
            for shown in present
        ]

    def sides(self) -> Iterator[Pair]:
        """Regions in the left or right third, with nothing of their kind in the other half."""
        # "left lung" names a patient's side, which is the other one on the screen
        labels = [label for label in self.phrases if not _SIDE.search(self.phrases[label])]
        for label in labels:
            left, right = (
                [place for place in self.by_label[label] if self._only_on(place, label, side)]
                for side in SIDES
            )
            texts = [
                tuple(worded(form, self.phrases[label], side) for side in SIDES)
                for form in self.known.laterality
            ]
            yield from self._pairs("laterality", label, (left, right), texts, SIDES, len(labels))

    def findings(self) -> Iterator[Pair]:
        """A region's finding against another that its picture lacks."""
        couples = list(combinations(self.phrases, 2))
        for label, other in couples:
            places = (self._lacking(other, (label,)), self._lacking(label, (other,)))
            texts = [
                tuple(worded(form, self.phrases[name]) for name in (label, other))
                for form in self.known.finding
            ]
            key = f"{label} {other}"
            yield from self._pairs("finding", key, places, texts, ("", ""), len(couples))

    def denials(self) -> Iterator[Pair]:
        """A finding stated and denied: of its own regions, and where the picture lacks it."""
        for label, shown in self.by_label.items():
            places = (shown, self._lacking(label, self.phrases))
            texts = [
                tuple(worded(form, self.phrases[label]) for form in forms)
                for forms in self.known.negation
            ]
            yield from self._pairs("negation", label, places, texts, WAYS, len(self.phrases))

    def _pairs(
        self,
        kind: str,
        key: str,
        places: tuple[Sequence[Place], Sequence[Place]],
        texts: Sequence[tuple[str, ...]],
        ways: tuple[str, str],
        keys: int,
    ) -> Iterator[Pair]:
        """The first of two texts is true of the first places and false of the second.

        keys  how many such pairs of texts the kind has: they share what is asked
        """
        first, second = ({self._name(place): place for place in some} for some in places)
        most = max(LEAST_OF_A_PAIR, MOST_OF_A_KIND // keys)
        drawn = balanced(first, second, f"{kind} {key}", most)
        for some, way, number in zip(drawn, ways, (0, 1), strict=True):
            for place, couple in product(some, texts):
                true, false = couple[number], couple[1 - number]
                yield Pair(*place, REGIONS, self._name(place), kind, true, false, way)

    def _name(self, place: Place) -> str:
        return f"{self.part.records[place[0]].id}#{place[1]}"

    def _lacking(self, label: str, others: Iterable[str]) -> list[Place]:
        """The places of other labels in pictures that lack a label."""
        every = (place for other in others for place in self.by_label[other])
        return [place for place in every if label in self.lacked[place[0]]]

    def _only_on(self, place: Place, label: str, side: str) -> bool:
        row, number = place
        regions = self.part.records[row].regions
        if place_of(regions[number].box)[1] != COLUMNS[side]:
            return False
        edges = [one.box.unit() for one in regions if one.label in self.alike[label]]
        return all(x1 <= 0.5 if side == "left" else x0 >= 0.5 for x0, _, x1, _ in edges)

    def _alike(self, label: str, others: Iterable[str]) -> frozenset[str]:
        """The labels whose regions could be called by this one too, itself among them."""
        overlapping = self.known.both_may_hold.get(self.part.name, frozenset())
        words = _words(self.phrases[label])
        found = {label}
        for other in others:
            said = _words(region_phrase(other, None, self.part.phrases.get(other)))
            nested = words <= said or said <= words
            if nested or frozenset((label, other)) in overlapping:
                found.add(other)
        return frozenset(found)


def _words(phrase: str) -> set[str]:
    return set(re.findall(r"\w+", short_phrase(phrase).lower()))
