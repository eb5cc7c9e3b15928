"""The contact sheet: one self-contained HTML page that shows what a corpus holds.

Counts by set, label, split, size and modality, licences, losses with their reasons, and pictures of
each set with their regions drawn where the annotation puts them. Marks are SVG in file pixels over
the thumbnail, so they stay exact at any zoom. The page loads nothing and runs no script.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.shards import Corpus
from regionmed.geometry import SIZE_STRATA
from regionmed.record import SPLITS, Record, Region

SAMPLES = 8  # pictures shown a set
REGIONS_DRAWN = 80  # regions drawn on one picture; the card says how many more there are
TEXTS_SHOWN = 3  # region texts and questions under one picture
THUMBNAIL = 400  # pixels of the longer side
# Okabe and Ito's colours, told apart by people with any common colour blindness
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
DASHES = ("", "6 3", "2 3")  # the eighth label is the first colour again, dashed


@dataclass(frozen=True)
class Pen:
    """How the regions of a label are drawn."""

    label: str
    phrase: str
    count: int
    colour: str
    dash: str


@dataclass(frozen=True)
class Shape:
    """One drawn region, in file pixels: a box, and an outline or a point where there is one."""

    pen: Pen
    box: tuple[float, float, float, float]  # x, y, width, height
    outline: str  # SVG path in outline pixels, to be scaled
    outline_scale: tuple[float, float]
    point: tuple[float, float] | None
    title: str


@dataclass(frozen=True)
class Card:
    """One picture of the sheet with what is said of it."""

    record: Record
    thumbnail: str  # base64 JPEG
    shapes: tuple[Shape, ...]
    undrawn: int

    @property
    def region_texts(self) -> tuple[Region, ...]:
        """The first regions that have a text."""
        return tuple(region for region in self.record.regions if region.text)[:TEXTS_SHOWN]

    @property
    def questions(self) -> Sequence[Any]:
        """The first questions."""
        return self.record.questions[:TEXTS_SHOWN]


@dataclass(frozen=True)
class Section:
    """One set of the corpus."""

    name: str
    source: dict[str, Any]  # the manifest's entry: format, card
    licence: str
    counts: dict[str, int]
    splits: list[tuple[str, int, float]]  # split, pictures, percent
    pens: tuple[Pen, ...]
    most: int  # regions of the commonest label
    picture_labels: list[tuple[str, int]]
    synthetic: bool
    losses: dict[str, Any]
    cards: tuple[Card, ...]


def write_sheet(corpus: Corpus, path: Path, limit: int = SAMPLES) -> Path:
    """Write the sheet of a corpus, `limit` pictures a set; the file is complete or absent."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["thousands"] = lambda number: f"{number:,}"
    template = resources.files(__package__).joinpath("sheet.html.jinja").read_text("utf-8")
    manifest = corpus.manifest
    page = environment.from_string(template).render(
        sections=[*_sections(corpus, limit)],
        fingerprint=corpus.fingerprint,
        totals={
            key: sum(counts.get(key, 0) for counts in manifest["sets"].values())
            for key in ("pictures", "regions", "captions", "questions", "open")
        },
        sizes=[(name, manifest["sizes"].get(name, 0)) for name, _ in SIZE_STRATA],
        modalities=_ranked(manifest["modalities"]),
        licences=_ranked(manifest["licences"]),
        excluded=_ranked(manifest["excluded"]),
    )
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(page, "utf-8")
    os.replace(aside, path)
    return path


def _ranked(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _sections(corpus: Corpus, limit: int) -> Iterator[Section]:
    manifest = corpus.manifest
    by_set: dict[str, list[tuple[int, Record]]] = {}
    for number, record in enumerate(corpus):
        by_set.setdefault(record.set, []).append((number, record))
    sources = {entry["set"]: entry for entry in manifest.get("sources", ())}
    for name, records in by_set.items():
        pens = _pens(manifest["region_labels"].get(name, {}), corpus.phrases.get(name, {}))
        splits = manifest["splits"].get(name, {})
        yield Section(
            name,
            {"format": None, "card": None} | sources.get(name, {}),
            _licence([record.licence.name for _, record in records]),
            manifest["sets"][name],
            [(s, splits.get(s, 0), 100 * splits.get(s, 0) / len(records)) for s in SPLITS],
            tuple(pens.values()),
            max((pen.count for pen in pens.values()), default=1),
            _ranked(manifest["picture_labels"].get(name, {})),
            all(record.provenance.synthetic for _, record in records),
            {"pictures": 0, "regions": 0, "reasons": {}} | manifest.get("ledger", {}).get(name, {}),
            tuple(_card(corpus, number, pens) for number in _samples(records, limit)),
        )


def _licence(names: Sequence[str | None]) -> str:
    found = sorted({name or "licence not known" for name in names})
    return found[0] if len(found) == 1 else f"{len(found)} licences, by picture"


def _pens(labels: dict[str, int], phrases: dict[str, str]) -> dict[str, Pen]:
    pens = {}
    for place, (label, count) in enumerate(_ranked(labels)):
        colour = COLOURS[place % len(COLOURS)]
        dash = DASHES[place // len(COLOURS) % len(DASHES)]
        pens[label] = Pen(label, phrases.get(label, label), count, colour, dash)
    return pens


def _samples(records: Sequence[tuple[int, Record]], limit: int) -> list[int]:
    """Numbers of the records to show: by lot, but each label once before any comes twice."""
    lots = sorted(
        (hashlib.sha256(record.id.encode()).digest(), number, record)
        for number, record in records
        if record.frame is not None
    )
    seen: set[str] = set()
    first: list[int] = []
    later: list[int] = []
    for _, number, record in lots:
        labels = {*record.labels, *(region.label for region in record.regions)}
        (first if labels - seen else later).append(number)
        seen |= labels
    return (first + later)[:limit]


def _card(corpus: Corpus, number: int, pens: dict[str, Pen]) -> Card:
    record = corpus[number]
    picture = corpus.picture(number)
    scale = min(1.0, THUMBNAIL / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = io.BytesIO()
    picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(small, "JPEG", quality=82)
    drawn = record.regions[:REGIONS_DRAWN]
    shapes = tuple(_shape(region, pens[region.label], size) for region in drawn)
    encoded = base64.b64encode(small.getvalue()).decode("ascii")
    return Card(record, encoded, shapes, len(record.regions) - len(drawn))


def _shape(region: Region, pen: Pen, thumbnail: tuple[int, int]) -> Shape:
    outline, scale = "", (1.0, 1.0)
    if region.mask is not None:
        # a full-size outline of a large mask would weigh more than its picture
        mask = Image.fromarray(region.mask.pixels).resize(thumbnail, Image.Resampling.NEAREST)
        outline = outline_path(np.asarray(mask))
        scale = region.box.frame.width / thumbnail[0], region.box.frame.height / thumbnail[1]
    point = (region.point.x, region.point.y) if region.point else None
    box = (region.box.x0, region.box.y0, region.box.width, region.box.height)
    return Shape(pen, box, outline, scale, point, region.text or pen.phrase)


def outline_path(mask: NDArray[np.bool_]) -> str:
    """The border of a mask, bool (H, W), as an SVG path along the outer edges of its pixels."""
    inside = np.pad(mask, 1)
    parts = []
    for y, x0, x1 in _runs(inside[1:, 1:-1] != inside[:-1, 1:-1]):
        parts.append(f"M{x0} {y}H{x1}")
    for x, y0, y1 in _runs((inside[1:-1, 1:] != inside[1:-1, :-1]).T):
        parts.append(f"M{x} {y0}V{y1}")
    return "".join(parts)


def _runs(edges: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first and past-the-last column of each run of true in bool (rows, columns)."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    yield from zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)
