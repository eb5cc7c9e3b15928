"""Grounding: does a phrase, without a box, find its place in the picture?

One question for each (picture, label) of sets whose pictures hold few regions, points left out: the
model's heat map of the label's phrase, against all regions of that label in the picture. Pointing
counts where the hottest cell has its centre in their masks (boxes where there is no mask); miou is
the overlap of the map at one half or more with them. Maps live in the model frame; cells whose
centre is outside the picture are ignored. Legend: H W file pixels · h w cells · S model pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import BATCH, Floats
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.strata import regions_a_picture
from regionmed.evaluation.subject import Subject
from regionmed.geometry import Box, Frame, Placement, Point
from regionmed.progress import Track, silent
from regionmed.record import Region

MOST_REGIONS = 5  # median a picture: where a label is everywhere, pointing asks nothing
LEAST_QUESTIONS = 5
HOT = 0.5

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a label is in one picture, on the cells of a map."""

    inside_hw: Flags  # the cell's centre is in the label's regions
    covered_hw: Floats  # the share of the cell that they cover, 0..1
    valid_hw: Flags  # the cell's centre is in the picture


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """One (picture, label) and what it earned; `map_hw` is kept for the report."""

    row: int  # in part.records
    label: str
    map_hw: Floats
    largest: Box  # the largest region of the label: its size stratum
    pointing: float
    overlap: float
    pointing_controls: dict[str, float]
    overlap_controls: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class GroundingAnswers:
    """All questions of a Part."""

    part: Part
    answers: tuple[Grounded, ...]


def foreground(regions: Sequence[Region], frame: Frame) -> Flags:
    """The pixels (H, W) of any of the regions: masks, and boxes where there is no mask.

    A box holds the pixels whose centre lies in it.
    """
    pixels_HW = np.zeros((frame.height, frame.width), bool)
    for region in regions:
        if region.mask is not None:
            pixels_HW |= region.mask.pixels
        else:
            box = region.box
            columns = slice(*(max(int(np.ceil(edge - 0.5)), 0) for edge in (box.x0, box.x1)))
            rows = slice(*(max(int(np.ceil(edge - 0.5)), 0) for edge in (box.y0, box.y1)))
            pixels_HW[rows, columns] = True
    return pixels_HW


def target_on_cells(pixels_HW: Flags, placement: Placement, cells: int) -> Target:
    """Foreground of the file frame, seen on `cells` x `cells` cells of the model frame."""
    inside_hw, valid_hw = _sampled(pixels_HW, placement, cells)
    fine = cells * max(1, placement.target.width // cells)
    covered_SS, _ = _sampled(pixels_HW, placement, fine)
    step = fine // cells
    covered_hw = covered_SS.reshape(cells, step, cells, step).mean(axis=(1, 3), dtype=np.float32)
    return Target(inside_hw, covered_hw, valid_hw)


def pointing(map_hw: Floats, target: Target) -> float:
    """1 where the hottest cell of the picture is inside; tied cells share, so 0..1."""
    heat = np.where(target.valid_hw, map_hw, -np.inf)
    return float(target.inside_hw[heat == heat.max()].mean())


def hottest_place(map_hw: Floats, placement: Placement) -> tuple[float, float]:
    """The centre of the picture's hottest cell, the first of equals; x, y in file pixels."""
    cells = len(map_hw)
    side = placement.target.width / cells
    frame = placement.source
    everywhere = np.ones((frame.height, frame.width), bool)
    valid_hw = _sampled(everywhere, placement, cells)[1]
    row, column = divmod(int(np.where(valid_hw, map_hw, -np.inf).argmax()), cells)
    centre = Point((column + 0.5) * side, (row + 0.5) * side, placement.target)
    place = placement.inverse().point(centre)
    return place.x, place.y


def overlap(map_hw: Floats, target: Target) -> float:
    """Intersection over union of the cells at HOT or above with what the regions cover, by area."""
    hot_hw = (map_hw >= HOT) & target.valid_hw
    covered_hw = target.covered_hw
    union = hot_hw.sum() + covered_hw[~hot_hw].sum()
    return float(covered_hw[hot_hw].sum() / union) if union else 0.0


def mean_training_box(part: Part) -> tuple[float, float, float, float] | None:
    """The mean box of the set's train regions, x0 y0 x1 y1 in 0..1 of the picture."""
    boxes = [region.box.unit() for record in part.train for region in record.regions]
    if not boxes:
        return None
    x0, y0, x1, y1 = np.mean(boxes, axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def questions(part: Part) -> list[tuple[int, str]]:
    """(row, label) pairs to be asked; empty where the set is not of that kind."""
    everything = [record for _, record in part.everything]
    shapes = {region.shape for record in everything for region in record.regions}
    if "point" in shapes or regions_a_picture(everything) > MOST_REGIONS:
        return []
    pairs = [
        (row, label)
        for row, record in enumerate(part.records)
        for label in sorted({region.label for region in record.regions})
        if label in part.phrases
    ]
    return pairs if len(pairs) >= LEAST_QUESTIONS else []


def run_grounding(
    model: Subject, part: Part, pictures: Pictures, track: Track = silent
) -> GroundingAnswers | None:
    """Ask every (picture, label) once, and once more on the grey picture; None where not asked."""
    asked = questions(part)
    answers: list[Grounded] = []
    for start in track(range(0, len(asked), BATCH), f"{part.name}: grounding"):
        batch = asked[start : start + BATCH]
        texts = [[part.phrases[label]] for _, label in batch]
        rows = [row for row, _ in batch]
        maps = model.heat(pictures.pixels_NHWC[rows], texts)
        if maps is None:
            return None
        blanks = [grey_picture(pictures.pixels_NHWC[r], pictures.placements[r]) for r in rows]
        blank_maps = model.heat(np.stack(blanks), texts)
        assert blank_maps is not None
        answers += [
            _ground(part, row, label, one[0], blank[0], pictures.placements[row])
            for (row, label), one, blank in zip(batch, maps, blank_maps, strict=True)
        ]
    return GroundingAnswers(part, tuple(answers)) if answers else None


def _ground(
    part: Part, row: int, label: str, map_hw: Floats, blank_hw: Floats, placement: Placement
) -> Grounded:
    record = part.records[row]
    regions = [region for region in record.regions if region.label == label]
    pixels_HW = foreground(regions, placement.source)
    target = target_on_cells(pixels_HW, placement, len(map_hw))
    everywhere = np.ones_like(map_hw)
    point_controls = {"random map": pointing(everywhere, target)}
    overlap_controls = {"random map": overlap(everywhere, target)}
    prior = mean_training_box(part)
    if prior is not None:
        box = Box.from_unit(prior, placement.source)
        x, y = box.centre
        point_controls["centre prior"] = float(pixels_HW[int(y), int(x)])
        overlap_controls["centre prior"] = _box_overlap(box, pixels_HW)
    return Grounded(
        row=row,
        label=label,
        map_hw=map_hw,
        largest=max((region.box for region in regions), key=lambda box: box.area),
        pointing=pointing(map_hw, target),
        overlap=overlap(map_hw, target),
        pointing_controls={**point_controls, "blank": pointing(blank_hw, target)},
        overlap_controls={**overlap_controls, "blank": overlap(blank_hw, target)},
    )


def _box_overlap(box: Box, pixels_HW: Flags) -> float:
    whole = Region("prior", box, "box")
    boxed = foreground([whole], box.frame)
    return float((boxed & pixels_HW).sum() / (boxed | pixels_HW).sum())


def _sampled(pixels_HW: Flags, placement: Placement, cells: int) -> tuple[Flags, Flags]:
    """The file pixels under the centres of cells x cells cells, and which centres are inside."""
    back, side = placement.inverse(), placement.target.width / cells
    centres = (np.arange(cells) + 0.5) * side
    x, y = centres * back.x_scale + back.x_shift, centres * back.y_scale + back.y_shift
    height, width = pixels_HW.shape
    valid = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    columns, rows = x.astype(int).clip(0, width - 1), y.astype(int).clip(0, height - 1)
    return pixels_HW[np.ix_(rows, columns)] & valid, valid
