"""Calibration, selection and familiarity of region answers, from real and from made vectors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.confidence import UNFITTED, calibration_error
from regionmed.evaluation.encode import Rows, encode_texts, rows_of
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.region_confidence import (
    FAMILIAR,
    RegionConfidence,
    run_confidence,
    score_selective,
)
from regionmed.evaluation.region_views import RegionViews
from regionmed.evaluation.regions import RegionAnswers, asked_regions, run_regions
from regionmed.evaluation.score import Score
from regionmed.model.confidence import familiarity, fitted_scale
from regionmed.model.region_clip import RegionClip

LABELS = ("bright", "dark")


@pytest.fixture(scope="module")
def part(squares: Corpus, untrained: RegionClip) -> Part:
    return next(iter(open_parts(untrained, [squares], "test")))


def rows_near(model: RegionClip, part: Part, labels: list[str], seed: int, noise: float) -> Rows:
    """Regions that lie near the phrase of their label; a record each, of the part or copies."""
    generator = np.random.default_rng(seed)
    phrases = encode_texts(model, [part.phrases[label] for label in labels])
    vectors = phrases + generator.normal(0, noise, phrases.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = [
        replace(part.records[0], regions=(replace(part.records[0].regions[0], label=label),))
        for label in labels
    ]
    places = tuple((row, 0) for row in range(len(labels)))
    return Rows(tuple(made), vectors.astype(np.float32), vectors.astype(np.float32), places)


def confidence_of(
    model: RegionClip, part: Part, seed: int, noise: float, val_count: int = 40
) -> RegionConfidence:
    asked = asked_regions(part)
    assert asked is not None
    truth = [asked.labels[column] for column in asked.truth_R]
    made = rows_near(model, part, truth, seed, noise)
    test = Rows(part.records, made.images_NE, made.regions_RE, asked.places)
    answers = run_regions(
        model, part, asked, RegionViews(test.images_NE, {"given": test.regions_RE}, {})
    )
    train = rows_near(model, part, [*LABELS] * 6, seed + 1, noise)
    val = rows_near(model, part, [*LABELS] * (val_count // 2), seed + 2, noise)
    return run_confidence(model, answers, train, val, test)


def only(scores: list[Score], metric: str, name: str) -> Score:
    (found,) = [score for score in scores if (score.metric, score.set) == (metric, name)]
    return found


def test_calibration_and_selection_are_those_of_the_highest_probability(
    untrained: RegionClip, part: Part
) -> None:
    one = confidence_of(untrained, part, 0, 0.15)
    assert one.scale is not None
    stated = softmax(one.answers.similarity_RL.astype(float) * one.scale, axis=1).max(axis=1)
    scores = score_selective([one])
    ece = only(scores, "ece", "squares")
    assert ece.value == pytest.approx(calibration_error(stated, one.right_R, np.ones(len(stated))))
    assert ece.low <= ece.value <= ece.high
    assert ece.details["scale"] == one.scale
    unfitted = calibration_error(one.stated_at(UNFITTED), one.right_R, np.ones(len(stated)))
    assert ece.details["unfitted"]["value"] == pytest.approx(unfitted)
    aurc = only(scores, "aurc", "squares")
    assert aurc.chance == pytest.approx(1 - one.right_R.mean())
    assert aurc.details["oracle"] <= aurc.value
    assert aurc.details["accuracy_at_coverage"]["100%"] == pytest.approx(one.right_R.mean())
    assert list(aurc.details["accuracy_at_coverage"]) == ["50%", "70%", "80%", "90%", "100%"]
    # one set has no foreign regions
    assert not [score for score in scores if score.task == FAMILIAR]
    assert only(scores, "ece", "mean:all").value == pytest.approx(ece.value)


def test_equal_similarities_are_calibrated_by_chance_and_no_order_helps(
    untrained: RegionClip, part: Part
) -> None:
    one = confidence_of(untrained, part, 0, 0.15)
    flat = RegionAnswers(
        part, one.answers.asked, False, np.zeros_like(one.answers.similarity_RL), {}, {}
    )
    scores = score_selective([replace(one, answers=flat)])
    assert only(scores, "ece", "squares").value == pytest.approx(0, abs=1e-12)
    aurc = only(scores, "aurc", "squares")
    assert (aurc.value, aurc.chance) == (pytest.approx(0.5), pytest.approx(0.5))


def test_foreign_regions_are_told_apart_as_scikit_learn_says(
    untrained: RegionClip, part: Part
) -> None:
    near = confidence_of(untrained, part, 0, 0.1)
    far_part = replace(part, name="blurred")
    far = confidence_of(untrained, far_part, 9, 0.3)
    scores = score_selective([near, far])
    found = only(scores, "auroc", "squares")
    own, foreign = (familiarity(one.regions_RE, near.known_KE) for one in (near, far))
    is_own = np.repeat([1, 0], [len(own), len(foreign)])
    theirs = roc_auc_score(is_own, np.concatenate([own, foreign]))
    assert found.value == pytest.approx(theirs)
    assert found.details["by_set"] == {"blurred": pytest.approx(theirs)}
    assert (found.task, found.chance, found.details["known_regions"]) == (FAMILIAR, 0.5, 12)
    alike = replace(near, regions_RE=np.tile(near.regions_RE[:1], (len(own), 1)))
    same = score_selective([alike, replace(alike, answers=far.answers)])
    assert only(same, "auroc", "squares").value == pytest.approx(0.5)


def test_nothing_is_fitted_on_what_is_scored_nor_on_too_few(
    untrained: RegionClip, part: Part
) -> None:
    on_val = replace(part, conditions=replace(part.conditions, split="val"))
    on_train = replace(part, conditions=replace(part.conditions, split="train"))
    assert confidence_of(untrained, on_val, 0, 0.1).scale is None
    assert len(confidence_of(untrained, on_train, 0, 0.1).known_KE) == 0
    few = confidence_of(untrained, part, 0, 0.1, val_count=18)
    ece = only(score_selective([few]), "ece", "squares")
    assert (ece.details["scale"], ece.details["scale_from"][:8]) == (UNFITTED, "unfitted")


def test_a_label_weighs_as_it_does_in_val_though_fewer_of_it_are_held(
    untrained: RegionClip, part: Part
) -> None:
    """Val records hold two dark regions each, of which one is in the rows."""
    one = confidence_of(untrained, part, 0, 0.15)
    named = [*LABELS] * 15
    held = rows_near(untrained, part, named, 5, 0.15)
    records = tuple(
        replace(record, regions=record.regions * 2) if label == "dark" else record
        for record, label in zip(held.records, named, strict=True)
    )
    val = replace(held, records=records)
    test = Rows(part.records, one.regions_RE, one.regions_RE, one.answers.asked.places)
    found = run_confidence(untrained, one.answers, held, val, test)
    texts_LE = encode_texts(untrained, [part.phrases[label] for label in LABELS])
    truth = np.array(named)[:, None] == np.array(LABELS)
    by_hand = fitted_scale(val.regions_RE @ texts_LE.T, truth, False, np.array([1.0, 2.0] * 15))
    assert found.scale == pytest.approx(by_hand)
    assert found.scale != pytest.approx(fitted_scale(val.regions_RE @ texts_LE.T, truth, False))


def test_rows_of_an_evaluation_are_enough(untrained: RegionClip, part: Part) -> None:
    """The painted corpus has eight val regions, too few to fit on; its sets are scored anyway."""
    asked = asked_regions(part)
    assert asked is not None
    train, val, test = (rows_of(untrained, part, split) for split in ("train", "val", "test"))
    row_of = {(test.records[row].id, n): at for at, (row, n) in enumerate(test.places)}
    regions_RE = test.regions_RE[[row_of[part.records[row].id, n] for row, n in asked.places]]
    views = RegionViews(np.zeros((len(part.records), 256), np.float32), {"given": regions_RE}, {})
    answers = run_regions(untrained, part, asked, views)
    seen = Rows(part.records, views.images_NE, regions_RE, asked.places)
    found = run_confidence(untrained, answers, train, val, seen)
    assert (found.scale, found.known_KE.shape) == (None, train.regions_RE.shape)
    scores = score_selective([found])
    assert {(score.metric, score.n) for score in scores} == {
        ("ece", len(asked.places)),
        ("aurc", len(asked.places)),
    }
    assert found.reliability.count_B.sum() == len(asked.places)
    assert found.curve.accuracy_C[-1] == pytest.approx(found.right_R.mean())


def test_a_set_without_scores_is_no_mean() -> None:
    assert score_selective([]) == []
