"""What is asked of detection, its controls, and its scores by size and over sets."""

from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.average_precision import DRAWS
from regionmed.evaluation.detection import MODEL, Detected, Detection, detection_of
from regionmed.evaluation.detection_scores import score_detection
from regionmed.evaluation.part import Part
from regionmed.evaluation.proposals import Proposal
from regionmed.evaluation.score import Conditions
from regionmed.geometry import Box


def part_of(corpus: Corpus, name: str = "squares") -> Part:
    records = tuple(record for record in corpus if record.split == "test")
    conditions = Conditions("model", "0" * 64, "c" * 64, "test", "none")
    return Part(name, corpus, tuple(range(len(records))), records, (), corpus.phrases["squares"],
                conditions)  # fmt: skip


def perfect(part: Part) -> list[Detected]:
    """Every region with full confidence."""
    return [
        Detected(row, region.label, Proposal(region.box, 1.0))
        for row, record in enumerate(part.records)
        for region in record.regions
    ]


def detection(part: Part, found: list[Detected]) -> Detection:
    made = detection_of(part, found, [], (0.3, 0.3, 0.6, 0.6))
    assert made is not None
    return made


def test_controls_propose_one_box_for_each_label_in_every_picture(squares: Corpus) -> None:
    part = part_of(squares)
    found = detection(part, perfect(part)).found
    assert set(found) == {MODEL, "blank", "centre prior", "random box"}
    assert len(found["centre prior"]) == len(found["random box"]) == 24 * 2
    assert {box.edges for box in found["centre prior"]} == {(0.3, 0.3, 0.6, 0.6)}
    assert len({box.score for box in found["random box"]}) == 48
    made = detection_of(part, [], [], None)
    assert made is not None
    assert "centre prior" not in made.found


def test_without_enough_regions_of_a_label_nothing_is_asked(squares: Corpus) -> None:
    part = part_of(squares)
    few = replace(part, records=part.records[:8])  # four of each label
    assert detection_of(few, perfect(few), [], None) is None


def test_perfect_boxes_reach_one_and_twenty_four_right_of_as_many_are_no_certainty(
    squares: Corpus,
) -> None:
    part = part_of(squares)
    scores = score_detection([detection(part, perfect(part))])
    rows = {(s.set, s.stratum, s.details["iou"]): s for s in scores}
    assert set(rows) == {
        (name, stratum, iou)
        for name, stratum in [("squares", "all"), ("mean:all", "all"), ("mean:all", "medium")]
        for iou in (".50:.95", ".50")
    }
    whole = rows["squares", "all", ".50:.95"]
    assert whole.value == pytest.approx(1)
    assert 0.75 < whole.low < 0.95
    assert whole.high == pytest.approx(1)
    assert whole.controls["blank"] == 0
    assert whole.chance == whole.controls["random box"] < 0.1
    assert whole.details["differences"]["blank"]["value"] == pytest.approx(1)
    assert whole.details["draws"] == DRAWS


def test_sets_weigh_the_same_in_the_mean(squares: Corpus) -> None:
    """One set found wholly, the other not at all: one half."""
    first, second = part_of(squares, "first"), part_of(squares, "second")
    scores = score_detection([detection(first, perfect(first)), detection(second, [])])
    value = {s.set: s.value for s in scores if s.stratum == "all" and s.details["iou"] == ".50"}
    assert value == pytest.approx({"first": 1, "second": 0, "mean:all": 0.5})


def test_boxes_beside_the_picture_square_are_scored_in_its_own_units(squares: Corpus) -> None:
    """A box moved by a quarter of its width: IoU .75 / 1.25 = .6, right at three thresholds."""
    part = part_of(squares)
    moved = []
    for one in perfect(part):
        box = one.proposal.box
        shifted = Box(box.x0 + 4.99, box.y0, box.x1 + 4.99, box.y1, box.frame)
        moved.append(replace(one, proposal=Proposal(shifted, float(np.float32(0.9)))))
    scores = score_detection([detection(part, moved)])
    value = {s.details["iou"]: s.value for s in scores if s.set == "squares"}
    assert value[".50:.95"] == pytest.approx(0.3)
    assert value[".50"] == pytest.approx(1)
