"""A false twin differs in one respect and cannot be true: by annotation or by form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmed.corpus.describe import describe
from regionmed.corpus.negatives import region_twins, swap_side, toggle_negation
from regionmed.corpus.wording import place_of
from regionmed.geometry import Box, Frame, Point
from regionmed.record import Provenance, Record, Region, Texts

FRAME = Frame("file", 300, 300)
PHRASES = {"nodule": "nodule", "cyst": "cyst", "mass": "solid mass"}


def region(label: str, x0: float, y0: float, x1: float, y1: float) -> Region:
    """A box of a picture of 300 x 300, whose thirds are 100 px."""
    return Region(label, Box(x0, y0, x1, y1, FRAME), "box")


def twins_of(
    first: Region, *others: Region, phrases: dict[str, str] = PHRASES, labels: tuple[str, ...] = ()
) -> dict[str, str]:
    """kind -> text of the false twins of the first region."""
    record = Record(
        "s/a",
        "s",
        "a",
        None,
        FRAME,
        Provenance("s", "x"),
        "ct",
        labels,
        Texts(),
        (),
        (first, *others),
    )
    return {twin.kind: twin.text for twin in region_twins(first, record, phrases)}


NODULE = region("nodule", 40, 40, 60, 60)


def test_a_lone_region_gets_all_five_twins_each_changed_in_one_respect() -> None:
    twins = twins_of(NODULE, phrases={"nodule": "nodule", "cyst": "cyst"})
    assert twins == {
        "side": "small nodule in the upper right of the picture",
        "finding": "small cyst in the upper left of the picture",
        "location": "small nodule in the lower left of the picture",
        "size": "large nodule in the upper left of the picture",
        "negation": "no small nodule in the upper left of the picture",
    }


def test_no_side_twin_where_the_other_side_carries_the_label_too() -> None:
    assert "side" not in twins_of(NODULE, region("nodule", 240, 40, 260, 60))
    assert "side" in twins_of(NODULE, region("cyst", 240, 40, 260, 60))


def test_a_box_that_only_reaches_into_the_other_place_forbids_the_twin() -> None:
    wide = region("nodule", 130, 10, 201, 90)  # its centre is in the upper centre
    assert "side" not in twins_of(NODULE, wide)


def test_no_location_twin_where_the_label_lies_there_too() -> None:
    assert "location" not in twins_of(NODULE, region("nodule", 40, 240, 60, 260))


def test_no_finding_twin_of_a_label_that_the_picture_has() -> None:
    twins = twins_of(NODULE, region("cyst", 140, 140, 160, 160))
    assert twins["finding"] == "small solid mass in the upper left of the picture"
    everything = (region("cyst", 140, 140, 160, 160), region("mass", 200, 200, 250, 250))
    assert "finding" not in twins_of(NODULE, *everything)
    assert "finding" not in twins_of(NODULE, labels=("nodule", "cyst", "mass"))


def test_no_finding_twin_whose_words_hold_the_true_ones() -> None:
    phrases = {"nodule": "lung nodule", "small": "calcified lung nodules", "lung": "lung"}
    assert "finding" not in twins_of(NODULE, phrases=phrases)


def test_no_size_twin_where_another_region_has_that_size_there() -> None:
    large = region("nodule", 0, 0, 120, 120)
    assert "size" not in twins_of(NODULE, large)
    assert twins_of(large)["size"] == "tiny nodule in the upper left of the picture"


def test_a_phrase_that_names_a_side_is_turned_itself() -> None:
    phrases = {"L": "left lung", "R": "right lung"}
    twins = twins_of(region("L", 200, 50, 290, 250), region("R", 10, 50, 90, 250), phrases=phrases)
    assert twins["side"] == "large right lung in the middle right of the picture"


def test_a_point_of_the_centre_has_neither_side_nor_size_twin() -> None:
    spot = Point(150.0, 150.0, FRAME)
    twins = twins_of(Region("nodule", spot.square(), "point", spot))
    assert set(twins) == {"finding", "location", "negation"}


boxes = st.tuples(*[st.integers(0, 280)] * 2, *[st.integers(1, 20)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(st.tuples(st.sampled_from(sorted(PHRASES)), boxes), min_size=1, max_size=6))
def test_no_twin_is_the_true_text_of_any_region_of_the_picture(
    drawn: list[tuple[str, tuple[int, int, int, int]]],
) -> None:
    regions = tuple(region(label, *box) for label, box in drawn)
    record = Record(
        "s/a", "s", "a", None, FRAME, Provenance("s", "x"), "ct", (), Texts(), (), regions
    )
    described = describe(record, PHRASES)
    true = {r.text for r in described.regions} | {described.texts.summary}
    twins = [twin for r in described.regions for twin in r.negatives]
    twins += described.texts.negatives
    assert not true & {twin.text for twin in twins}
    for r in described.regions:
        kinds = [twin.kind for twin in r.negatives]
        assert len(kinds) == len(set(kinds))
        assert place_of(r.box)[1] != 1 or "side" not in kinds


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("Left upper lobe mass.", "Right upper lobe mass."),
        ("A cyst in the LEFT kidney", "A cyst in the RIGHT kidney"),
        ("Large right-sided pleural effusion.", "Large left-sided pleural effusion."),
        ("Lesion with leftward mass effect", "Lesion with rightward mass effect"),
        ("Bright nodule on the right", "Bright nodule on the left"),
    ],
)
def test_a_side_is_swapped_and_swapped_back(text: str, twin: str) -> None:
    assert swap_side(text) == twin
    assert swap_side(twin) == text


@pytest.mark.parametrize(
    "text",
    [
        "A mass.",  # no side
        "Left and right effusions.",  # both
        "Bilateral effusions, larger on the left.",
        "Effusion in both lungs, here the left.",
        "The fracture was left unchanged.",  # not a side
        "A drain for the effusion is left in place.",
        "Mass in a right-handed person.",
        "Hemorrhage with left-to-right shift.",
        "No mass in the left lung.",  # the right may be free too
        "Possible mass in the left lung.",  # hedged
        "The left kidney.",  # no finding: the right kidney may be seen as well
        "Rt hematoma, mass effect on the left ventricle.",  # a side by another name
        "RUL mass, left of the arrow.",
        "An upright film shows a bright mass.",
    ],
)
def test_no_side_twin_where_it_could_be_true(text: str) -> None:
    assert swap_side(text) is None


def test_no_side_twin_where_the_report_has_the_other_side() -> None:
    assert swap_side("Left lung mass.", "There is also a right lung mass.") is None
    assert swap_side("Left lung mass.", "Bilateral effusion.") is None
    assert swap_side("Left lung mass.", "The left lung mass is large.") == "Right lung mass."


words = st.sampled_from(
    [
        "mass",
        "cyst",
        "of the",
        "left",
        "Right",
        "LEFT",
        "kidney",
        "lobe",
        "over",
        "left-sided",
        "rightward",
        "un",
        "and",
        "is",
        "with",
        "in place",
        "upper",
    ]
)


@given(st.lists(words, min_size=1, max_size=8).map(" ".join))
def test_swapping_twice_gives_the_sentence_back(text: str) -> None:
    twin = swap_side(text)
    if twin is not None:
        assert twin != text
        assert swap_side(twin) == text


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("No pleural effusion.", "Pleural effusion."),
        ("There is no mass.", "There is mass."),
        ("CT without periventricular lesions", "CT with periventricular lesions"),
        ("The heart is not enlarged.", "The heart is enlarged."),
        ("The heart is enlarged.", "The heart is not enlarged."),
        ("There is a small nodule.", "There is no small nodule."),
        ("MRI shows a cyst. The liver is large.", "MRI shows no cyst. The liver is large."),
    ],
)
def test_one_statement_is_denied_or_its_denial_taken_back(text: str, twin: str) -> None:
    assert toggle_negation(text) == twin


@pytest.mark.parametrize(
    "text",
    [
        "Pelvis",  # nothing is stated
        "Possible mass.",
        "There is a mass or cyst.",
        "No mass. No cyst.",  # two denials: either could be meant
        "The tube is no longer seen.",
        "CT without and with contrast.",
        "MRI shows the mass.",  # points at something known
        "Scan shows only a cyst.",
        "Signal is not as high as before.",
        "Findings may not be present.",
    ],
)
def test_no_negation_twin_where_the_form_leaves_doubt(text: str) -> None:
    assert toggle_negation(text) is None


@given(st.text("abcdefgh nowithutisare.LR", max_size=60))
def test_a_negation_twin_is_never_the_text_itself(text: str) -> None:
    assert toggle_negation(text) != text


def test_a_captions_twins_are_its_own_and_the_reports_words_count() -> None:
    texts = Texts(caption="There is a left lung mass.", report={"findings": "Clear right lung."})
    record = Record("s/a", "s", "a", None, FRAME, Provenance("s", "x"), "ct", (), texts)
    twins = describe(record, {}).texts.negatives
    assert [(t.kind, t.text) for t in twins] == [("negation", "There is no left lung mass.")]
