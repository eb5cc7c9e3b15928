"""Boxes that reach past their picture: refused with one sentence, or clipped with a ledger line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from regionmed.corpus.readers.source import Loss
from regionmed.errors import CorpusError
from regionmed.geometry import Box
from regionmed.record import Record, Region

Outside = Literal["refuse", "clip"]
TOLERANCE = 1.0  # file pixels that an edge may pass its frame by rounding; it is cut without a word


def inside(record: Record, outside: Outside, note: Callable[[Loss], None]) -> Record:
    """The record with every box inside its frame, or a CorpusError."""
    regions: list[Region] = []
    for number, region in enumerate(record.regions, start=1):
        box = region.box
        if not box.is_inside(TOLERANCE) and outside == "refuse":
            raise CorpusError(_sentence(record, region, number))
        clipped = box.clipped()
        where = f"region {number} ('{region.label}')"
        if clipped is None:
            note(Loss("the box lies outside its picture", record.image, where))
            continue
        if not box.is_inside(TOLERANCE):
            note(Loss("kept, but its box was clipped to the picture", record.image, where))
        regions.append(replace(region, box=clipped))
    return replace(record, regions=tuple(regions))


def _sentence(record: Record, region: Region, number: int) -> str:
    box, frame = region.box, region.box.frame
    edges = ", ".join(f"{edge:g}" for edge in box.edges)
    sentence = (
        f"{record.set}, record '{record.image}', region {number} ('{region.label}'): box ({edges}) "
        f"reaches past its frame '{frame.name}' ({frame.width} x {frame.height} px). "
        "Correct the file, or build with --outside clip."
    )
    reads_sizes = record.provenance.format in ("coco", "boxes")
    if reads_sizes and box.x0 < box.width and box.y0 < box.height:
        other = Box(box.x0, box.y0, box.width, box.height, frame)
        if other.is_inside(TOLERANCE):
            sentence += (
                " If the file holds x0, y0, x1, y1, it must say so: x, y, width, height was read."
            )
    return sentence
