"""A record: one picture with its regions, texts and questions, and where all of it came from.

Everything spatial is in the picture's own frame, 'file', in pixels (see geometry.py).
`as_row` gives the row format that `regionmed corpus rows` writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from regionmed.errors import CorpusError
from regionmed.geometry import Box, Frame, Mask, Point

MODALITIES = (
    "xray",
    "mammography",
    "ct",
    "mri",
    "ultrasound",
    "microscopy",
    "endoscopy",
    "dermoscopy",
    "fundus",
    "photo",
)
SPLITS = ("train", "val", "test")
Shape = Literal["box", "polygon", "mask", "circle", "point"]
TwinKind = Literal["side", "finding", "location", "size", "negation"]


@dataclass(frozen=True, slots=True)
class FalseTwin:
    """A text that contradicts another in exactly one respect, its `kind`."""

    kind: TwinKind
    text: str


@dataclass(frozen=True, slots=True)
class Region:
    """One finding marked in a picture.

    `box` is always there: a point's box is the square it stands for (geometry.POINT_SIDE).
    `mask` is the region's foreground in the whole frame, `mask_path` the file it came from,
    relative to the source's top folder. `text` is the region's phrase, `negatives` its false twins.
    """

    label: str
    box: Box
    shape: Shape
    point: Point | None = None
    mask: Mask | None = None
    mask_path: str | None = None
    text: str | None = None
    negatives: tuple[FalseTwin, ...] = ()
    source: str = "annotation"  # who marked it: "annotation", "generator", "atlas", "model:NAME"
    confidence: float | None = None  # 0..1 where the source states one

    def __post_init__(self) -> None:
        if (self.shape == "point") != (self.point is not None):
            raise CorpusError(f"region '{self.label}': shape 'point' and a point belong together")
        if not self.label:
            raise CorpusError("a region needs a label, got an empty one")


@dataclass(frozen=True, slots=True)
class Texts:
    """What is said of the whole picture, on several levels."""

    caption: str | None = None  # written by a person for this picture
    summary: str | None = None  # one sentence, made by rule from labels and modality
    detailed: str | None = None  # several sentences: report or caption, else made from the regions
    negatives: tuple[FalseTwin, ...] = ()  # false twins of the caption, else of the summary
    report: dict[str, str | None] = field(default_factory=dict)  # section -> text


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture; `type` is 'closed' for yes/no, 'open' for the rest."""

    id: str
    question: str
    answer: str
    type: Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class Licence:
    """Under what terms a picture may be used; `open` means it may be passed on."""

    name: str | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a picture came from and what was done to its pixels (replayed by corpus/pixels.py)."""

    source: str  # name of the source folder, tar or zip
    format: str  # the reader that found it
    pixels: dict[str, Any] = field(
        default_factory=dict
    )  # e.g. window, rescale, MONOCHROME1 inverted
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One picture of a corpus; `frame` is None for rows of tables that have no picture."""

    id: str  # "<set>/<image>", unique in a corpus
    set: str
    image: str | None  # path below the source's top folder, "/" separated
    sha256: str | None  # of the source file's bytes
    frame: Frame | None
    provenance: Provenance
    modality: str | None = None
    labels: tuple[str, ...] = ()
    texts: Texts = Texts()
    questions: tuple[Question, ...] = ()
    regions: tuple[Region, ...] = ()
    group: str | None = None  # patient or case, a code without meaning outside the corpus
    twins: str | None = None  # family of near-identical pictures
    split: str | None = None
    licence: Licence = Licence()
    exclude: str | None = None  # why no training and no score may use this record
    picture: bytes | None = field(default=None, repr=False, compare=False)  # encoded PNG or JPEG

    def __post_init__(self) -> None:
        if self.modality is not None and self.modality not in MODALITIES:
            raise CorpusError(
                f"record '{self.id}': modality '{self.modality}' is none of {', '.join(MODALITIES)}"
            )
        if self.split is not None and self.split not in SPLITS:
            raise CorpusError(
                f"record '{self.id}': split '{self.split}' is none of {', '.join(SPLITS)}"
            )
        if any(region.box.frame != self.frame for region in self.regions):
            raise CorpusError(
                f"record '{self.id}': a region lives in another frame than its picture"
            )


def as_row(record: Record) -> dict[str, Any]:
    """The record in the row format: JSON types, boxes x0 y0 x1 y1 in 0..1 of the picture."""
    frame = record.frame
    return {
        "set": record.set,
        "image": record.image,
        "sha256": record.sha256,
        "width": frame.width if frame else None,
        "height": frame.height if frame else None,
        "modality": record.modality,
        "labels": list(record.labels),
        "caption": record.texts.caption,
        "report": dict(record.texts.report),
        "qa": [
            {"id": q.id, "question": q.question, "answer": q.answer, "type": q.type}
            for q in record.questions
        ],
        "regions": [
            {
                "label": region.label,
                "box": _unit_box(region),
                "mask": region.mask_path,
                "shape": region.shape,
            }
            for region in record.regions
        ],
        "group": record.group,
        "twins": record.twins,
        "split": record.split,
        "open": record.licence.open,
        "exclude": record.exclude,
    }


def _unit_box(region: Region) -> list[float]:
    if region.point is None:
        return [round(edge, 6) for edge in region.box.unit()]
    frame = region.point.frame
    x, y = round(region.point.x / frame.width, 6), round(region.point.y / frame.height, 6)
    return [x, y, x, y]
