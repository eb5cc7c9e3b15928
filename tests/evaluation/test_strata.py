"""Which labels are scored, and which rows belong to which part."""

from collections.abc import Sequence

from regionmed.evaluation.strata import (
    group_of,
    has_several_labels,
    region_strata,
    regions_a_picture,
    scored_labels,
)
from regionmed.geometry import Box, Frame
from regionmed.record import Provenance, Record, Region

FRAME = Frame("file", 100, 100)


def record_with(labels: Sequence[str], **rest: str) -> Record:
    regions = tuple(Region(label, Box(0, 0, 10, 10, FRAME), "box") for label in labels)
    return Record("s/a", "s", "a", "f00", FRAME, Provenance("s", "voc"), regions=regions, **rest)


def test_a_label_needs_five_and_uncategorised_is_no_kind() -> None:
    labels = ["b"] * 5 + ["a"] * 7 + ["c"] * 4 + ["uncategorised"] * 20
    assert scored_labels(labels) == ("a", "b")


def test_a_patient_comes_before_a_twin_before_a_picture() -> None:
    assert group_of(record_with([], group="p1", twins="t1")) == "group p1"
    assert group_of(record_with([], twins="t1")) == "twins t1"
    assert group_of(record_with([])) == "picture s/a"


def test_a_region_knows_its_size_modality_and_company() -> None:
    record = record_with(["a", "b", "b"], modality="ct")
    assert region_strata(record, record.regions[0]) == ("small", "modality:ct", "regions:2-5")


def test_more_than_half_of_the_marked_pictures_decide() -> None:
    two, one, none = record_with(["a", "b"]), record_with(["a", "a"]), record_with([])
    assert has_several_labels([two, two, one, none, none])
    assert not has_several_labels([two, one, none])
    assert not has_several_labels([none])


def test_the_median_leaves_pictures_without_regions_out() -> None:
    records = [record_with(["a"] * count) for count in (1, 2, 9, 0, 0, 0)]
    assert regions_a_picture(records) == 2
    assert regions_a_picture([record_with([])]) == 0
