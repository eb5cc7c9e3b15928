"""Answers are folded, the head learns from train only, and types have their own majority."""

import numpy as np

from regionmed.evaluation.vqa import commonest, fold, train_head, vocabularies
from regionmed.record import Question


def asked(answer: str, kind: str) -> Question:
    return Question("q", "what", answer, "open" if kind == "open" else "closed")


def test_white_space_and_case_are_folded() -> None:
    assert fold("  Left\n Lung ") == fold("left lung") == "left lung"


def test_each_type_has_its_own_commonest_answer_and_the_alphabet_breaks_ties() -> None:
    questions = [asked(answer, "closed") for answer in ("No", "yes", "no ", "Yes")]
    questions += [asked(answer, "open") for answer in ("lung", "Liver", "liver")]
    counts = vocabularies(questions)
    assert commonest(counts["closed"]) == "no"
    assert commonest(counts["open"]) == "liver"
    assert commonest(vocabularies([])["open"]) == ""


def test_the_head_answers_what_the_features_separate() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 200)
    features = np.eye(3)[truth] + generator.normal(0, 0.1, (200, 3))
    answers = [("yes", "no", "liver")[kind] for kind in truth]
    head, _ = train_head(features[:150], answers[:150], features[150:175], answers[150:175])
    assert list(head.predict(features[175:])) == answers[175:]


def test_the_penalty_is_the_one_that_val_prefers() -> None:
    """Few rows and many noisy columns: a strong penalty wins, by a count of right answers."""
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 460)
    features = generator.normal(0, 1, (460, 300))
    features[:, 0] += 3 * truth
    answers = [("no", "yes")[kind] for kind in truth]
    head, penalty = train_head(features[:60], answers[:60], features[60:], answers[60:])
    right = (head.predict(features[60:]) == np.array(answers[60:])).mean()
    weakest, first = train_head(features[:60], answers[:60], features[:0], [])
    assert first == 30
    assert penalty >= first
    assert right >= (weakest.predict(features[60:]) == np.array(answers[60:])).mean()
