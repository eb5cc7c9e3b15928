"""Pictures that two corpora, or two splits of one, have in common."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from regionmed.corpus.shards import Corpus
from regionmed.corpus.twins import Look, look_at, near_pairs
from regionmed.progress import Track, silent

_COARSE = (384, 384)  # pixels that a large JPEG is decoded to at least, when only its look matters


@dataclass(frozen=True, slots=True)
class Leak:
    """A picture of the first corpus that is also in the second."""

    first: str  # record id
    second: str
    kind: Literal["exact", "near"]  # equal file bytes, or alike to the eye
    likeness: float  # grey correlation at 48 x 48


def find_leaks(first: Corpus, second: Corpus, track: Track = silent) -> list[Leak]:
    """Every picture of `second` that equals or resembles one of `first`, best likeness first.

    A picture whose file is in both is named once, with the first such record; records with the same
    id are the same record and no leak.
    """
    ours, theirs = _looks(first, track), _looks(second, track)
    by_digest: dict[str, str] = {}
    for name, look in ours:
        by_digest.setdefault(look.sha256, name)
    leaks = [
        Leak(by_digest[look.sha256], name, "exact", 1.0)
        for name, look in theirs
        if by_digest.get(look.sha256, name) != name
    ]
    exact = {leak.second for leak in leaks}
    both = [*ours, *theirs]
    for i, j, likeness in near_pairs([look for _, look in both]):
        (mine, _), (other, _) = both[i], both[j]
        if i < len(ours) <= j and other not in exact and mine != other:
            leaks.append(Leak(mine, other, "near", round(likeness, 4)))
    return sorted(leaks, key=lambda leak: (leak.kind, -leak.likeness, leak.second))


def _looks(corpus: Corpus, track: Track) -> list[tuple[str, Look]]:
    looks = []
    for index, record in enumerate(track(corpus, f"looking at {corpus.folder.name}", len(corpus))):
        if record.frame is not None:
            image = Image.open(io.BytesIO(corpus.picture_bytes(index)))
            image.draft(None, _COARSE)
            pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
            looks.append((record.id, look_at(pixels, record.sha256 or "")))
    return looks
