"""Pictures, regions and texts of a Part through the model, each once.

Legend: N pictures · R regions · E embedding · T texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regionmed.batches.batch import boxes_to_unit, cut_out
from regionmed.errors import UsageError
from regionmed.evaluation.part import Part, placed
from regionmed.evaluation.subject import Scored, Subject, is_stored
from regionmed.progress import Track, silent
from regionmed.record import Record

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

MOST_OF_A_LABEL = 200  # regions that a probe may learn from
BATCH = 16  # pictures at a time: larger ones leave the cache of a small machine and are slower


@dataclass(frozen=True, slots=True)
class Encoded:
    """Unit rows: `images_NE`, and `regions_RE` of all pictures one after another.

    gates_R2  0..2, how much detail and how much context each region let in; empty from crops
    """

    images_NE: Floats
    regions_RE: Floats
    gates_R2: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The usable records of one split as the model sees them, with the boxes that are given.

    places  for each row of regions_RE: row in `records`, number of the region in the record
    """

    records: tuple[Record, ...]
    images_NE: Floats
    regions_RE: Floats  # empty where the model has no regions
    places: tuple[tuple[int, int], ...]


def rows_of(
    model: Scored,
    part: Part,
    split: str,
    track: Track = silent,
    regions: bool = True,
    most: int | None = None,
) -> Rows:
    """Every usable record of a split of the Part's set, and its regions, through the model once.

    Of each label at most `most` regions (MOST_OF_A_LABEL), the same for every model: a model that
    is shown crops would otherwise spend an hour on the red cells of one set. None without
    `regions`.
    """
    chosen = [(index, record) for index, record in part.everything if record.split == split]
    records = tuple(record for _, record in chosen)
    places: list[tuple[int, int]] = []
    if regions:
        places = _some_places(
            records, f"{part.name} {split}", MOST_OF_A_LABEL if most is None else most
        )
    if is_stored(model):
        stored = model.stored_regions([(records[row].id, number) for row, number in places])
        none = np.zeros((0, model.embedding_dim), np.float32)
        regions_RE, kept = (none, []) if stored is None else (stored, places)
        return Rows(records, model.stored_images(records), regions_RE, tuple(kept))
    numbers: list[list[int]] = [[] for _ in records]
    for row, number in places:
        numbers[row].append(number)
    images, vectors = [], []
    title = f"{part.name}: {split} rows"
    for start in track(range(0, len(chosen), BATCH), title):  # pixels of a whole set may not fit
        some = chosen[start : start + BATCH]
        pictures = placed(part.corpus, some, model.image_size, title)
        boxes = [
            boxes_to_unit(
                [records[start + at].regions[n].box for n in numbers[start + at]], placement
            )
            for at, placement in enumerate(pictures.placements)
        ]
        encoded = encode(model, pictures.pixels_NHWC, boxes)
        images.append(encoded.images_NE)
        vectors.append(encoded.regions_RE)
    none = np.zeros((0, model.embedding_dim), np.float32)
    return Rows(
        records, np.concatenate([none, *images]), np.concatenate([none, *vectors]), tuple(places)
    )


def every_place(records: Sequence[Record]) -> tuple[tuple[int, int], ...]:
    """(row, number) of every region, record after record."""
    return tuple((row, n) for row, record in enumerate(records) for n in range(len(record.regions)))


def _some_places(records: Sequence[Record], seed: str, most: int) -> list[tuple[int, int]]:
    """At most `most` regions of each label, drawn by a seed, in the records' order."""
    generator = np.random.default_rng(list(seed.encode()))
    by_label: dict[str, list[tuple[int, int]]] = {}
    for row, number in every_place(records):
        by_label.setdefault(records[row].regions[number].label, []).append((row, number))
    kept: list[tuple[int, int]] = []
    for label in sorted(by_label):
        places = by_label[label]
        kept += [places[at] for at in generator.permutation(len(places))[:most]]
    return sorted(kept)


def encode(
    model: Subject,
    pixels_NHWC: Pixels,
    boxes_NR4: Sequence[Floats] | None = None,
    title: str = "pictures",
    track: Track = silent,
) -> Encoded:
    """Embed pictures, and where boxes are given (unit edges of the model frame) their regions.

    A model that does not read regions is shown each region's crop as a picture.
    """
    images, regions, gates = [], [], []
    for start in track(range(0, len(pixels_NHWC), BATCH), title):
        rows = slice(start, start + BATCH)
        boxes = None if boxes_NR4 is None else list(boxes_NR4[rows])
        embedded = model.embed(pixels_NHWC[rows], boxes if model.reads_regions else None)
        images.append(embedded.images)
        if boxes is not None and model.reads_regions:
            regions.extend(embedded.regions)
            gates.extend(embedded.gates)
        elif boxes is not None:
            regions.append(encode_crops(model, pixels_NHWC[rows], boxes))
    none = np.zeros((0, model.embedding_dim), np.float32)
    return Encoded(
        _finite(model, np.concatenate([none, *images])),
        _finite(model, np.concatenate([none, *regions])),
        np.concatenate([np.zeros((0, 2), np.float32), *gates]),
    )


def encode_crops(model: Subject, pixels_NHWC: Pixels, boxes_NR4: Sequence[Floats]) -> Floats:
    """Unit rows (R, E): every box of every picture cut out and shown as a picture of its own."""
    crops = [cut_out(pixels, boxes) for pixels, boxes in zip(pixels_NHWC, boxes_NR4, strict=True)]
    crops_RHWC = np.concatenate(crops)
    rows = [
        model.embed(crops_RHWC[start : start + BATCH]).images
        for start in range(0, len(crops_RHWC), BATCH)
    ]
    return np.concatenate([np.zeros((0, model.embedding_dim), np.float32), *rows])


def encode_texts(model: Scored, texts: Sequence[str]) -> Floats:
    """Unit rows (T, E); a text that comes again is encoded once."""
    # Texts of like length go together: a batch is padded to its longest.
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    parts = [
        model.encode_text(distinct[start : start + BATCH])
        for start in range(0, len(distinct), BATCH)
    ]
    none = np.zeros((0, model.embedding_dim), np.float32)
    rows = _finite(model, np.concatenate([none, *parts]))
    row_of = {text: row for row, text in enumerate(distinct)}
    return rows[[row_of[text] for text in texts]]


def _finite(model: Scored, rows_NE: Floats) -> Floats:
    """The rows; UsageError where one is not finite: NaN means "not asked" further on."""
    wrong = ~np.isfinite(rows_NE).all(axis=1)
    if wrong.any():
        raise UsageError(
            f"{int(wrong.sum())} of {len(rows_NE)} vectors of {Path(model.name).name} hold numbers "
            "that are not finite; the model is damaged or has diverged, so nothing was scored"
        )
    return rows_NE
