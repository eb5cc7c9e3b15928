"""Every task that fits one set, with its pictures placed and encoded once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The scored records of a Part through the model, once for all tasks."""

    pictures: Pictures | None  # None for stored vectors: they cannot be shown altered pictures
    views: RegionViews | None  # of the asked regions; None where none is asked
    test: Rows
    blank_NE: Floats | None  # each of part.records replaced by its mean grey


def run_tasks(model: Scored, part: Part, findings: Findings, track: Track) -> None:
    """Every task that fits the Part, after a last look for copies of training pictures."""
    train, val = rows_of(model, part, "train", track), rows_of(model, part, "val", track)
    part = _without_copies(model, part, train, track)
    findings.parts.append(part)
    asked = asked_regions(part)
    seen = _stored(model, part, asked) if is_stored(model) else _shown(model, part, asked, track)
    test, pictures, blank_regions = seen.test, seen.pictures, None
    if asked is not None and seen.views is not None:
        answers = run_regions(model, part, asked, seen.views)
        findings.regions.append(answers)
        findings.confidence.append(run_confidence(model, answers, train, val, test))
        if "blank" in seen.views.altered:
            blank_regions = (asked.places, seen.views.altered["blank"])
    if (found := run_region_retrieval(model, part, test)) is not None:
        findings.region_retrieval.append(found)
    if (retrieval := run_retrieval(model, part, test.images_NE, seen.blank_NE)) is not None:
        findings.retrieval.append(retrieval)
    if pictures is not None and not is_stored(model):
        grounding = run_grounding(model, part, pictures, track)
        findings.grounding.extend([] if grounding is None else [grounding])
    if (prompts := run_prompts(model, part, pictures, test.images_NE, val, track)) is not None:
        findings.prompts.append(prompts)
    if (vqa := run_vqa(model, part, pictures, test.images_NE, train, val, track)) is not None:
        findings.vqa.append(vqa)
    findings.linear_probes.extend(run_linear_probe(part, train, val, test) or ())
    probes = run_probes(model, part, train, test, blank_regions, seen.blank_NE)
    findings.probes.extend(probes or ())


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


def _shown(model: Subject, part: Part, asked: Asked | None, track: Track) -> _Seen:
    pictures = part.pictures(model.image_size, track)
    pairs = zip(pictures.pixels_NHWC, pictures.placements, strict=True)
    blanks = np.stack([grey_picture(*pair) for pair in pairs])
    blank_NE = encode(model, blanks, title=f"{part.name}: blank pictures", track=track).images_NE
    if asked is not None:
        views = view_regions(model, part, pictures, asked.places, asked.truth_R, track)
        given_RE = views.by_boxes["given"]
        test = Rows(part.records, views.images_NE, given_RE, asked.places)
        return _Seen(pictures, views, test, blank_NE)
    boxes = [
        boxes_to_unit([region.box for region in record.regions], placement)
        for record, placement in zip(part.records, pictures.placements, strict=True)
    ]
    title = f"{part.name}: pictures"
    encoded = encode(model, pictures.pixels_NHWC, boxes, title, track)
    test = Rows(part.records, encoded.images_NE, encoded.regions_RE, every_place(part.records))
    return _Seen(pictures, None, test, blank_NE)


def _stored(model: StoredSubject, part: Part, asked: Asked | None) -> _Seen:
    views = stored_views(model, part, asked) if asked is not None else None
    places = asked.places if asked is not None else every_place(part.records)
    regions_RE = model.stored_regions([(part.records[row].id, number) for row, number in places])
    if regions_RE is None:
        places, regions_RE = (), np.zeros((0, model.embedding_dim), np.float32)
    images_NE = model.stored_images(part.records)
    return _Seen(None, views, Rows(part.records, images_NE, regions_RE, places), None)
