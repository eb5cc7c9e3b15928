"""Region classification from given boxes: which of its set's phrases lies nearest to a region?

Scored within a set, over the labels with at least five regions in the split, where there are two
such labels; macro accuracy is the mean recall over them. Beside every score stand answers that do
not look at the region (controls.py), because place, size and the whole picture explain much.
Legend: R regions · L labels · E embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regionmed.batches.batch import boxes_to_unit
from regionmed.evaluation.controls import (
    SEED,
    answers_from_boxes,
    box_features,
    without_region,
    wrong_box,
)
from regionmed.evaluation.encode import BATCH, Encoded, Floats, encode, encode_texts
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.statistics import Integers, expected_hits
from regionmed.evaluation.strata import (
    DECIDED_BY_PLACE,
    group_of,
    has_several_labels,
    region_strata,
    scored_labels,
)
from regionmed.evaluation.subject import Subject
from regionmed.progress import Track, silent
from regionmed.record import Region


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The scored regions of a Part, picture after picture."""

    labels: tuple[str, ...]
    places: tuple[tuple[int, int], ...]  # row in part.records, number of the region in the record
    truth_R: Integers  # column in `labels`


@dataclass(frozen=True, slots=True, eq=False)
class RegionAnswers:
    """What was said of each region of a Part, by the model and by its controls."""

    part: Part
    asked: Asked
    several_labels: bool  # do most pictures of the set hold regions of several labels?
    similarity_RL: Floats
    control_hits: dict[str, np.ndarray]  # name -> credit of each region, 0..1

    @property
    def hits(self) -> np.ndarray:
        """The model's credit for each region, 0..1; ties share it."""
        return expected_hits(self.similarity_RL, self.asked.truth_R)

    @property
    def groups(self) -> list[str]:
        """What is resampled, for each region."""
        return [group_of(self.part.records[row]) for row, _ in self.asked.places]

    @property
    def strata(self) -> list[tuple[str, ...]]:
        """The strata of each region."""
        records = self.part.records
        return [
            region_strata(records[row], records[row].regions[number])
            for row, number in self.asked.places
        ]


def asked_regions(part: Part) -> Asked | None:
    """The regions to be classified; None where the set has no two labels with enough of them."""
    if part.name in DECIDED_BY_PLACE:
        return None
    frequent = scored_labels(region.label for record in part.records for region in record.regions)
    labels = tuple(label for label in frequent if label in part.phrases)
    if len(labels) < 2:
        return None
    found = [
        (row, number, labels.index(region.label))
        for row, record in enumerate(part.records)
        for number, region in enumerate(record.regions)
        if region.label in labels
    ]
    places = tuple((row, number) for row, number, _ in found)
    return Asked(labels, places, np.array([label for _, _, label in found]))


def encode_regions(
    model: Subject, part: Part, pictures: Pictures, asked: Asked, track: Track = silent
) -> tuple[Encoded, Encoded]:
    """Every picture once, with its asked regions and with one wrong box for each of them.

    returns  the images and true regions; the same images and the wrong regions
    """
    generator = np.random.default_rng(SEED)
    boxes_NR4, own = [], []
    for row, placement in enumerate(pictures.placements):
        true = [region.box for region in _regions_of(part, asked, row)]
        wrong = [wrong_box(box, generator) for box in true]
        boxes_NR4.append(boxes_to_unit([*true, *wrong], placement))
        own += [True] * len(true) + [False] * len(wrong)
    title = f"{part.name}: pictures and regions"
    both = encode(model, pictures.pixels_NHWC, boxes_NR4, title, track)
    is_own = np.array(own, bool)
    true_regions, wrong_regions = both.regions_RE[is_own], both.regions_RE[~is_own]
    return Encoded(both.images_NE, true_regions), Encoded(both.images_NE, wrong_regions)


def run_regions(
    model: Subject,
    part: Part,
    pictures: Pictures,
    asked: Asked,
    encoded: tuple[Encoded, Encoded],
    track: Track = silent,
) -> RegionAnswers:
    """Compare every asked region with the phrase of each label; the same for the controls."""
    true, wrong = encoded
    texts_LE = encode_texts(model, [part.phrases[label] for label in asked.labels])
    blank_RE = _encode_blanked(model, part, pictures, asked, track)
    rows = [row for row, _ in asked.places]
    truth_R = asked.truth_R
    control_hits = {
        **_hits_without_pixels(part, asked),
        "blank": expected_hits(blank_RE @ texts_LE.T, truth_R),
        "wrong-region": expected_hits(wrong.regions_RE @ texts_LE.T, truth_R),
        "whole-picture": expected_hits(true.images_NE[rows] @ texts_LE.T, truth_R),
    }
    return RegionAnswers(
        part=part,
        asked=asked,
        several_labels=has_several_labels([record for _, record in part.everything]),
        similarity_RL=true.regions_RE @ texts_LE.T,
        control_hits=control_hits,
    )


def _regions_of(part: Part, asked: Asked, row: int) -> list[Region]:
    regions = part.records[row].regions
    return [region for region in regions if region.label in asked.labels]


def _hits_without_pixels(part: Part, asked: Asked) -> dict[str, np.ndarray]:
    """majority and box-only, learnt on the set's train rows; nothing where these have no region."""
    learnt = [
        (box_features(record, region), region.label)
        for record in part.train
        for region in record.regions
        if region.label in asked.labels
    ]
    if not learnt:
        return {}
    boxes, names = [box for box, _ in learnt], [name for _, name in learnt]
    records = part.records
    questions = [box_features(records[r], records[r].regions[i]) for r, i in asked.places]
    truth = np.array(asked.labels)[asked.truth_R]
    commonest = min(asked.labels, key=lambda label: (-names.count(label), label))
    answers = np.array(answers_from_boxes(boxes, names, questions))
    return {
        "majority": (truth == commonest).astype(float),
        "box-only": (truth == answers).astype(float),
    }


def _encode_blanked(
    model: Subject, part: Part, pictures: Pictures, asked: Asked, track: Track
) -> Floats:
    """Each region in a picture of its own where it is filled with its border: one forward each."""
    rows: list[Floats] = []
    title = f"{part.name}: blanked regions"
    for start in track(range(0, len(asked.places), BATCH), title):
        places = asked.places[start : start + BATCH]
        boxes = [part.records[row].regions[number].box for row, number in places]
        pixels = [
            without_region(pictures.pixels_NHWC[row], box, pictures.placements[row])
            for (row, _), box in zip(places, boxes, strict=True)
        ]
        edges = [
            boxes_to_unit([box], pictures.placements[row])
            for (row, _), box in zip(places, boxes, strict=True)
        ]
        rows.append(encode(model, np.stack(pixels), edges).regions_RE)
    return np.concatenate(rows)
