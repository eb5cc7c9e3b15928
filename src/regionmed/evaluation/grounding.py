"""Grounding: does a phrase, without a box, find its place in the picture?

One question for each (picture, label) of sets whose pictures hold few regions, points left out: the
model's heat map of the label's phrase, against all regions of that label in the picture. Pointing
counts where the hottest cell has its centre in their masks (boxes where there is no mask); miou is
the overlap of the map at one half or more with them; cnr how far the heat inside stands out from
that outside. The same maps propose boxes for detection.py, there in every picture for every label.
Maps live in the model frame; cells whose centre is outside the picture are ignored.
Legend: H W file pixels · h w cells · S model pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.detection import Detected, Detection, detected_labels, detection_of
from regionmed.evaluation.encode import BATCH, Floats
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.proposals import HOT, cells_inside, propose
from regionmed.evaluation.strata import regions_a_picture
from regionmed.evaluation.subject import Subject
from regionmed.geometry import Box, Frame, Placement, Point
from regionmed.progress import Track, silent
from regionmed.record import Region

MOST_REGIONS = 5  # median a picture: where a label is everywhere, pointing asks nothing
LEAST_QUESTIONS = 5
MOST_CONTRAST = 10.0  # where heat is the same everywhere on both sides the ratio has no bound

Flags = NDArray[np.bool_]
Floats64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a label is in one picture, on the cells of a map."""

    inside_hw: Flags  # the cell's centre is in the label's regions
    covered_hw: Floats  # the share of the cell that they cover, 0..1
    valid_hw: Flags  # the cell's centre is in the picture


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """One (picture, label) and what it earned; both maps are kept for the report.

    map_hw    of the picture; blank_hw of its grey twin, the same phrase asked
    """

    row: int  # in part.records
    label: str
    map_hw: Floats
    blank_hw: Floats
    largest: Box  # the largest region of the label: its size stratum
    pointing: float
    overlap: float
    contrast: float
    pointing_controls: dict[str, float]
    overlap_controls: dict[str, float]
    contrast_controls: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class GroundingAnswers:
    """All questions of a Part, and its detection where a label has enough regions for that."""

    part: Part
    answers: tuple[Grounded, ...]
    detection: Detection | None


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
    valid_hw = cells_inside(placement, cells, cells)
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


def contrast(map_hw: Floats, target: Target) -> float:
    """Contrast-to-noise ratio: (mean inside - mean outside) / sqrt(variance inside + outside).

    By area, as if every pixel had its cell's heat. Boecking et al. 2022 (BioViL) take the absolute
    value; the sign is kept here, so that a map that shuns the finding earns less than chance, 0.
    0 for a constant map, and where one side is empty; cut at MOST_CONTRAST on both ends.
    """
    valid_hw = target.valid_hw
    heat = map_hw[valid_hw].astype(np.float64)
    inside = target.covered_hw[valid_hw].astype(np.float64)
    outside = 1 - inside
    if not inside.any() or not outside.any() or heat.min() == heat.max():
        return 0.0
    (mean_in, noise_in), (mean_out, noise_out) = _moments(heat, inside), _moments(heat, outside)
    difference, noise = mean_in - mean_out, np.sqrt(noise_in + noise_out)
    return float(np.clip(difference / max(noise, 1e-9), -MOST_CONTRAST, MOST_CONTRAST))


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
    """Ask every (picture, label) and propose boxes; None where the set or the model does not fit.

    All phrases of a picture are asked at once: two forwards a picture, the second on its grey twin.
    """
    labels_of: dict[int, set[str]] = {}
    for row, label in questions(part):
        labels_of.setdefault(row, set()).add(label)
    if not labels_of:
        return None
    detected, prior = detected_labels(part), mean_training_box(part)
    rows = [row for row in range(len(part.records)) if detected or row in labels_of]
    answers: list[Grounded] = []
    true: list[Detected] = []
    blank: list[Detected] = []
    for start in track(range(0, len(rows), BATCH), f"{part.name}: grounding"):
        batch = rows[start : start + BATCH]
        asked = [sorted(labels_of.get(row, set()).union(detected)) for row in batch]
        both = _heat_and_blank(model, part, pictures, batch, asked)
        if both is None:
            return None
        for row, labels, maps_Lhw, blanks_Lhw in zip(batch, asked, *both, strict=True):
            placement = pictures.placements[row]
            for label, map_hw, blank_hw in zip(labels, maps_Lhw, blanks_Lhw, strict=True):
                if label in labels_of.get(row, ()):
                    answers.append(_ground(part, row, label, map_hw, blank_hw, placement, prior))
                if label in detected:
                    true += [Detected(row, label, one) for one in propose(map_hw, placement)]
                    blank += [Detected(row, label, one) for one in propose(blank_hw, placement)]
    return GroundingAnswers(part, tuple(answers), detection_of(part, true, blank, prior))


def _heat_and_blank(
    model: Subject,
    part: Part,
    pictures: Pictures,
    rows: Sequence[int],
    labels: Sequence[Sequence[str]],
) -> tuple[list[Floats], list[Floats]] | None:
    """Heat maps (L, h, w) of each picture's labels, in it and in its grey twin."""
    texts = [[part.phrases[label] for label in few] for few in labels]
    maps = model.heat(pictures.pixels_NHWC[list(rows)], texts)
    if maps is None:
        return None
    blanks = [grey_picture(pictures.pixels_NHWC[r], pictures.placements[r]) for r in rows]
    blank_maps = model.heat(np.stack(blanks), texts)
    assert blank_maps is not None
    return maps, blank_maps


def _ground(
    part: Part,
    row: int,
    label: str,
    map_hw: Floats,
    blank_hw: Floats,
    placement: Placement,
    prior: tuple[float, float, float, float] | None,
) -> Grounded:
    record = part.records[row]
    regions = [region for region in record.regions if region.label == label]
    pixels_HW = foreground(regions, placement.source)
    target = target_on_cells(pixels_HW, placement, len(map_hw))
    everywhere = np.ones_like(map_hw)
    point_controls = {"random map": pointing(everywhere, target)}
    overlap_controls = {"random map": overlap(everywhere, target)}
    contrast_controls = {"random map": 0.0}
    if prior is not None:
        box = Box.from_unit(prior, placement.source)
        x, y = box.centre
        point_controls["centre prior"] = float(pixels_HW[int(y), int(x)])
        boxed_HW = foreground([Region("prior", box, "box")], box.frame)
        shared, union = boxed_HW & pixels_HW, boxed_HW | pixels_HW
        overlap_controls["centre prior"] = float(shared.sum() / union.sum()) if union.any() else 0.0
        boxed_hw = target_on_cells(boxed_HW, placement, len(map_hw)).covered_hw
        contrast_controls["centre prior"] = contrast(boxed_hw, target)
    return Grounded(
        row=row,
        label=label,
        map_hw=map_hw.copy(),  # not a view that keeps the maps of the whole batch
        blank_hw=blank_hw.copy(),
        largest=max((region.box for region in regions), key=lambda box: box.area),
        pointing=pointing(map_hw, target),
        overlap=overlap(map_hw, target),
        contrast=contrast(map_hw, target),
        pointing_controls={**point_controls, "blank": pointing(blank_hw, target)},
        overlap_controls={**overlap_controls, "blank": overlap(blank_hw, target)},
        contrast_controls={**contrast_controls, "blank": contrast(blank_hw, target)},
    )


def _moments(values: Floats64, weights: Floats64) -> tuple[float, float]:
    """The weighted mean and variance."""
    mean = float(np.average(values, weights=weights))
    return mean, float(np.average((values - mean) ** 2, weights=weights))


def _sampled(pixels_HW: Flags, placement: Placement, cells: int) -> tuple[Flags, Flags]:
    """The file pixels under the centres of cells x cells cells, and which centres are inside."""
    back, side = placement.inverse(), placement.target.width / cells
    centres = (np.arange(cells) + 0.5) * side
    x, y = centres * back.x_scale + back.x_shift, centres * back.y_scale + back.y_shift
    height, width = pixels_HW.shape
    valid = cells_inside(placement, cells, cells)
    columns, rows = x.astype(int).clip(0, width - 1), y.astype(int).clip(0, height - 1)
    return pixels_HW[np.ix_(rows, columns)] & valid, valid
