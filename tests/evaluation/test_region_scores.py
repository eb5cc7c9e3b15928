"""Sets weigh the same in a mean, whatever their sizes; groups of sets stand apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.part import Part
from regionmed.evaluation.region_scores import score_regions
from regionmed.evaluation.regions import Asked, RegionAnswers
from regionmed.evaluation.score import Conditions, Score
from regionmed.record import Record

Paint = Callable[[int, str], Record]

CONDITIONS = Conditions("tiny", "ab", "cd", "test", "none: 0 of 9")


def answers_of(
    paint: Paint, corpus: Corpus, name: str, truth: list[int], said: list[int], several: bool
) -> RegionAnswers:
    """One region a picture; `said` is the column with the highest similarity."""
    records = tuple(
        replace(paint(number, "test"), id=f"{name}/{number}", set=name)
        for number in range(len(truth))
    )
    labels = tuple(f"label {number}" for number in range(max(truth) + 1))
    part = Part(name, corpus, tuple(range(len(records))), records, (), {}, CONDITIONS)
    places = tuple((row, 0) for row in range(len(records)))
    controls = {"majority": (np.array(truth) == 0).astype(float)}
    similarity = np.eye(len(labels), dtype=np.float32)[said]
    sources = {"given": (np.array(truth) == said).astype(float), "none": np.zeros(len(truth))}
    asked = Asked(labels, places, np.array(truth))
    return RegionAnswers(part, asked, several, similarity, controls, sources)


def only(
    scores: list[Score], name: str, metric: str, stratum: str = "all", boxes: str = "given"
) -> Score:
    wanted = (name, metric, stratum, boxes)
    (found,) = [s for s in scores if (s.set, s.metric, s.stratum, s.details["boxes"]) == wanted]
    return found


@pytest.fixture
def scores(paint: Paint, squares: Corpus) -> list[Score]:
    """Set a: 6 + 2 regions, recalls 1 and .5; set b: 3 of each of 4 labels, recalls 0, 1, 1, 1."""
    a = answers_of(paint, squares, "a", [0] * 6 + [1] * 2, [0] * 6 + [1, 0], several=False)
    truth = [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    b = answers_of(paint, squares, "b", truth, [1] * 3 + truth[3:], several=True)
    return score_regions([a, b])


def test_a_set_is_the_mean_recall_of_its_labels(scores: list[Score]) -> None:
    score = only(scores, "a", "macro_accuracy")
    assert (score.value, score.n, score.chance) == (0.75, 8, 0.5)
    assert score.controls["majority"] == 0.5
    assert only(scores, "a", "accuracy").value == 7 / 8


def test_sets_weigh_the_same_and_groups_stand_apart(scores: list[Score]) -> None:
    score = only(scores, "mean:all", "macro_accuracy")
    assert (score.value, score.n) == (0.75, 20)
    assert score.chance == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert score.controls["majority"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert only(scores, "mean:one-label", "macro_accuracy").details["sets"] == ["a"]
    assert only(scores, "mean:several-labels", "macro_accuracy").details["sets"] == ["b"]


def test_a_stratum_over_sets_weighs_pairs_of_set_and_label(scores: list[Score]) -> None:
    """All squares are medium: recalls 1, .5 of set a and 0, 1, 1, 1 of set b."""
    score = only(scores, "mean:all", "macro_accuracy", "medium")
    assert score.value == pytest.approx(4.5 / 6)
    assert score.details["labels"] == 6
    assert score.chance == pytest.approx((2 / 2 + 4 / 4) / 6)


def test_the_difference_to_a_control_has_an_interval_of_its_own(scores: list[Score]) -> None:
    difference = only(scores, "b", "macro_accuracy").details["differences"]["majority"]
    assert difference["value"] == pytest.approx(0.5)
    assert difference["low"] < 0.5 < difference["high"]


def test_without_sets_there_is_no_score() -> None:
    assert score_regions([]) == []


def test_another_source_of_boxes_stands_beside_the_given_ones(scores: list[Score]) -> None:
    score = only(scores, "a", "macro_accuracy", boxes="none")
    assert score.value == 0
    assert score.controls == {"given": pytest.approx(0.75)}
    assert only(scores, "mean:all", "macro_accuracy", boxes="none").controls["given"] == 0.75


def test_gates_are_told_on_average_and_for_each_size(paint: Paint, squares: Corpus) -> None:
    one = answers_of(paint, squares, "a", [0] * 6 + [1] * 6, [0] * 6 + [1] * 6, several=False)
    gates = np.stack([np.linspace(0, 1.1, 12), np.full(12, 0.5)], axis=1)
    scored = score_regions([replace(one, gates_R2=gates.astype(np.float32))])
    told = only(scored, "a", "macro_accuracy").details["gates"]
    assert told == {"detail": pytest.approx(0.55), "context": pytest.approx(0.5)}
    assert "gates" not in only(scored, "a", "macro_accuracy", boxes="none").details


def test_permuted_labels_say_what_chance_reaches(scores: list[Score]) -> None:
    permuted = only(scores, "b", "macro_accuracy").details["chance_by_permutation"]
    assert permuted["low"] < 0.25 < permuted["high"]
    assert permuted["p"] < 0.05  # .75 of four labels in twelve answers
