"""One Record as one row of a shard's columns, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from regionmed.geometry import Box, Frame, Mask, Point
from regionmed.record import (
    FalseTwin,
    Licence,
    Provenance,
    Question,
    Record,
    Region,
    Texts,
)

_TEXT = pa.string()
_TWINS = pa.list_(pa.struct({"kind": _TEXT, "text": _TEXT}))
_QUESTION = pa.struct({"id": _TEXT, "question": _TEXT, "answer": _TEXT, "type": _TEXT})
_REGION = pa.struct(
    {
        "label": _TEXT,
        "box": pa.list_(pa.float64()),  # x0 y0 x1 y1 in file pixels, outer edges
        "shape": _TEXT,
        "point": pa.list_(pa.float64()),  # x y in file pixels, or null
        "has_mask": pa.bool_(),
        "mask_path": _TEXT,
        "text": _TEXT,
        "negatives": _TWINS,
        "source": _TEXT,
        "confidence": pa.float64(),
    }
)
_TEXT_COLUMNS = ("summary", "detailed", "negatives", "regions")
# one entry a region that has a mask: the upper left corner of the crop in file pixels, and its PNG
_MASK = pa.struct({"x": pa.int32(), "y": pa.int32(), "png": pa.binary()})
SCHEMA = pa.schema(
    {
        "id": _TEXT,
        "set": _TEXT,
        "image": pa.struct({"bytes": pa.binary(), "path": _TEXT}),
        "sha256": _TEXT,
        "width": pa.int32(),
        "height": pa.int32(),
        "modality": _TEXT,
        "labels": pa.list_(_TEXT),
        "caption": _TEXT,
        "summary": _TEXT,
        "detailed": _TEXT,
        "negatives": _TWINS,
        "report": pa.list_(pa.struct({"section": _TEXT, "text": _TEXT})),
        "questions": pa.list_(_QUESTION),
        "regions": pa.list_(_REGION),
        "masks": pa.list_(_MASK),
        "group": _TEXT,
        "twins": _TEXT,
        "split": _TEXT,
        "licence": _TEXT,
        "open": pa.bool_(),
        "exclude": _TEXT,
        "source": _TEXT,
        "format": _TEXT,
        "pixels": _TEXT,  # JSON: what pixels.py did
        "synthetic": pa.bool_(),
    },
    # tells Hugging Face `datasets` to show the column as pictures
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)


def to_columns(record: Record) -> dict[str, Any]:
    """The record's cells, its picture's bytes among them."""
    has_image = record.picture is not None or record.image is not None
    return {
        "id": record.id,
        "set": record.set,
        "image": {"bytes": record.picture, "path": record.image} if has_image else None,
        "sha256": record.sha256,
        "width": record.frame.width if record.frame else None,
        "height": record.frame.height if record.frame else None,
        "modality": record.modality,
        "labels": list(record.labels),
        "caption": record.texts.caption,
        "summary": record.texts.summary,
        "detailed": record.texts.detailed,
        "negatives": _twins(record.texts.negatives),
        "report": [{"section": key, "text": text} for key, text in record.texts.report.items()],
        "questions": [
            {"id": q.id, "question": q.question, "answer": q.answer, "type": q.type}
            for q in record.questions
        ],
        "regions": [_region_cells(region) for region in record.regions],
        "masks": [_pack(region.mask) for region in record.regions if region.mask is not None],
        "group": record.group,
        "twins": record.twins,
        "split": record.split,
        "licence": record.licence.name,
        "open": record.licence.open,
        "exclude": record.exclude,
        "source": record.provenance.source,
        "format": record.provenance.format,
        "pixels": json.dumps(record.provenance.pixels),
        "synthetic": record.provenance.synthetic,
    }


def from_columns(cells: Mapping[str, Any], masks: Sequence[Mapping[str, Any]] | None) -> Record:
    """The record of a row's cells; `masks` are the masks column's cells, None leaves them out."""
    frame = Frame("file", cells["width"], cells["height"]) if cells["width"] else None
    queue = iter(masks or ())
    regions = []
    if frame:
        for region in cells["regions"]:
            mask = next(queue) if masks is not None and region["has_mask"] else None
            regions.append(_region(region, frame, mask))
    return Record(
        cells["id"],
        cells["set"],
        cells["image"]["path"] if cells["image"] else None,
        cells["sha256"],
        frame,
        Provenance(
            cells["source"], cells["format"], json.loads(cells["pixels"]), cells["synthetic"]
        ),
        modality=cells["modality"],
        labels=tuple(cells["labels"]),
        texts=Texts(
            cells["caption"],
            cells["summary"],
            cells["detailed"],
            _false_twins(cells["negatives"]),
            {entry["section"]: entry["text"] for entry in cells["report"]},
        ),
        questions=tuple(Question(**question) for question in cells["questions"]),
        regions=tuple(regions),
        group=cells["group"],
        twins=cells["twins"],
        split=cells["split"],
        licence=Licence(cells["licence"], cells["open"]),
        exclude=cells["exclude"],
    )


def with_texts(group: pa.Table, describe: Callable[[Record], Record]) -> pa.Table:
    """The rows with the texts that `describe` gives their records; pictures and masks untouched."""
    rows = group.drop_columns(["masks", "image"])
    changed: dict[str, list[Any]] = {name: [] for name in _TEXT_COLUMNS}
    for cells in rows.to_pylist():
        cells["image"] = None
        described = to_columns(describe(from_columns(cells, None)))
        for region, told in zip(cells["regions"], described["regions"], strict=True):
            region |= {"text": told["text"], "negatives": told["negatives"]}
        for name in changed:
            changed[name].append((cells if name == "regions" else described)[name])
    for name, values in changed.items():
        column = pa.array(values, type=SCHEMA.field(name).type)
        group = group.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column)
    return group


def _region_cells(region: Region) -> dict[str, Any]:
    return {
        "label": region.label,
        "box": list(region.box.edges),
        "shape": region.shape,
        "point": [region.point.x, region.point.y] if region.point else None,
        "has_mask": region.mask is not None,
        "mask_path": region.mask_path,
        "text": region.text,
        "negatives": _twins(region.negatives),
        "source": region.source,
        "confidence": region.confidence,
    }


def _region(cells: Mapping[str, Any], frame: Frame, mask: Mapping[str, Any] | None) -> Region:
    x0, y0, x1, y1 = cells["box"]
    return Region(
        cells["label"],
        Box(x0, y0, x1, y1, frame),
        cells["shape"],
        Point(cells["point"][0], cells["point"][1], frame) if cells["point"] else None,
        _unpack(mask, frame) if mask else None,
        cells["mask_path"],
        cells["text"],
        _false_twins(cells["negatives"]),
        cells["source"],
        cells["confidence"],
    )


def _twins(negatives: Sequence[FalseTwin]) -> list[dict[str, str]]:
    return [{"kind": twin.kind, "text": twin.text} for twin in negatives]


def _false_twins(cells: Sequence[Mapping[str, Any]]) -> tuple[FalseTwin, ...]:
    return tuple(FalseTwin(twin["kind"], twin["text"]) for twin in cells)


def _pack(mask: Mask) -> dict[str, Any]:
    box = mask.box()
    x0, y0, x1, y1 = (int(edge) for edge in box.edges) if box else (0, 0, 1, 1)
    stored = io.BytesIO()
    Image.fromarray(mask.pixels[y0:y1, x0:x1]).save(stored, "PNG")
    return {"x": x0, "y": y0, "png": stored.getvalue()}


def _unpack(cells: Mapping[str, Any], frame: Frame) -> Mask:
    crop = np.asarray(Image.open(io.BytesIO(cells["png"])), dtype=np.bool_)
    pixels = np.zeros((frame.height, frame.width), dtype=np.bool_)
    x, y = cells["x"], cells["y"]
    pixels[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return Mask(pixels, frame)
