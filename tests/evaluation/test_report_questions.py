"""Answers to the reviewer's questions from scores whose numbers were made up and worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.report import question_answers as answers
from regionmed.evaluation.report.failures import first_screen
from regionmed.evaluation.score import Conditions, Score

CONDITIONS = Conditions("model", "weights", "corpus", "test", "none")
NOTHING = Findings()


def score(**fields: Any) -> Score:
    """A mean over sets of regions, .8 [.7, .9] against chance .25, unless told otherwise."""
    usual: dict[str, Any] = {
        "task": "region_classification", "set": "mean:all", "metric": "macro_accuracy",
        "value": 0.8, "low": 0.7, "high": 0.9, "n": 40, "chance": 0.25, "conditions": CONDITIONS,
    }  # fmt: skip
    return Score(**{**usual, **fields})


def beside(control: str, gain: float, low: float, high: float) -> Score:
    """The mean over sets with one control, `gain` below it."""
    difference = {"value": gain, "low": low, "high": high}
    return score(controls={control: 0.8 - gain}, details={"differences": {control: difference}})


@pytest.mark.parametrize(
    ("gain", "low", "high", "said"),
    [
        (0.3, 0.2, 0.4, "0.500, so it gains +0.300 [+0.200, +0.400]"),
        (0.1, -0.1, 0.3, "0.700, so it gains nothing sure: +0.100 [−0.100, +0.300]"),
        (-0.1, -0.15, -0.05, "0.900, so it loses: −0.100 [−0.150, −0.050]"),
    ],
)
def test_a_gain_over_the_box_alone_is_claimed_only_where_it_is_sure(
    gain: float, low: float, high: float, said: str
) -> None:
    answer = answers.without_the_region(NOTHING, [beside("box-only", gain, low, high)])
    assert said in answer.text
    assert answer.link == "s-region-classification-mean-all-all-macro-accuracy"


def test_other_boxes_are_told_by_what_they_cost() -> None:
    cost = {"value": -0.3, "low": -0.4, "high": -0.2}
    predicted = score(
        value=0.5,
        controls={"given": 0.8},
        details={"boxes": "predicted", "differences": {"given": cost}},
    )
    answer = answers.sources(NOTHING, [predicted, score()])
    assert answer.text == "Boxes given 0.800; predicted 0.500 (−0.300)."
    assert answers.sloppy(NOTHING, [predicted, score()]).measured is False


@pytest.mark.parametrize(
    "ask",
    [answers.without_the_region, answers.sources, answers.strata, answers.false_words,
     answers.whole_pictures],
)  # fmt: skip
def test_what_no_score_tells_is_not_measured_with_a_reason(ask: Any) -> None:
    answer = ask(NOTHING, [])
    assert not answer.measured
    assert answer.text.startswith("Not measured, because ")


def test_strata_are_ranked_by_how_far_they_stand_above_their_own_chance() -> None:
    # large is right more often, but chance is high there
    scores = [
        score(stratum="small", value=0.6, chance=0.1),
        score(stratum="large", value=0.7, chance=0.5),
    ]
    said = answers.strata(NOTHING, scores).text
    assert said == (
        "By size of the region: best small (0.600, chance 0.100), worst large "
        "(0.700, chance 0.500)."
    )


def test_gates_are_told_beside_what_surroundings_add() -> None:
    found = beside("context-free", 0.1, 0.05, 0.15)
    sized = [
        score(stratum=size, details={"gates": {"detail": detail, "context": 0.5}})
        for size, detail in (("tiny", 1.25), ("large", 0.75))
    ]
    said = answers.parts(NOTHING, [found, *sized]).text
    assert "without surroundings 0.700, so it gains +0.100" in said
    assert "from tiny to large regions: detail 1.250 to 0.750" in said


def test_declining_is_praised_only_where_it_is_surely_better_than_chance() -> None:
    sure = score(metric="aurc", value=0.1, low=0.05, high=0.2, chance=0.3)
    assert "leaves less error" in answers.failures(NOTHING, [sure]).text
    unsure = score(metric="aurc", value=0.2, low=0.1, high=0.4, chance=0.3)
    assert "leaves not clearly less error" in answers.failures(NOTHING, [unsure]).text
    assert not answers.failures(NOTHING, []).measured


def test_the_first_screen_counts_each_score_once() -> None:
    def of(name: str, low: float, gain_low: float) -> Score:
        difference = {"value": 0.1, "low": gain_low, "high": 0.3}
        return score(set=name, low=low, controls={"box-only": 0.7},
                     details={"differences": {"box-only": difference}})  # fmt: skip

    screen = first_screen(NOTHING, [of("a", 0.2, -0.1), of("b", 0.7, -0.1), of("c", 0.7, 0.05)])
    assert [line.what for line in screen.unproven] == ["a · regions named"]
    assert [line.what for line in screen.unlooking] == ["b · regions named"]
    assert screen.sentence == (
        "Of 3 scores of whole sets, 1 cannot be told from chance, 1 more can be had without "
        "looking at the place in question, and 1 is clear of both."
    )


def test_long_lists_are_cut_and_the_rest_counted() -> None:
    screen = first_screen(NOTHING, [score(set=f"set {n}", low=0.1) for n in range(8)])
    assert len(screen.unproven) == 5
    assert screen.more_unproven == 3
    assert "8 cannot be told from chance" in screen.sentence


def test_where_nothing_fails_it_says_so() -> None:
    screen = first_screen(NOTHING, [score(set="a")])
    assert screen.sentence.startswith("The one score of a whole set is clear of chance")
    assert screen.weakest == ()
