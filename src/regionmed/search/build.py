"""Corpora and a checkpoint -> an index folder (its files are described in index.py).

N indexed entries · S sentences · E embedding · R regions of a picture · H W C of the model frame
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save_file

from regionmed.batches.batch import unit_boxes
from regionmed.batches.cache import open_picture_cache
from regionmed.corpus.describe import region_phrase
from regionmed.corpus.shards import Corpus
from regionmed.errors import CorpusError, UsageError
from regionmed.progress import Track, silent
from regionmed.record import Record
from regionmed.search.certainty import Certainty, findings_of, fit_calibration, fit_familiar
from regionmed.search.index import ENTRIES, LAYOUT, SENTENCES, Index, open_index
from regionmed.search.thumbnails import picture_thumbnail, region_thumbnail

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip

CHUNK = 32  # pictures, or sentences, handed to the model at a time
THUMBNAILS = pa.schema([("jpeg", pa.binary())])


def build_index(
    model: RegionClip, corpora: Sequence[Corpus], out: Path, *, source: str, track: Track = silent
) -> Index:
    """Embed all pictures and regions of the corpora, but those with `exclude`, into folder `out`.

    `source` is the name or path the model was loaded from; the index remembers it. A finished
    index that already lies at `out` is replaced once the new one is complete; anything else there
    is refused with UsageError and left as it is. CorpusError where no picture is left to index.
    From rows of train and val it also learns when an answer is unsure (certainty.py).
    """
    _check_target(out)
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)  # what a killed run left behind
    aside.mkdir(parents=True)
    try:
        gathered = _Gathered(model, {text: text for text in model.phrases})
        with pa.ipc.new_file(str(aside / "thumbnails.arrow"), THUMBNAILS) as thumbnails:
            for corpus in corpora:
                gathered.add_corpus(corpus, thumbnails, track)
        facts = gathered.write(aside, track)
        manifest = {
            "index_layout": LAYOUT,
            "model": {
                "name": model.name,
                "source": _seen_from(out, source),
                "fingerprint": model.fingerprint,
                "image_size": model.image_size,
                "embedding_dim": model.embedding_dim,
            },
            "corpora": [{"name": c.folder.name, "fingerprint": c.fingerprint} for c in corpora],
            **facts,
        }
        (aside / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        _put_in_place(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return open_index(out)


@dataclass
class _Gathered:
    """Rows, vectors (n, E) and sentences of the entries seen so far.

    sentences  text -> what it is about: a finding's phrase, or the text itself; in order of coming
    phrases    for each row its finding's phrase; None for a whole picture
    lent       texts of records outside val: certainty is not fitted with val's own words
    """

    model: RegionClip
    sentences: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    phrases: list[str | None] = field(default_factory=list)
    lent: set[str] = field(default_factory=set)

    def add_corpus(self, corpus: Corpus, thumbnails: pa.RecordBatchWriter, track: Track) -> None:
        """Embed a corpus; thumbnails go to the file as they come, the rest is kept."""
        cache = open_picture_cache(corpus, int(self.model.image_size), track)
        # one by one: a record brings its masks, and those of a whole corpus do not fit in memory
        records = enumerate(track(corpus, f"index {corpus.folder.name}", len(corpus)))
        for chunk in _chunks((i, r) for i, r in records if r.exclude is None and r.frame):
            pixels_NHWC = np.stack([cache.pixels_NHWC[i] for i, _ in chunk])
            boxes = [unit_boxes(record, cache.placement(i)) for i, record in chunk]
            embedded = self.model.embed(pixels_NHWC, boxes)
            jpegs: list[bytes] = []
            for n, (i, record) in enumerate(chunk):
                picture = corpus.picture(i)
                jpegs.append(picture_thumbnail(picture))
                jpegs += [region_thumbnail(picture, region.box) for region in record.regions]
                # copied: a view would keep the batch alive, padded to its fullest picture
                self.vectors += [embedded.images[n][None].copy(), embedded.regions[n].copy()]
                self.rows += _rows(record, first=len(self.rows))
                texts = _texts(record, corpus)
                self.sentences |= texts
                self.phrases += [None, *_phrases(record, corpus)]
                self.lent |= set() if record.split == "val" else set(texts)
            thumbnails.write_batch(pa.record_batch([pa.array(jpegs, pa.binary())], THUMBNAILS))

    def write(self, folder: Path, track: Track) -> dict[str, Any]:
        """Write vectors, entries and sentences; returns their counts and the certainty."""
        if not self.rows:
            raise CorpusError(
                "no picture to index: every record of the corpus is excluded or has no picture"
            )
        texts = list(self.sentences)
        parts = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        encoded = [self.model.encode_text(part) for part in track(parts, "sentences", len(parts))]
        no_sentence_0E = np.zeros((0, int(self.model.embedding_dim)), np.float32)
        vectors = {
            "entries_NE": np.concatenate(self.vectors),
            "sentences_SE": np.concatenate([no_sentence_0E, *encoded]),
        }
        save_file(vectors, folder / "vectors.safetensors")
        pq.write_table(pa.Table.from_pylist(self.rows, ENTRIES), folder / "entries.parquet")
        findings = set(self.phrases)
        rows = [
            {"text": text, "about": about, "finding": about in findings}
            for text, about in self.sentences.items()
        ]
        pq.write_table(pa.Table.from_pylist(rows, SENTENCES), folder / "sentences.parquet")
        pictures = sum(row["region"] is None for row in self.rows)
        return {
            "pictures": pictures,
            "regions": len(self.rows) - pictures,
            "sentences": len(texts),
            "certainty": self.certainty(vectors["entries_NE"], vectors["sentences_SE"]).as_json(),
        }

    def certainty(
        self, entries_NE: NDArray[np.float32], sentences_SE: NDArray[np.float32]
    ) -> Certainty:
        """Fitted on val rows that the checkpoint was not trained on, against train rows."""
        known = {regions: self._numbers("train", regions) for regions in (False, True)}
        fresh = {regions: self._numbers("val", regions) for regions in (False, True)}
        sets = {
            regions: [self.rows[number]["set"] for number in numbers]
            for regions, numbers in fresh.items()
        }
        pictures, regions = (
            fit_familiar(entries_NE[known[kind]], entries_NE[fresh[kind]], sets[kind])
            for kind in (False, True)
        )
        findings = set(self.phrases)
        wordings = [
            row
            for row, (text, about) in enumerate(self.sentences.items())
            if about in findings and (text == about or text in self.lent)
        ]
        named = findings_of(list(self.sentences.values()), wordings, sentences_SE)
        truth = [str(self.phrases[number]) for number in fresh[True]]
        calibration = fit_calibration(named, entries_NE[fresh[True]], truth, sets[True])
        return Certainty(regions, pictures, calibration)

    def _numbers(self, split: str, regions: bool) -> list[int]:
        """Rows of a split that are regions, or pictures; of val those not trained on."""
        seen = (self.model.training_pictures or frozenset()) if split == "val" else frozenset()
        return [
            number
            for number, row in enumerate(self.rows)
            if row["split"] == split
            and (row["region"] is not None) == regions
            and row["sha256"] not in seen
        ]


def _rows(record: Record, first: int) -> Iterator[dict[str, Any]]:
    """The picture's row, then one a region; `first` is the number of the picture's row."""
    assert record.frame is not None  # only records with a picture come here
    shared = {
        "picture": first,
        "record": record.id,
        "set": record.set,
        "split": record.split,
        "sha256": record.sha256,
        "width": record.frame.width,
        "height": record.frame.height,
    }
    labels = ", ".join(record.labels) or None
    yield shared | {"region": None, "label": labels, "phrase": record.texts.summary}
    for number, region in enumerate(record.regions):
        yield shared | {
            "region": number,
            "label": region.label,
            "phrase": region.text,
            "box": list(region.box.edges),
        }


def _phrases(record: Record, corpus: Corpus) -> list[str]:
    """The finding's phrase of each region."""
    phrases = corpus.phrases.get(record.set, {})
    return [
        region_phrase(region.label, record.modality, phrases.get(region.label))
        for region in record.regions
    ]


def _texts(record: Record, corpus: Corpus) -> dict[str, str]:
    """What a record lends to answers: each text, and what it is about (see _Gathered)."""
    texts = {record.texts.summary: record.texts.summary} if record.texts.summary else {}
    for region, phrase in zip(record.regions, _phrases(record, corpus), strict=True):
        texts[phrase] = phrase
        if region.text:
            texts[region.text] = phrase
    return texts


def _chunks(items: Iterator[tuple[int, Record]]) -> Iterator[list[tuple[int, Record]]]:
    chunk: list[tuple[int, Record]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _check_target(out: Path) -> None:
    is_index = (out / "manifest.json").is_file() and (out / "vectors.safetensors").is_file()
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_index):
        raise UsageError(
            f"'{out}' already holds something that is no index; give --out a new folder or an index"
        )


def _put_in_place(aside: Path, out: Path) -> None:
    former = out.with_name(f".{out.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if out.exists():
        os.replace(out, former)
    os.replace(aside, out)
    shutil.rmtree(former, ignore_errors=True)


def _seen_from(out: Path, source: str) -> str:
    # relative, so that a folder holding both run and index can be moved; a model's name stays
    path = Path(source)
    return os.path.relpath(path.resolve(), out.resolve()) if path.exists() else source
