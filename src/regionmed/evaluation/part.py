"""A Part: one set of a corpus in one split, with all that a task may ask of it.

Parts are opened one after another, because masks and pixels of a whole corpus would not fit.
Excluded records, and pictures the model was trained on, are in no Part's `records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regionmed.batches.cache import cached_pixels, model_frame, place_picture
from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.leakage import Leakage, check_leakage
from regionmed.evaluation.score import Conditions
from regionmed.evaluation.subject import Scored
from regionmed.geometry import Placement
from regionmed.progress import Track, silent
from regionmed.record import Record


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures in the model frame: `pixels_NHWC` uint8, letterboxed, and where each was placed."""

    pixels_NHWC: NDArray[np.uint8]
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One set in one split."""

    name: str
    corpus: Corpus
    indices: tuple[int, ...]  # of `records` in the corpus
    records: tuple[Record, ...]  # scored, with their masks
    everything: tuple[tuple[int, Record], ...]  # all usable of the set, masks left out, by index
    phrases: dict[str, str]  # label -> the phrase it is asked with
    conditions: Conditions
    leakage: Leakage | None = None  # what `conditions.leakage` says, by check

    @property
    def train(self) -> tuple[Record, ...]:
        """The usable records of the train split, without masks: what a control may learn from."""
        return tuple(record for _, record in self.everything if record.split == "train")

    def pictures(self, size: int, track: Track = silent) -> Pictures:
        """The scored pictures, letterboxed into size x size pixels."""
        some = list(zip(self.indices, self.records, strict=True))
        return placed(self.corpus, some, size, f"{self.name}: pictures", track)


def placed(
    corpus: Corpus,
    some: Sequence[tuple[int, Record]],
    size: int,
    title: str,
    track: Track = silent,
) -> Pictures:
    """The pictures of some records, with their indices, letterboxed into size x size pixels.

    From the corpus's cache where training left one; decoding takes as long as the model does.
    """
    indices = [index for index, _ in some]
    frames = [record.frame for _, record in some]
    cached_NHWC = cached_pixels(corpus, size, indices)
    if cached_NHWC is not None and all(frames):
        return Pictures(
            cached_NHWC,
            tuple(Placement.letterbox(frame, model_frame(size)) for frame in frames if frame),
        )
    pixels_NHWC = np.zeros((len(indices), size, size, 3), np.uint8)
    placements = []
    for row, index in enumerate(track(indices, title, len(indices))):
        pixels_NHWC[row], placement = place_picture(corpus.picture(index), size)
        placements.append(placement)
    return Pictures(pixels_NHWC, tuple(placements))


def open_parts(
    model: Scored, corpora: Sequence[Corpus], split: str, track: Track = silent
) -> Iterator[Part]:
    """The sets of the corpora that have pictures in the split, in the order of their names.

    Raises UsageError where two corpora hold the same set, or where nothing is left to be scored.
    """
    listed = [(corpus, [_without_masks(record) for record in corpus]) for corpus in corpora]
    by_set: dict[str, tuple[int, dict[int, Record]]] = {}
    for number, (_, records) in enumerate(listed):
        for index, record in enumerate(records):
            owner, usable = by_set.setdefault(record.set, (number, {}))
            if owner != number:
                raise UsageError(
                    f"set '{record.set}' is in two of the corpora given; name each set once"
                )
            if record.frame is not None and record.exclude is None:
                usable[index] = record
    asked = [r for _, usable in by_set.values() for r in usable.values() if r.split == split]
    # over all sets at once: the same film may be published in two
    leakage = check_leakage(asked, listed, model.training_pictures, track)
    opened = 0
    for name in sorted(leakage):
        number, usable = by_set[name]
        part = _open(model, name, corpora[number], usable, split, leakage[name])
        opened += bool(part.records)
        if part.records:
            yield part
    if not opened:
        raise UsageError(
            f"split '{split}' of these corpora holds no picture that may be scored: none is there, "
            "or the model was trained on all of them; choose another split or corpus"
        )


def _open(
    model: Scored,
    name: str,
    corpus: Corpus,
    usable: dict[int, Record],
    split: str,
    leakage: Leakage,
) -> Part:
    indices = tuple(
        index
        for index, record in usable.items()
        if record.split == split and record.id not in leakage.seen
    )
    conditions = Conditions(
        model=spoken_name(model.name),
        weights=model.fingerprint,
        corpus=corpus.fingerprint,
        split=split,
        leakage=leakage.remark,
    )
    return Part(
        name=name,
        corpus=corpus,
        indices=indices,
        records=tuple(corpus[index] for index in indices),
        everything=tuple(usable.items()),
        phrases=corpus.phrases.get(name, {}),
        conditions=conditions,
        leakage=leakage,
    )


def spoken_name(name: str) -> str:
    """A model's name without the path of its folder, which is nobody's business elsewhere."""
    kind, colon, place = name.rpartition(":")
    return f"{kind}{colon}{Path(place).name}" if Path(place).is_dir() else name


def _without_masks(record: Record) -> Record:
    return replace(record, regions=tuple(replace(region, mask=None) for region in record.regions))
