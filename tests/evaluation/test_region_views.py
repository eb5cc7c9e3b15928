"""Where regions are read from, and which of them are asked apart."""

from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.evaluation import region_views
from regionmed.evaluation.part import open_parts
from regionmed.evaluation.region_views import (
    best_overlap,
    drawn_evenly,
    moved_boxes,
    view_regions,
)
from regionmed.evaluation.regions import asked_regions
from regionmed.geometry import Box, Frame
from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip

FRAME = Frame("file", 100, 100)


def test_regions_are_drawn_evenly_over_labels_until_the_rare_ones_are_all_there() -> None:
    labels = np.repeat([0, 1, 2], [90, 8, 2])
    drawn = drawn_evenly(labels, 30)
    assert [int(drawn[labels == label].sum()) for label in (0, 1, 2)] == [20, 8, 2]
    assert drawn_evenly(labels, 100).all()
    assert (drawn_evenly(labels, 30) == drawn).all()


def test_a_proposal_stands_for_the_box_it_overlaps_most_and_none_is_none() -> None:
    box = Box(10, 10, 30, 30, FRAME)
    near, far = Box(12, 12, 34, 34, FRAME), Box(50, 50, 90, 90, FRAME)
    assert best_overlap(box, [far, near]) is near
    assert best_overlap(box, [far]) is None
    assert best_overlap(box, []) is None


def test_views_of_one_forward_are_those_of_single_regions(
    squares: Corpus, untrained: RegionClip
) -> None:
    (part,) = open_parts(untrained, [squares], "test")
    asked = asked_regions(part)
    assert asked is not None
    pictures = part.pictures(untrained.image_size)
    views = view_regions(untrained, part, pictures, asked.places, asked.truth_R)
    row, number = asked.places[3]
    for source in ("given", "jitter-20", "random"):
        box = moved_boxes(part, asked.places)[source][3]
        assert box is not None
        edges = np.array([box.edges], np.float32)
        alone = untrained.encode_regions(part.corpus.picture(part.indices[row]), edges)
        assert views.by_boxes[source][3] == pytest.approx(alone[0], abs=1e-5)
    assert set(views.altered) == {"blank", "context-free", "marker"}
    assert views.gates_R2 is not None
    assert views.gates_R2.shape == (len(asked.places), 2)
    assert number == 0


def test_moved_boxes_that_cost_a_forward_each_are_asked_of_drawn_regions(
    squares: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_views, "MOST_APART", 4)
    alpha = RegionClip(replace(TINY, regions="alpha"))
    (part,) = open_parts(alpha, [squares], "test")
    asked = asked_regions(part)
    assert asked is not None
    pictures = part.pictures(alpha.image_size)
    views = view_regions(alpha, part, pictures, asked.places, asked.truth_R)
    read = {name: np.isfinite(rows_RE[:, 0]) for name, rows_RE in views.by_boxes.items()}
    assert read["given"].all()
    assert len(asked.places) > 4
    drawn = drawn_evenly(asked.truth_R, 4)
    assert all((read[name] == drawn).all() for name in ("jitter-10", "random"))
    assert (np.isfinite(views.altered["marker"][:, 0]) == drawn).all()
