"""Sentences of captions said anew: only where the form proves one false, as often either way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from regionmed.corpus.negatives import swap_side, toggle_negation
from regionmed.corpus.shards import Corpus
from regionmed.evaluation.held_out_sentences import (
    QUESTIONS,
    SENTENCES,
    Sentence,
    held_out_question_pairs,
    held_out_sentence_pairs,
    opposites,
    said_on_a_side,
    said_to_be_there,
)
from regionmed.evaluation.held_out_wordings import folded, wordings
from regionmed.evaluation.part import Part, open_parts
from regionmed.model.region_clip import RegionClip
from regionmed.record import Question, Texts


def sentence(text: str, others: str = "") -> Sentence:
    return Sentence(0, "films/a/0", text, others)


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [
        (
            "Left pleural effusion.",
            "Left-sided pleural effusion.",
            "Right-sided pleural effusion.",
        ),
        (
            "A mass in the right lower lobe is seen.",
            "A mass in the lower lobe on the right-hand side is seen.",
            "A mass in the lower lobe on the left-hand side is seen.",
        ),
        (
            "There is a nodule on the left.",
            "There is a nodule on the left-hand side.",
            "There is a nodule on the right-hand side.",
        ),
        ("CT with a right-sided cyst.", "CT with a right cyst.", "CT with a left cyst."),
    ],
)
def test_a_side_is_said_in_other_words_truly_and_falsely(text: str, true: str, false: str) -> None:
    said = said_on_a_side(sentence(text))
    assert said is not None
    assert (said.true, said.false) == (true, false)
    assert swap_side(text) != false
    assert folded(true) != folded(text)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("Left pleural effusion.", "The right lung is collapsed."),
        ("Left pleural effusion.", "Both bases are dull."),
        ("Masses in the left and the right lung.", ""),
        ("Possibly a mass in the left lung.", ""),
        ("No mass in the left lung.", ""),
        ("Mass in the left lung, nodule in the RUL.", ""),
        ("Left lateral decubitus view with an effusion.", ""),
        ("The left kidney.", ""),  # nothing that an ill side has and the other has not
        ("A mass left of the aorta.", ""),
    ],
)
def test_a_side_that_leaves_a_doubt_is_not_asked(text: str, others: str) -> None:
    assert said_on_a_side(sentence(text, others)) is None


@pytest.mark.parametrize(
    ("text", "true", "false", "way"),
    [
        (
            "There is a large mass in the liver.",
            "Presence of a large mass in the liver.",
            "Absence of a large mass in the liver.",
            "stated",
        ),
        (
            "Axial CT demonstrates multiple cysts.",
            "Axial CT demonstrates the presence of multiple cysts.",
            "Axial CT demonstrates the absence of multiple cysts.",
            "stated",
        ),
        (
            "There is no evidence of hydrocephalus.",
            "Absence of hydrocephalus.",
            "Presence of hydrocephalus.",
            "denied",
        ),
        (
            "No bone erosion is seen.",
            "Absence of bone erosion",
            "Presence of bone erosion",
            "denied",
        ),
        (
            "A cyst without any evidence of wall thickening.",
            "A cyst in the absence of wall thickening.",
            "A cyst in the presence of wall thickening.",
            "denied",
        ),
    ],
)
def test_statement_and_denial_share_one_form(text: str, true: str, false: str, way: str) -> None:
    assert said_to_be_there(sentence(text)) == (true, false, way)
    assert toggle_negation(text) not in (true, false)


@pytest.mark.parametrize(
    "text",
    [
        "There is the known mass.",
        "There is a mass or a cyst.",
        "There is no mass, but a cyst.",
        "No mass and no cyst is seen.",
        "There may be a mass.",
        "CT without contrast.",
        "Image obtained without and with contrast.",
        "There is no evidence of",
        "No metastases were seen in the liver.",
        "Mass in the liver.",
    ],
)
def test_a_sentence_that_is_no_plain_statement_is_not_denied(text: str) -> None:
    assert said_to_be_there(sentence(text)) is None


def test_an_opposite_is_false_only_where_nothing_else_of_the_picture_has_it() -> None:
    mass = "An enhancing solid mass in the liver."
    assert [said.false for said in opposites(sentence(mass))] == [
        "An enhancing cystic mass in the liver.",
        "A non-enhancing solid mass in the liver.",
    ]
    beside = [said.false for said in opposites(sentence(mass, "Its cystic part is small."))]
    assert beside == ["A non-enhancing solid mass in the liver."]
    assert list(opposites(sentence("The mass is not solid."))) == []
    assert list(opposites(sentence("A solid mass beside a solid node."))) == []


def test_contradicting_words_are_pairs_of_two_and_each_pair_comes_once() -> None:
    pairs = wordings().contradictions
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) > 20
    assert all(first != second for first, second in pairs)


@pytest.fixture
def part(squares: Corpus, untrained: RegionClip) -> Part:
    """23 test pictures and 12 train pictures, captions to be replaced."""
    return next(iter(open_parts(untrained, [squares], "test")))


def captioned(part: Part, *captions: str) -> Part:
    records = [
        replace(record, texts=Texts(caption=caption))
        for record, caption in zip(part.records, captions, strict=False)
    ]
    return replace(part, records=tuple(records))


def test_sides_and_denials_are_asked_as_often_one_way_as_the_other(part: Part) -> None:
    part = captioned(
        part,
        "There is a mass. A cyst in the left kidney.",
        "There is a cyst. A cyst in the left lung.",
        "There is no cyst of the liver. A mass in the right lung.",
        "The heart is enlarged.",
    )
    pairs = held_out_sentence_pairs(part)
    assert Counter((pair.kind, pair.way) for pair in pairs) == {
        ("laterality", "left"): 1,
        ("laterality", "right"): 1,
        ("negation", "stated"): 1,
        ("negation", "denied"): 1,
        ("finding", ""): 1,
    }
    assert {pair.source for pair in pairs} == {SENTENCES}
    assert len({pair.item for pair in pairs}) == len(pairs)


def test_a_sentence_of_a_training_caption_is_not_asked(part: Part) -> None:
    asked = captioned(part, "The heart is enlarged. The aorta is dilated.")
    assert len(held_out_sentence_pairs(asked)) == 2
    learnt = part.train[0]
    learnt = replace(learnt, texts=Texts(caption="Film of a man. The HEART is enlarged"))
    asked = replace(asked, everything=((0, learnt), *asked.everything))
    (pair,) = held_out_sentence_pairs(asked)
    assert pair.true == "The aorta is dilated."


def test_no_text_of_a_pair_is_a_twin_that_training_makes_of_the_same_caption(part: Part) -> None:
    captions = (
        "There is a mass in the left lung.",
        "There is no mass in the right lung.",
        "Mass in the right lung.",
        "CT shows a dilated duct.",
    )
    asked = held_out_sentence_pairs(captioned(part, *captions))
    twins = {folded(swap_side(text) or "") for text in captions}
    twins |= {folded(toggle_negation(text) or "") for text in captions}
    said = {folded(text) for pair in asked for text in (pair.true, pair.false)}
    assert len(said) >= 4
    assert said.isdisjoint(twins)


def test_questions_become_presence_and_absence_yes_as_often_as_no(part: Part) -> None:
    asked = (
        Question("1", "Is there a pneumothorax?", "No", "closed"),
        Question("2", "Is there a pneumothorax?", "yes", "closed"),
        Question("3", "Is there a mass?", "yes", "closed"),
        Question("4", "Is the heart enlarged?", "yes", "closed"),
    )
    part = replace(part, records=(replace(part.records[0], questions=asked),))
    pairs = held_out_question_pairs(part)
    assert Counter(pair.way for pair in pairs) == {"stated": 1, "denied": 1}
    by_name = {pair.name: (pair.true, pair.false) for pair in pairs}
    assert by_name["1"] == ("Absence of a pneumothorax.", "Presence of a pneumothorax.")
    assert {pair.source for pair in pairs} == {QUESTIONS}
