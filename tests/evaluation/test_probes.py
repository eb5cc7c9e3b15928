"""Pairs are true against false, blank and text-only see no finding, and ties are worth half."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from regionmed.corpus.known import known_sets
from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import Rows
from regionmed.evaluation.held_out_regions import REGIONS
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.probe_pairs import look_alikes, question_pairs, statement_of
from regionmed.evaluation.probes import (
    HELD_OUT,
    TWINS,
    credit,
    outcomes_of,
    run_probes,
    score_probes,
)
from regionmed.model.region_clip import RegionClip
from regionmed.record import FalseTwin, Question, Record, Texts

HALF = np.array([1.0, 1.0, 0.0, 0.0] * 5)


class Words:
    """Stored vectors of four texts: (1, 0) for what is bright and affirmed, else (0, 1)."""

    name, fingerprint, embedding_dim, phrases = "words", "0", 2, ()
    training_pictures = None
    bright: ClassVar[list[float]] = [1.0, 0.0]
    dark: ClassVar[list[float]] = [0.0, 1.0]

    def stored_images(self, records: list[Record]) -> np.ndarray:
        return np.zeros((len(records), 2), np.float32)

    def stored_regions(self, places: list[tuple[str, int]]) -> np.ndarray | None:
        return None

    def encode_text(self, texts: list[str]) -> np.ndarray:
        told = [self.bright if text.startswith("bright") else self.dark for text in texts]
        return np.array(told, np.float32)


@pytest.fixture
def part(squares: Corpus, untrained: RegionClip) -> Part:
    """23 squares whose regions say their colour, with a false twin that says the other."""
    opened = next(iter(open_parts(untrained, [squares], "test")))
    records = []
    for record in opened.records:
        own = record.labels[0]
        other = "dark" if own == "bright" else "bright"
        twins = (FalseTwin("finding", f"{other} square"), FalseTwin("side", f"{other} right"))
        region = replace(record.regions[0], text=f"{own} square", negatives=twins)
        records.append(replace(record, regions=(region,), questions=(), texts=Texts()))
    return replace(opened, records=tuple(records))


def rows_of_colours(part: Part, right: bool) -> Rows:
    """Regions that lie at their colour, or at the other; pictures at (0, 0)."""
    vectors = [
        Words.bright if (record.labels[0] == "bright") == right else Words.dark
        for record in part.records
    ]
    places = tuple((row, 0) for row in range(len(part.records)))
    return Rows(
        part.records,
        np.zeros((len(places), 2), np.float32),
        np.array(vectors, np.float32),
        places,
    )


def test_true_texts_that_lie_nearer_earn_all_and_blank_regions_that_tie_earn_half(
    part: Part,
) -> None:
    rows = rows_of_colours(part, right=True)
    blank = rows.places[:6], np.full((6, 2), 0.5, np.float32)
    probes = run_probes(Words(), part, rows, rows, blank)
    assert probes is not None
    regions = score_probes(probes)[0]
    assert (regions.value, regions.n, regions.chance) == (1.0, 46, 0.5)
    # 12 of 23 squares are dark (0, 2 .. 22) and so are most train rows: their mean is nearer dark
    assert regions.controls == pytest.approx({"blank": 0.5, "text-only": 12 / 23})
    of_regions = [score for score in score_probes(probes) if score.details["target"] == "regions"]
    by_stratum = {score.stratum: score for score in of_regions}
    assert by_stratum["kind:finding"].n == by_stratum["kind:laterality"].n == 23


def test_false_texts_that_lie_nearer_earn_nothing(part: Part) -> None:
    rows = rows_of_colours(part, right=False)
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    score = score_probes(probes)[0]
    assert score.value == 0.0
    assert "blank" not in score.controls


def test_embeddings_that_are_all_equal_earn_exactly_half(part: Part) -> None:
    rows = rows_of_colours(part, right=True)
    rows = replace(rows, regions_RE=np.full_like(rows.regions_RE, 0.5))
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    assert {score.value for score in score_probes(probes)} == {0.5}


def test_without_region_embeddings_only_pictures_are_asked(part: Part) -> None:
    rows = replace(rows_of_colours(part, right=True), regions_RE=np.zeros((0, 2)), places=())
    assert run_probes(Words(), part, rows, rows) is None  # these pictures have no twins


def test_a_score_says_whether_the_rules_of_the_twins_were_those_of_training(part: Part) -> None:
    rows = rows_of_colours(part, right=True)
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    trained = [replace(one, trained=True) for one in probes]
    assert score_probes(probes)[0].details["twins"].endswith("its training is unknown")
    assert score_probes(trained)[0].details["twins"] == TWINS


def test_outcomes_name_each_pair_once_with_what_it_earned(part: Part) -> None:
    rows = rows_of_colours(part, right=True)
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    outcomes = {one.metric: one for one in outcomes_of(probes)}
    assert {"accuracy regions: finding", "accuracy regions: laterality"} <= outcomes.keys()
    assert outcomes["accuracy regions: finding"].items[0] == (
        "squares/test0.png#0 finding bright square"
    )
    assert outcomes["accuracy regions: laterality"].values_N.tolist() == [1.0] * 23


def test_a_kind_over_sets_weighs_every_set_the_same(part: Part) -> None:
    rows = rows_of_colours(part, right=True)
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    own = next(one for one in probes if one.source == "regions")
    # another set with 10 of 23 pairs a kind, half of them wrong
    few = replace(own, part=replace(part, name="other"), pairs=own.pairs[:20], hits_P=HALF[:20],
                  control_hits={})  # fmt: skip
    scores = {(s.set, s.stratum): s for s in score_probes([own, few])}
    both = scores["mean:all", "kind:finding"]
    assert (both.value, both.n) == ((1.0 + 0.5) / 2, 23 + 10)
    assert both.details["sets"] == ["squares", "other"]
    assert both.controls == {}
    assert both.low < scores["squares", "kind:finding"].low
    assert ("mean:all", "kind:finding") not in {(s.set, s.stratum) for s in score_probes([own])}


def test_held_out_pairs_are_a_source_of_their_own_and_words_alone_earn_half(part: Part) -> None:
    rows = rows_of_colours(part, right=True)
    probes = run_probes(Words(), part, rows, rows)
    assert probes is not None
    by_source = {one.source: one for one in probes}
    held_out = score_probes([by_source[REGIONS]])
    assert {s.stratum for s in held_out} >= {
        "all", "kind:laterality", "kind:finding", "kind:negation", "true:stated", "true:denied",
    } - {"kind:laterality"}  # fmt: skip
    assert {s.details["twins"].split(";")[0] for s in held_out} == {HELD_OUT}
    kinds = [s for s in held_out if s.stratum.startswith("kind:")]
    assert {s.controls["text-only"] for s in kinds} == {0.5}


def test_credit_is_what_a_plain_loop_over_cosines_gives() -> None:
    generator = np.random.default_rng(0)
    seen, true, false = generator.integers(-1, 2, (3, 200, 4)).astype(float)
    expected = []
    for here, right, wrong in zip(seen, true, false, strict=True):
        first, second = float(here @ right), float(here @ wrong)
        expected.append(1.0 if first > second else 0.5 if first == second else 0.0)
    assert credit(seen, true - false).tolist() == expected
    assert {0.0, 0.5, 1.0} == set(expected)


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("Is there a pleural effusion?", "There is a pleural effusion."),
        ("Are there any rib fractures?", "There are rib fractures."),
        ("Is there evidence of a mass?", None),
        ("Is there a mass or a cyst?", None),
        ("Is the heart enlarged?", None),
    ],
)
def test_only_plain_questions_become_statements(question: str, statement: str | None) -> None:
    assert statement_of(Question("1", question, "yes", "closed")) == statement


def test_the_answer_says_which_of_statement_and_denial_is_true(part: Part) -> None:
    asked = (
        Question("1", "Is there a pneumothorax?", "No", "closed"),
        Question("2", "Is there a pneumothorax?", "yes", "closed"),
        Question("3", "Is there a pneumothorax?", "on the left", "closed"),
    )
    part = replace(part, records=(replace(part.records[0], questions=asked),))
    said, denied = "There is a pneumothorax.", "There is no pneumothorax."
    assert [(pair.name, pair.true, pair.false) for pair in question_pairs(part)] == [
        ("1", denied, said),
        ("2", said, denied),
    ]


def test_look_alikes_are_two_different_labels_that_their_set_has() -> None:
    """In the sets that regionmed knows, by the phrases it gives them."""
    phrases = {known.name: known.phrases for known in known_sets()}
    for name, pairs in look_alikes().items():
        assert len({frozenset(pair) for pair in pairs}) == len(pairs)
        for first, second in pairs:
            assert first != second
            assert {first, second} <= set(phrases[name])
