"""Held-out wordings of regions: proven by the annotation, new to training, worth half to words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from regionmed.corpus.describe import describe
from regionmed.corpus.known import known_sets
from regionmed.corpus.shards import Corpus, write_corpus
from regionmed.corpus.wording import COLUMNS, ROWS, SIZES, region_words, short_phrase
from regionmed.evaluation.encode import every_place
from regionmed.evaluation.held_out_regions import held_out_region_pairs
from regionmed.evaluation.held_out_wordings import balanced, folded, worded, wordings
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.probe_pairs import Pair
from regionmed.geometry import Box, Frame
from regionmed.model.region_clip import RegionClip
from regionmed.record import Provenance, Record, Region
from regionmed.training.examples import gather

FRAME = Frame("file", 90, 90)
PHRASES = {"Nodule": "nodule", "Cyst": "cyst, a sac of fluid", "Left Lung": "left lung"}
FORMS = 6


def film(name: str, *marks: tuple[str, float], split: str = "test") -> Record:
    """A picture with a mark of 18 x 18 pixels for each label and left edge."""
    regions = tuple(Region(label, Box(x, 36, x + 18, 54, FRAME), "box") for label, x in marks)
    return Record(
        id=f"films/{name}", set="films", image=name, sha256=name, frame=FRAME, regions=regions,
        provenance=Provenance("films", "made"), modality="xray", split=split,
    )  # fmt: skip


FILMS = (
    film("a", ("Nodule", 2)),
    film("b", ("Nodule", 70)),
    film("c", ("Nodule", 2), ("Nodule", 47)),
    film("d", ("Cyst", 2)),
    film("e", ("Cyst", 70), ("Nodule", 70)),
)


@pytest.fixture
def empty(squares: Corpus, untrained: RegionClip) -> Part:
    """A Part whose records are to be replaced."""
    return next(iter(open_parts(untrained, [squares], "test")))


def asked(part: Part, films: Sequence[Record], name: str = "films") -> list[Pair]:
    part = replace(
        part, name=name, records=tuple(films), everything=tuple(enumerate(films)), phrases=PHRASES
    )
    return held_out_region_pairs(part, every_place(part.records))


def test_a_side_is_asked_where_nothing_of_the_kind_reaches_past_the_middle(empty: Part) -> None:
    pairs = [pair for pair in asked(empty, FILMS) if pair.kind == "laterality"]
    # c has a nodule at 47 of 90 on the right, so its left one proves nothing; cysts: d and e
    names = Counter((pair.name, pair.way) for pair in pairs)
    lone = {name: count for (name, way), count in names.items() if way == "left"}
    assert lone == {"films/a#0": FORMS, "films/d#0": FORMS}
    assert {name for name, way in names if way == "right"} < {
        "films/b#0", "films/e#0", "films/e#1",
    }  # fmt: skip
    said = {(pair.true, pair.false) for pair in pairs if pair.name == "films/a#0"}
    assert (
        "There is a nodule on the left side of the image.",
        "There is a nodule on the right side of the image.",
    ) in said


def test_a_mark_across_the_middle_lies_on_no_side(empty: Part) -> None:
    wide = film("w", ("Nodule", 2))
    wide = replace(wide, regions=(replace(wide.regions[0], box=Box(1, 36, 50, 54, FRAME)),))
    sides = [p for p in asked(empty, [wide, FILMS[1]]) if p.kind == "laterality"]
    assert sides == []


def test_a_finding_is_held_against_one_that_the_picture_lacks(empty: Part) -> None:
    pairs = [pair for pair in asked(empty, FILMS) if pair.kind == "finding"]
    # only d is surely without a nodule; a, b and both marks of c without a cyst
    assert Counter("cyst" in pair.true for pair in pairs) == {True: FORMS, False: FORMS}
    assert {pair.name for pair in pairs if "cyst" in pair.true} == {"films/d#0"}
    assert "films/e#0" not in {pair.name for pair in pairs}
    assert all(("cyst" in pair.true) != ("cyst" in pair.false) for pair in pairs)


def test_denials_are_true_as_often_as_false(empty: Part) -> None:
    pairs = [pair for pair in asked(empty, FILMS) if pair.kind == "negation"]
    assert Counter(pair.way for pair in pairs) == {
        "stated": len(pairs) // 2,
        "denied": len(pairs) // 2,
    }
    for pair in pairs:
        label = "Nodule" if "nodule" in pair.true else "Cyst"
        record = FILMS[pair.row]
        there = label in {region.label for region in record.regions}
        assert there == (pair.way == "stated")
    absent = {(pair.name, pair.true, pair.false) for pair in pairs if pair.way == "denied"}
    assert ("films/d#0", "Absence of nodule.", "Presence of nodule.") in absent


def test_whoever_likes_a_text_whatever_the_picture_is_right_in_exactly_half(empty: Part) -> None:
    pairs = asked(empty, FILMS)
    liking = dict.fromkeys(text for pair in pairs for text in (pair.true, pair.false))
    chance = np.random.default_rng(0)
    for kind in ("laterality", "finding", "negation"):
        own = [pair for pair in pairs if pair.kind == kind]
        assert own
        for _ in range(20):
            liking = {text: chance.random() for text in liking}
            right = sum(liking[pair.true] > liking[pair.false] for pair in own)
            assert right == len(own) / 2


def test_labels_that_name_a_patients_side_are_not_asked_for_theirs(empty: Part) -> None:
    lungs = [film("a", ("Left Lung", 2)), film("b", ("Left Lung", 70))]
    assert [pair for pair in asked(empty, lungs) if pair.kind == "laterality"] == []


def test_what_every_film_shows_is_never_called_absent(empty: Part) -> None:
    films = [film("a", ("Left Lung", 2)), *FILMS]
    other = [p for p in asked(empty, films) if p.kind == "negation" and "lung" in p.true]
    chest = [p for p in asked(empty, films, "covid_cxr_seg") if "lung" in p.true]
    assert other  # a set of which nothing is known is taken at its word
    assert chest == []


def test_labels_of_one_wording_are_never_held_against_each_other(empty: Part) -> None:
    phrases = {"Nodule": "nodule", "Old": "calcified nodule"}
    films = (film("a", ("Nodule", 2)), film("b", ("Old", 70)))
    part = replace(empty, records=films, everything=tuple(enumerate(films)), phrases=phrases)
    assert held_out_region_pairs(part, every_place(films)) == []


def test_no_held_out_text_is_a_text_or_a_twin_of_training(empty: Part, tmp_path: Path) -> None:
    """The same pictures in both: even then no wording is shared."""
    train = [describe(replace(one, split="train"), PHRASES) for one in FILMS]
    corpus = write_corpus(train, tmp_path / "films", {"phrases": {"films": PHRASES}})
    trained = {folded(text) for text in gather([corpus]).bank.numbers}
    assert {"nodule", "no small nodule in the middle left of the picture"} & trained
    said = {folded(text) for pair in asked(empty, FILMS) for text in (pair.true, pair.false)}
    assert len(said) > 3 * FORMS
    assert said.isdisjoint(trained)


def test_forms_share_no_text_with_the_rules_of_training_for_any_known_label() -> None:
    phrases = {phrase for known in known_sets() for phrase in known.phrases.values()}
    ruled = set()
    for phrase, size in product(phrases, [None, *SIZES.values()]):
        for place in product(range(len(ROWS)), range(len(COLUMNS))):
            told = region_words(phrase, size, place)
            ruled |= {folded(phrase), folded(told), folded(f"no {told}")}
    forms = wordings()
    held_out = {
        folded(worded(form, short_phrase(phrase), side))
        for form in (*forms.laterality, *forms.finding, *(f for fs in forms.negation for f in fs))
        for phrase, side in product(phrases, ("left", "right"))
    }
    assert len(held_out) > 1000
    assert held_out.isdisjoint(ruled)


def test_forms_are_many_and_all_different() -> None:
    forms = wordings()
    every = [
        *forms.laterality,
        *forms.finding,
        *(form for couple in forms.negation for form in couple),
    ]
    assert min(len(forms.laterality), len(forms.finding), len(forms.negation)) >= 5
    assert len({folded(form) for form in every}) == len(every)
    assert all("{side}" in form for form in forms.laterality)
    assert not any("{side}" in form for form in every[len(forms.laterality) :])


def test_a_picture_less_takes_the_place_of_one_couple_at_most() -> None:
    left, right = ({f"{side}{n}": n for n in range(30)} for side in "lr")
    whole = balanced(left, right, "seed", 12)
    for name in left:
        fewer = balanced({n: v for n, v in left.items() if n != name}, right, "seed", 12)
        assert len(set(fewer[0]) & set(whole[0])) >= 11
        assert fewer[1] == whole[1]


def test_labels_of_the_wordings_file_are_those_of_their_sets() -> None:
    phrases = {known.name: known.phrases for known in known_sets()}
    for name, labels in wordings().always_there.items():
        assert labels <= set(phrases[name])
    for name, pairs in wordings().both_may_hold.items():
        assert all(len(pair) == 2 and pair <= set(phrases[name]) for pair in pairs)
