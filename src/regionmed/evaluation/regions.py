"""Region classification from given boxes: which of its set's phrases lies nearest to a region?

Scored within a set, over the labels with at least five regions in the split, where there are two
such labels; macro accuracy is the mean recall over them. Beside every score stand answers that do
not look at the region (controls.py), because place, size and the whole picture explain much.
Legend: R regions · L labels · E embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.controls import answers_from_boxes, box_features
from regionmed.evaluation.encode import Floats, encode_texts
from regionmed.evaluation.part import Part
from regionmed.evaluation.region_views import RegionViews
from regionmed.evaluation.statistics import Floats as Floats64
from regionmed.evaluation.statistics import Integers, expected_hits
from regionmed.evaluation.strata import (
    DECIDED_BY_PLACE,
    group_of,
    has_several_labels,
    region_strata,
    scored_labels,
)
from regionmed.evaluation.subject import Scored, StoredSubject


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
    control_hits: dict[str, Floats64]  # name -> credit of each region, 0..1; NaN: not asked
    source_hits: dict[str, Floats64]  # source of boxes -> the model's credit of each region
    gates_R2: Floats | None = None  # detail and context that each given region let in

    @property
    def hits(self) -> Floats64:
        """The model's credit for each region from its given box, 0..1; ties share it."""
        return self.source_hits["given"]

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

    @property
    def items(self) -> tuple[str, ...]:
        """Each region's name: the record's id, "#", its number in the record."""
        return tuple(f"{self.part.records[row].id}#{n}" for row, n in self.asked.places)


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


def run_regions(
    model: Scored,
    part: Part,
    asked: Asked,
    views: RegionViews,
) -> RegionAnswers:
    """Compare every asked region with the phrase of each label; the same for the controls.

    views  of `asked.places`; altered pictures and sources of boxes may be missing
    """
    texts_LE = encode_texts(model, [part.phrases[label] for label in asked.labels])
    rows = [row for row, _ in asked.places]

    def hits(vectors_RE: Floats) -> Floats64:
        hits_R = np.full(len(vectors_RE), np.nan)
        known_R = ~np.isnan(vectors_RE[:, 0])
        some_RE = vectors_RE[known_R]
        answered_R = some_RE.any(axis=1)  # zeros: no proposal lay over the region
        credit_R = expected_hits(some_RE @ texts_LE.T, asked.truth_R[known_R])
        hits_R[known_R] = credit_R * answered_R
        return hits_R

    sources = {source: hits(vectors_RE) for source, vectors_RE in views.by_boxes.items()}
    sources["none"] = hits(views.images_NE[rows])
    controls = _hits_without_pixels(part, asked)
    controls |= {name: hits(vectors_RE) for name, vectors_RE in views.altered.items()}
    if "random" in sources:
        controls["wrong-region"] = sources["random"]
    controls["whole-picture"] = sources["none"]
    return RegionAnswers(
        part=part,
        asked=asked,
        several_labels=has_several_labels([record for _, record in part.everything]),
        similarity_RL=views.by_boxes["given"] @ texts_LE.T,
        control_hits=controls,
        source_hits=sources,
        gates_R2=views.gates_R2,
    )


def stored_views(model: StoredSubject, part: Part, asked: Asked) -> RegionViews | None:
    """What vectors made beforehand allow: given boxes and whole pictures; None without regions."""
    places = [(part.records[row].id, number) for row, number in asked.places]
    regions_RE = model.stored_regions(places)
    if regions_RE is None:
        return None
    return RegionViews(model.stored_images(part.records), {"given": regions_RE}, {})


def _hits_without_pixels(part: Part, asked: Asked) -> dict[str, Floats64]:
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
