"""What an evaluation will ask of stored vectors: which records, which regions, which texts.

It is found by running the tasks with a subject that takes note and answers with numbers of no
meaning. What is asked depends on which pictures are scored: those that a model was trained on are
not, and fewer pictures change the answers that questions are ranked over. So a list holds for the
models of the same training_pictures. Those without them all share one. With them, the embedding
check of leakage (neighbours.py) also looks near vectors, here meaningless ones, and so may drop
other copies than it does for the model: then a text or a region may be missing from the list.

Legend: N pictures · R regions · T texts · E embedding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regionmed.batches.batch import boxes_to_unit
from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import BATCH, encode, encode_texts
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.part import Part, open_parts, placed
from regionmed.evaluation.stored import write_embeddings
from regionmed.evaluation.subject import Subject
from regionmed.evaluation.tasks import run_tasks
from regionmed.progress import Track, silent
from regionmed.record import Record

Floats = NDArray[np.float32]


@dataclass(slots=True)
class Asked:
    """A StoredSubject that takes note of what it is asked, in order and each once."""

    name: str = "asked"
    fingerprint: str = ""
    embedding_dim: int = 8
    phrases: tuple[str, ...] = ()
    training_pictures: frozenset[str] | None = None
    images: dict[str, None] = field(default_factory=dict)  # record ids
    regions: dict[tuple[str, int], None] = field(default_factory=dict)
    texts: dict[str, None] = field(default_factory=dict)

    def stored_images(self, records: Sequence[Record]) -> Floats:
        """Unit rows (N, 8) without meaning."""
        self.images.update(dict.fromkeys(record.id for record in records))
        return self._rows(len(records))

    def stored_regions(self, places: Sequence[tuple[str, int]]) -> Floats | None:
        """Unit rows (R, 8) without meaning."""
        self.regions.update(dict.fromkeys(places))
        return self._rows(len(places))

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Unit rows (T, 8) without meaning."""
        self.texts.update(dict.fromkeys(texts))
        return self._rows(len(texts))

    def _rows(self, count: int) -> Floats:
        rows_NE = np.random.default_rng(count).normal(size=(count, self.embedding_dim))
        return (rows_NE / np.linalg.norm(rows_NE, axis=1, keepdims=True)).astype(np.float32)


def asked_of(
    corpora: Sequence[Corpus],
    split: str,
    training_pictures: frozenset[str] | None = None,
    track: Track = silent,
) -> Asked:
    """What `evaluate` will ask on a split of some corpora.

    training_pictures  of the model, whose pictures are left out of its scores; None asks for all
    UsageError as evaluate: nothing there to be scored.
    """
    asked = Asked(training_pictures=training_pictures)
    for part in open_parts(asked, corpora, split):
        run_tasks(asked, part, Findings(), track)
    return asked


def write_asked(
    corpora: Sequence[Corpus],
    split: str,
    path: Path,
    training_pictures: frozenset[str] | None = None,
) -> Path:
    """Write that list as JSON: images (record ids), regions (id, number), texts.

    training_pictures  SHA-256 of files, the same as about.json of the vectors will say
    UsageError as asked_of.
    """
    asked = asked_of(corpora, split, training_pictures)
    aside = path.with_name(f".{path.name}.part")
    content = {
        "images": list(asked.images),
        "regions": [list(place) for place in asked.regions],
        "texts": list(asked.texts),
    }
    aside.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    os.replace(aside, path)
    return path


def store_embeddings(
    model: Subject, corpora: Sequence[Corpus], split: str, folder: Path, track: Track = silent
) -> Path:
    """Write all vectors that an evaluation of the model on a split asks, as a new folder.

    Regions are read where the model has seen their boxes; CheckpointError if the folder exists.
    """
    asked = asked_of(corpora, split, model.training_pictures, track)
    ids: list[str] = []
    places: list[tuple[str, int]] = []
    none = np.zeros((0, model.embedding_dim), np.float32)
    images, regions = [none], [none]
    for part in open_parts(asked, corpora, split):
        for some in _some_asked(part, asked, track):
            images_NE, regions_RE = _encoded(model, part, some)
            ids += [record.id for _, record, _ in some]
            places += [(record.id, number) for _, record, numbers in some for number in numbers]
            images.append(images_NE)
            regions.append(regions_RE)
    texts = list(asked.texts)
    trained = model.training_pictures
    about = {
        "name": model.name,
        "training_pictures": None if trained is None else sorted(trained),
        "phrases": list(model.phrases),
    }
    return write_embeddings(
        folder,
        (ids, np.concatenate(images)),
        (texts, encode_texts(model, texts)),
        (places, np.concatenate(regions)) if places else None,
        about,
    )


Wanted = tuple[int, Record, list[int]]  # index in the corpus, record, numbers of its asked regions


def _some_asked(part: Part, asked: Asked, track: Track) -> Iterator[list[Wanted]]:
    """The asked records of a Part, of any split, BATCH at a time: more pixels may not fit."""
    wanted = [
        (index, record, [n for n in range(len(record.regions)) if (record.id, n) in asked.regions])
        for index, record in part.everything
        if record.id in asked.images
    ]
    for start in track(range(0, len(wanted), BATCH), f"{part.name}: stored rows"):
        yield wanted[start : start + BATCH]


def _encoded(model: Subject, part: Part, some: Sequence[Wanted]) -> tuple[Floats, Floats]:
    """Unit rows of the pictures (N, E) and, one picture after another, of asked regions (R, E)."""
    title = f"{part.name}: stored rows"
    pictures = placed(part.corpus, [pair[:2] for pair in some], model.image_size, title)
    boxes_NR4 = [
        boxes_to_unit([record.regions[number].box for number in numbers], placement)
        for (_, record, numbers), placement in zip(some, pictures.placements, strict=True)
    ]
    encoded = encode(model, pictures.pixels_NHWC, boxes_NR4)
    return encoded.images_NE, encoded.regions_RE
