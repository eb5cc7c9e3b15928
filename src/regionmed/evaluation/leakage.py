"""Has the model seen these pictures? Four checks of a split against the model's training manifest.

exact       the file's sha256 is in the manifest
twin        a file of the same family of twins, known to the corpus, is in the manifest
perceptual  the picture is a copy of a training picture: compressed, resized, inverted, mirrored,
            brightened or trimmed (corpus/copies.py)
embedding   among the training pictures next to it by the model's own vectors is one that it is a
            copy of (neighbours.py)

The last two can only look at training pictures that lie in the corpora given; the remark says how
many do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.corpus.copies import find_copies
from regionmed.corpus.greys import open_greys
from regionmed.corpus.shards import Corpus
from regionmed.progress import Track, silent
from regionmed.record import Record

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Leakage:
    """What the checks found in the pictures of one set and split: record ids, none of them twice.

    pictures    in the split before any was dropped
    trained     pictures in the training manifest; None where the training data is unknown
    not_at_hand those of them in none of the corpora, so that nobody could look at them
    neighbours  None where the embedding check was not made
    """

    pictures: int
    trained: int | None
    not_at_hand: int = 0
    exact: frozenset[str] = NONE
    twins: frozenset[str] = NONE
    copies: frozenset[str] = NONE
    neighbours: frozenset[str] | None = None

    @property
    def seen(self) -> frozenset[str]:
        """The ids that are dropped from every score."""
        return self.exact | self.twins | self.copies | (self.neighbours or NONE)

    @property
    def remark(self) -> str:
        """The sentence beside a score: checks made, what each found, how many were dropped."""
        if self.trained is None:
            return "unknown training data"
        found = {"exact": self.exact, "twin": self.twins, "perceptual": self.copies}
        if self.neighbours is not None:
            found["embedding"] = self.neighbours
        if self.seen:
            counts = ", ".join(f"{len(ids)} {check}" for check, ids in found.items())
            said = f"{len(self.seen)} of {self.pictures} pictures were trained on and are dropped"
            said = f"{said}: {counts}"
        else:
            *others, last = found
            said = f"none: 0 of {self.pictures} by {', '.join(others)} and {last} check"
        if not self.not_at_hand:
            return said
        return (
            f"{said} ({self.not_at_hand} of {self.trained} training pictures were not at hand "
            "to be looked at)"
        )


def check_leakage(
    asked: Sequence[Record],
    corpora: Sequence[tuple[Corpus, Sequence[Record]]],
    trained_on: frozenset[str] | None,
    track: Track = silent,
) -> dict[str, Leakage]:
    """Set -> what the exact, twin and perceptual checks found among `asked`.

    corpora     each with all its records in order; those of `asked` are among them
    trained_on  sha256 of the training pictures; None where the training data is unknown: then
                nothing is looked for
    """
    pictures = Counter(record.set for record in asked)
    if trained_on is None:
        return {name: Leakage(count, None) for name, count in pictures.items()}
    shown = [r for _, records in corpora for r in records if r.sha256 in trained_on]
    families = {record.twins for record in shown} - {None}
    exact = {record.id for record in asked if record.sha256 in trained_on}
    copies = _copies({r.id for r in asked} - exact, corpora, trained_on, track)
    twins = {record.id for record in asked if record.twins in families} - exact - copies
    at_hand = {record.sha256 for record in shown if record.frame is not None}
    members: dict[str, set[str]] = {name: set() for name in pictures}
    for record in asked:
        members[record.set].add(record.id)
    return {
        name: Leakage(
            count,
            len(trained_on),
            len(trained_on - at_hand),
            exact=frozenset(exact & members[name]),
            twins=frozenset(twins & members[name]),
            copies=frozenset(copies & members[name]),
        )
        for name, count in pictures.items()
    }


def _copies(
    asked: set[str],
    corpora: Sequence[tuple[Corpus, Sequence[Record]]],
    trained_on: frozenset[str],
    track: Track,
) -> set[str]:
    """The ids among `asked` of pictures that are copies of one that was trained on."""
    trained, split, names = [], [], []
    for corpus, records in corpora:
        greys_NSS = open_greys(corpus, track)
        pictures = [(i, record) for i, record in enumerate(records) if record.frame is not None]
        trained.append(greys_NSS[[i for i, r in pictures if r.sha256 in trained_on]])
        split.append(greys_NSS[[i for i, r in pictures if r.id in asked]])
        names += [record.id for _, record in pictures if record.id in asked]
    found = find_copies(np.concatenate(trained), np.concatenate(split), track)
    return {names[copy.second] for copy in found}
