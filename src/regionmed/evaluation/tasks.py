"""Every task that fits one set, with its pictures placed and encoded once for all of them.

An evaluation may ask for fewer tasks. What it asks is answered as in a whole one, with the same
controls; what no task needs is not encoded, which a model that is shown crops feels most.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from regionmed.batches.batch import boxes_to_unit
from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import Floats, Rows, encode, every_place, rows_of
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.grounding import run_grounding
from regionmed.evaluation.linear_probe import run_linear_probe
from regionmed.evaluation.neighbours import drop_neighbours
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.probes import run_probes
from regionmed.evaluation.region_confidence import run_confidence
from regionmed.evaluation.region_retrieval import run_region_retrieval
from regionmed.evaluation.region_views import RegionViews, view_regions
from regionmed.evaluation.regions import Asked, asked_regions, run_regions, stored_views
from regionmed.evaluation.retrieval import run_retrieval
from regionmed.evaluation.subject import Scored, StoredSubject, Subject, is_stored
from regionmed.evaluation.vqa import run_vqa
from regionmed.evaluation.zero_shot import run_prompts
from regionmed.progress import Track

TASKS = (
    "regions",
    "confidence",  # calibration, selective answers, regions of other sets
    "region_retrieval",
    "retrieval",
    "grounding",
    "prompts",
    "vqa",
    "linear_probes",
    "probes",  # true texts against false ones
)
_OF_REGIONS = {"regions", "confidence", "region_retrieval", "linear_probes", "probes"}
_LEARN_FROM_TRAIN_REGIONS = {"confidence", "vqa", "linear_probes", "probes"}
FOR_A_MEAN = 25  # regions of a label where the probes alone ask for them: they take their mean
_LEARN_FROM_VAL_REGIONS = {"confidence", "vqa", "linear_probes"}
_LEARN_FROM_VAL = {"prompts", *_LEARN_FROM_VAL_REGIONS}
_BESIDE_BLANK_PICTURES = {"retrieval", "probes"}  # the other tasks make those they need
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The scored records of a Part through the model, once for all tasks."""

    pictures: Pictures | None  # None for stored vectors: they cannot be shown altered pictures
    views: RegionViews | None  # of the asked regions; None where none is asked
    test: Rows
    blank_NE: Floats | None  # each of part.records replaced by its mean grey


def run_tasks(
    model: Scored,
    part: Part,
    findings: Findings,
    track: Track,
    tasks: Collection[str] = TASKS,
) -> None:
    """Those of `tasks` that fit the Part, after a last look for copies of training pictures."""
    wanted = frozenset(tasks)
    train, val = _learnt(model, part, wanted, track)
    part = _without_copies(model, part, train, track)
    findings.parts.append(part)
    asked = asked_regions(part) if wanted & _OF_REGIONS else None
    if is_stored(model):
        seen = _stored(model, part, asked)
    else:
        seen = _shown(model, part, asked, wanted, track)
    if asked is not None and seen.views is not None:
        answers = run_regions(model, part, asked, seen.views)
        if "regions" in wanted:
            findings.regions.append(answers)
        if "confidence" in wanted:
            findings.confidence.append(run_confidence(model, answers, train, val, seen.test))
    if "region_retrieval" in wanted:
        findings.region_retrieval.extend(_some(run_region_retrieval(model, part, seen.test)))
    _about_pictures(model, part, seen, (train, val), findings, wanted, track)
    if "linear_probes" in wanted:
        findings.linear_probes.extend(run_linear_probe(part, train, val, seen.test) or ())
    if "probes" in wanted:
        blank = None
        if asked is not None and seen.views is not None and "blank" in seen.views.altered:
            blank = (asked.places, seen.views.altered["blank"])
        probes = run_probes(model, part, train, seen.test, blank, seen.blank_NE)
        findings.probes.extend(probes or ())


def _about_pictures(
    model: Scored,
    part: Part,
    seen: _Seen,
    learnt: tuple[Rows, Rows],
    findings: Findings,
    wanted: frozenset[str],
    track: Track,
) -> None:
    """What is asked of whole pictures. learnt: rows of train, rows of val."""
    train, val = learnt
    images_NE, pictures = seen.test.images_NE, seen.pictures
    if "retrieval" in wanted:
        findings.retrieval.extend(_some(run_retrieval(model, part, images_NE, seen.blank_NE)))
    if "grounding" in wanted and pictures is not None and not is_stored(model):
        findings.grounding.extend(_some(run_grounding(model, part, pictures, track)))
    if "prompts" in wanted:
        found = run_prompts(model, part, pictures, images_NE, val, track)
        findings.prompts.extend(_some(found))
    if "vqa" in wanted:
        answers = run_vqa(model, part, pictures, images_NE, train, val, track)
        findings.vqa.extend(_some(answers))


def _some(found: T | None) -> tuple[T, ...]:
    """What a task found; nothing where it did not fit."""
    return () if found is None else (found,)


def _learnt(model: Scored, part: Part, wanted: frozenset[str], track: Track) -> tuple[Rows, Rows]:
    """Train and val rows as far as the tasks learn from them; copies are told by train pictures."""
    most = None if wanted & _LEARN_FROM_VAL_REGIONS else FOR_A_MEAN
    regions = bool(wanted & _LEARN_FROM_TRAIN_REGIONS)
    train = rows_of(model, part, "train", track, regions=regions, most=most)
    if not wanted & _LEARN_FROM_VAL:
        none = np.zeros((0, model.embedding_dim), np.float32)
        return train, Rows((), none, none, ())
    return train, rows_of(model, part, "val", track, regions=bool(wanted & _LEARN_FROM_VAL_REGIONS))


def _without_copies(model: Scored, part: Part, train: Rows, track: Track) -> Part:
    """The Part without pictures that lie, to the model, beside a training picture and copy it."""
    if model.training_pictures is None or not train.records:
        return part
    if is_stored(model):
        images_NE = model.stored_images(part.records)
    else:
        pixels_NHWC = part.pictures(model.image_size, track).pixels_NHWC
        title = f"{part.name}: near training"
        images_NE = encode(model, pixels_NHWC, title=title, track=track).images_NE
    none = np.zeros((0, model.embedding_dim), np.float32)
    asked = Rows(part.records, images_NE, none, ())
    return drop_neighbours(part, train, asked, model.training_pictures)


def _shown(
    model: Subject, part: Part, asked: Asked | None, wanted: frozenset[str], track: Track
) -> _Seen:
    pictures = part.pictures(model.image_size, track)
    blank_NE = None
    if wanted & _BESIDE_BLANK_PICTURES:
        pairs = zip(pictures.pixels_NHWC, pictures.placements, strict=True)
        blanks, title = np.stack([grey_picture(*pair) for pair in pairs]), f"{part.name}: blank"
        blank_NE = encode(model, blanks, title=title, track=track).images_NE
    if asked is not None:
        views = view_regions(model, part, pictures, asked.places, asked.truth_R, track)
        given_RE = views.by_boxes["given"]
        test = Rows(part.records, views.images_NE, given_RE, asked.places)
        return _Seen(pictures, views, test, blank_NE)
    title, regions = f"{part.name}: pictures", "probes" in wanted  # which ask every region
    boxes = [
        boxes_to_unit([region.box for region in record.regions], placement)
        for record, placement in zip(part.records, pictures.placements, strict=True)
    ]
    encoded = encode(model, pictures.pixels_NHWC, boxes if regions else None, title, track)
    places = every_place(part.records) if regions else ()
    test = Rows(part.records, encoded.images_NE, encoded.regions_RE, places)
    return _Seen(pictures, None, test, blank_NE)


def _stored(model: StoredSubject, part: Part, asked: Asked | None) -> _Seen:
    views = stored_views(model, part, asked) if asked is not None else None
    places = asked.places if asked is not None else every_place(part.records)
    regions_RE = model.stored_regions([(part.records[row].id, number) for row, number in places])
    if regions_RE is None:
        places, regions_RE = (), np.zeros((0, model.embedding_dim), np.float32)
    images_NE = model.stored_images(part.records)
    return _Seen(None, views, Rows(part.records, images_NE, regions_RE, places), None)
