"""Pictures that two corpora, or two splits of one, have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regionmed.corpus.copies import find_copies
from regionmed.corpus.greys import open_greys
from regionmed.corpus.shards import Corpus
from regionmed.progress import Track, silent


@dataclass(frozen=True, slots=True)
class Leak:
    """A picture of the first corpus that is also in the second."""

    first: str  # record id
    second: str
    kind: Literal["exact", "near"]  # equal file bytes, or a copy as copies.py finds it
    likeness: float  # correlation of fine structure; 1 for equal bytes


def find_leaks(first: Corpus, second: Corpus, track: Track = silent) -> list[Leak]:
    """Every picture of `second` that is in `first` or a copy of a picture there, likest first.

    A picture whose file is in both is named once, with the first such record; a copy is named with
    up to three originals; records with the same id are the same record and no leak.
    """
    ours, theirs = list(first), list(second)
    by_digest: dict[str, str] = {}
    for record in ours:
        if record.frame is not None and record.sha256:
            by_digest.setdefault(record.sha256, record.id)
    leaks = [
        Leak(by_digest[record.sha256 or ""], record.id, "exact", 1.0)
        for record in theirs
        if record.frame is not None and by_digest.get(record.sha256 or "", record.id) != record.id
    ]
    exact = {leak.second for leak in leaks}
    for copy in find_copies(open_greys(first, track), open_greys(second, track), track):
        mine, other = ours[copy.first].id, theirs[copy.second].id
        if other not in exact and mine != other:
            leaks.append(Leak(mine, other, "near", round(copy.likeness, 4)))
    return sorted(leaks, key=lambda leak: (leak.kind, -leak.likeness, leak.second))
