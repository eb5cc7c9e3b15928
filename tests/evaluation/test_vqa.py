"""Answers are folded, types have their own majority, and no scored picture trains the head."""

from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.encode import Rows, encode, rows_of
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.vqa import VqaAnswers, commonest, run_vqa, vocabularies
from regionmed.evaluation.vqa_questions import apart_from, fold, region_means
from regionmed.evaluation.vqa_scores import outcomes_of, score_vqa
from regionmed.model.region_clip import RegionClip
from regionmed.record import Question


def asked(answer: str, kind: str) -> Question:
    return Question("q", "what", answer, "open" if kind == "open" else "closed")


@pytest.fixture(scope="module")
def part(untrained: RegionClip, squares: Corpus) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


@pytest.fixture(scope="module")
def rows(untrained: RegionClip, part: Part) -> dict[str, Rows]:
    return {split: rows_of(untrained, part, split) for split in ("train", "val")}


def answered(model: RegionClip, part: Part, rows: dict[str, Rows]) -> VqaAnswers:
    pictures = part.pictures(model.image_size)
    images_NE = encode(model, pictures.pixels_NHWC).images_NE
    found = run_vqa(model, part, pictures, images_NE, rows["train"], rows["val"])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def answers(untrained: RegionClip, part: Part, rows: dict[str, Rows]) -> VqaAnswers:
    return answered(untrained, part, rows)


def test_white_space_and_case_are_folded() -> None:
    assert fold("  Left\n Lung ") == fold("left lung") == "left lung"


def test_each_type_has_its_own_commonest_answer_and_the_alphabet_breaks_ties() -> None:
    questions = [asked(answer, "closed") for answer in ("No", "yes", "no ", "Yes")]
    questions += [asked(answer, "open") for answer in ("lung", "Liver", "liver")]
    counts = vocabularies(questions)
    assert commonest(counts["closed"]) == "no"
    assert commonest(counts["open"]) == "liver"
    assert commonest(vocabularies([])["open"]) == ""


def test_a_row_that_shares_file_group_or_twins_with_a_scored_one_is_dropped(part: Part) -> None:
    """Of five rows with two questions each the first three share something; one asks nothing."""
    one, *_ = part.records
    scored = [replace(one, sha256="f", group="g", twins="t")]
    rows = [
        replace(one, sha256="f", group=None, twins=None),
        replace(one, sha256="1", group="g", twins=None),
        replace(one, sha256="2", group=None, twins="t"),
        replace(one, sha256="3", group="t", twins="g"),
        replace(one, sha256=None, group=None, twins=None),
        replace(one, sha256="f", questions=()),
    ]
    kept = apart_from(rows, scored)
    assert (kept.rows, kept.dropped_pictures, kept.dropped_questions) == ((3, 4), 3, 6)


def test_the_drop_stands_beside_the_score(
    untrained: RegionClip, part: Part, rows: dict[str, Rows]
) -> None:
    """One training picture is published again among the scored ones: its two questions go."""
    train = rows["train"]
    again = replace(train.records[0], sha256=part.records[0].sha256)
    leaky = replace(train, records=(again, *train.records[1:]))
    found = answered(untrained, part, {"train": leaky, "val": rows["val"]})
    for score in score_vqa(found):
        assert score.details["dropped_from_train"] == {"pictures": 1, "questions": 2}
        assert score.details["dropped_from_val"] == {"pictures": 0, "questions": 0}


def test_regions_are_read_in_the_mean_and_a_picture_without_any_brings_zeros() -> None:
    """(1, 0) and (0, 1) have the mean direction (1, 1) / sqrt(2)."""
    means = region_means([0, 0, 2], np.array([[1, 0], [0, 1], [0, 1]], np.float32), 3)
    np.testing.assert_allclose(means, [[0.5**0.5, 0.5**0.5], [0, 0], [0, 1]], atol=1e-6)


def test_given_regions_enter_the_head_and_the_score_says_so(answers: VqaAnswers) -> None:
    assert answers.asked.region_QE is not None
    assert np.linalg.norm(answers.asked.region_QE, axis=1) == pytest.approx(1, abs=1e-5)
    boxes = {(score.task, score.details["boxes"]) for score in score_vqa(answers)}
    assert boxes == {("vqa", "given"), ("vqa_ranking", "none")}


def test_without_regions_the_same_head_reads_the_picture_alone(
    untrained: RegionClip, part: Part, rows: dict[str, Rows]
) -> None:
    bare = {
        split: replace(some, regions_RE=some.regions_RE[:0], places=())
        for split, some in rows.items()
    }
    found = answered(untrained, part, bare)
    assert found.asked.region_QE is None
    assert len(found.given) == 46


def test_open_and_closed_stand_apart_for_head_and_ranking(answers: VqaAnswers) -> None:
    """23 scored pictures, a closed and an open question each; the only closed answer is "yes"."""
    scores = {(score.task, score.stratum): score for score in score_vqa(answers)}
    assert {key: score.n for key, score in scores.items()} == {
        (task, stratum): n
        for task in ("vqa", "vqa_ranking")
        for stratum, n in (("all", 46), ("open", 23), ("closed", 23))
    }
    closed = scores["vqa_ranking", "closed"]
    assert (closed.value, closed.chance, closed.controls["blank"]) == (1.0, 1.0, 1.0)
    assert scores["vqa_ranking", "open"].chance == 0.5
    assert set(closed.controls) == {"majority", "question-only", "blank"}


def test_vectors_that_were_stored_leave_the_blank_controls_out(
    untrained: RegionClip, part: Part, rows: dict[str, Rows]
) -> None:
    images_NE = np.eye(23, untrained.embedding_dim, dtype=np.float32)
    found = run_vqa(untrained, part, None, images_NE, rows["train"], rows["val"])
    assert found is not None
    assert all("blank" not in score.controls for score in score_vqa(found))


def test_outcomes_average_to_the_scores(answers: VqaAnswers) -> None:
    scores = {score.task: score.value for score in score_vqa(answers) if score.stratum == "all"}
    means = {found.task: found.values_N.mean() for found in outcomes_of(answers)}
    assert means == pytest.approx(scores)


def test_answers_of_train_rows_are_not_asked_back(
    untrained: RegionClip, squares: Corpus, rows: dict[str, Rows]
) -> None:
    train = next(iter(open_parts(untrained, [squares], "train")))
    images_NE = np.zeros((len(train.records), untrained.embedding_dim), np.float32)
    assert run_vqa(untrained, train, None, images_NE, rows["train"], rows["val"]) is None
