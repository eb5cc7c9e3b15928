"""Texts made by rule say what the annotations say, on every level, and no more."""

from dataclasses import replace

import pytest

from regionmed.corpus.describe import describe, region_phrase
from regionmed.corpus.wording import (
    counted,
    place_of,
    place_words,
    plural,
    short_phrase,
    with_article,
)
from regionmed.geometry import Box, Frame, Point
from regionmed.record import FalseTwin, Provenance, Record, Region, Texts

FRAME = Frame("file", 300, 300)
PHRASES = {"RBC": "red blood cell", "WBC": "white blood cell", "Platelets": "platelet"}


def region(label: str, x: float, y: float, side: float = 12) -> Region:
    """A square box around x, y in a picture of 300 x 300."""
    half = side / 2
    return Region(label, Box(x - half, y - half, x + half, y + half, FRAME), "box")


def record(
    *regions: Region,
    labels: tuple[str, ...] = (),
    modality: str | None = "microscopy",
    texts: Texts | None = None,
) -> Record:
    """A record with these regions; its labels are the regions' unless given."""
    named = labels or tuple(sorted({r.label for r in regions}))
    return Record(
        "s/a",
        "s",
        "a",
        None,
        FRAME,
        Provenance("s", "coco"),
        modality,
        named,
        texts or Texts(),
        (),
        regions,
    )


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("ActiveTuberculosis", "active tuberculosis"),
        ("left_lung", "left lung"),
        ("Ground Glass Opacities", "ground glass opacities"),
        ("RBC", "RBC"),
        ("COVID-19", "COVID-19"),
        ("MALIGNANT", "malignant"),
        ("Opacity/lung", "opacity lung"),
        ("object", "finding in an MRI picture"),
        ("1", "finding in an MRI picture"),
    ],
)
def test_a_label_is_said_in_plain_words(label: str, said: str) -> None:
    assert region_phrase(label, "mri", None) == said


def test_a_phrase_of_the_set_goes_before_the_label() -> None:
    assert region_phrase("object", "mri", "brain tumour") == "brain tumour"


def test_summary_names_modality_and_what_is_marked() -> None:
    cells = record(region("RBC", 50, 50), region("RBC", 150, 150), region("WBC", 250, 250))
    assert describe(cells, PHRASES).texts.summary == (
        "microscopy picture showing red blood cells and a white blood cell"
    )


def test_labels_without_regions_stand_bare_and_nothing_known_says_nothing() -> None:
    assert describe(record(labels=("normal",), modality="ultrasound"), {}).texts.summary == (
        "ultrasound picture showing normal"
    )
    assert describe(record(modality="ct"), {}).texts.summary == "CT picture"
    assert describe(record(modality=None), {}).texts.summary is None
    assert describe(record(modality=None), {}).texts.detailed is None


def test_detailed_counts_and_tells_size_and_place_of_the_largest() -> None:
    cells = record(
        region("RBC", 50, 50, 30), region("RBC", 250, 250, 60), region("WBC", 150, 250, 12)
    )
    assert describe(cells, PHRASES).texts.detailed == (
        "Microscopy picture showing 2 red blood cells and 1 white blood cell. "
        "The largest of the 2 red blood cells is medium-sized, in the lower right. "
        "Tiny white blood cell in the lower centre."
    )


def test_a_persons_words_are_the_detailed_text() -> None:
    caption = Texts(caption="A caption.")
    report = Texts(caption="A caption.", report={"findings": "Clear\n lungs.", "history": "Pain."})
    assert describe(record(texts=caption), {}).texts.detailed == "A caption."
    assert describe(record(texts=report), {}).texts.detailed == "Clear lungs."


def test_region_text_has_size_phrase_and_place_of_the_picture() -> None:
    described = describe(record(region("Platelets", 40, 40)), PHRASES)
    assert described.regions[0].text == "tiny platelet in the upper left of the picture"


def test_a_point_has_no_size_to_speak_of() -> None:
    spot = Point(150.0, 150.0, FRAME)
    marked = Region("RBC", spot.square(), "point", spot)
    described = describe(record(marked), PHRASES)
    assert described.regions[0].text == "red blood cell in the centre of the picture"
    assert "size" not in {twin.kind for twin in described.regions[0].negatives}


def test_describing_changes_nothing_but_texts() -> None:
    before = record(region("RBC", 50, 50), region("WBC", 250, 250))
    after = describe(before, PHRASES)
    bare = [replace(r, text=None, negatives=()) for r in after.regions]
    assert tuple(bare) == before.regions
    assert replace(after, texts=before.texts, regions=before.regions) == before
    assert describe(after, PHRASES) == after


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (99, 99, "upper left"),
        (100, 100, "centre"),
        (299, 150, "middle right"),
        (150, 299, "lower centre"),
    ],
)
def test_places_are_thirds_of_the_picture(x: float, y: float, words: str) -> None:
    assert place_words(place_of(region("a", x, y, 2).box)) == words


@pytest.mark.parametrize(
    ("phrase", "article", "three"),
    [
        ("platelet", "a platelet", "3 platelets"),
        ("opacity", "an opacity", "3 opacities"),
        ("solid mass", "a solid mass", "3 solid masses"),
        ("nucleus", "a nucleus", "3 nuclei"),
        ("metastasis", "a metastasis", "3 metastases"),
        ("ulcer", "an ulcer", "3 ulcers"),
        ("MRI artefact", "an MRI artefact", "3 MRI artefacts"),
        ("CT artefact", "a CT artefact", "3 CT artefacts"),
        ("foreign body in the lung", "a foreign body in the lung", "3 foreign bodies in the lung"),
        ("left lung", "the left lung", "3 left lungs"),
        ("ground glass opacities", "ground glass opacities", "3 regions of ground glass opacities"),
        ("tuberculosis", "tuberculosis", "3 regions of tuberculosis"),
    ],
)
def test_articles_and_numbers_are_english(phrase: str, article: str, three: str) -> None:
    assert with_article(phrase) == article
    assert counted(3, phrase) == three


def test_an_explanation_is_left_out_of_lists() -> None:
    assert short_phrase("macrocyte, an enlarged red blood cell") == "macrocyte"
    assert short_phrase("target cell (codocyte)") == "target cell"
    assert plural("target cell (codocyte)") == "target cells (codocyte)"


def test_false_twins_of_the_summary_change_one_part() -> None:
    twins = describe(record(region("RBC", 50, 50), region("RBC", 99, 99)), PHRASES).texts.negatives
    assert FalseTwin("negation", "microscopy picture showing no red blood cells") in twins
    finding = next(twin.text for twin in twins if twin.kind == "finding")
    assert finding in (
        "microscopy picture showing a white blood cell",
        "microscopy picture showing a platelet",
    )
