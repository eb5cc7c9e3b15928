"""The head learns what its blocks separate; val chooses the penalty and whether to look at all."""

import numpy as np

from regionmed.evaluation.vqa_head import BLIND, PENALTIES, SEEING, Look, features, train_head
from regionmed.evaluation.vqa_questions import Asked
from regionmed.record import Question


def rows(answers: list[str], question: np.ndarray, picture: np.ndarray) -> Asked:
    questions = tuple(Question(str(n), "what", a, "open") for n, a in enumerate(answers))
    return Asked(questions, ("g",) * len(answers), question, picture)


def drawn(seed: int, noise: float, n: int = 120) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Answers that the picture decides, and questions that say nothing."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, n)
    picture = np.eye(3)[truth] + generator.normal(0, noise, (n, 3))
    return [("yes", "no", "liver")[kind] for kind in truth], np.ones((n, 3)), picture


def test_the_head_answers_what_the_picture_separates() -> None:
    train, val, asked = (rows(*drawn(seed, 0.05)) for seed in range(3))
    head = train_head(train, val)
    assert head.right_on_val == 1.0
    assert list(head.answer(asked)) == asked.answers


def test_val_prefers_not_to_look_where_pictures_mislead() -> None:
    """The question decides; pictures follow it in train alone, the other way round on val."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 80)
    answers = [("no", "yes")[kind] for kind in truth]
    question = 0.3 * np.eye(2)[truth] + generator.normal(0, 0.05, (80, 2))
    train = rows(answers, question, 3 * np.eye(2)[truth])
    val = rows(answers, question, 3 * np.eye(2)[1 - truth])
    must_look = train_head(train, val, [SEEING])
    assert must_look.right_on_val is not None
    assert must_look.right_on_val < 0.7
    head = train_head(train, val)
    assert head.look == BLIND
    assert head.right_on_val is not None
    assert head.right_on_val > 0.9


def test_without_val_questions_the_first_look_and_penalty_are_taken_untried() -> None:
    train = rows(*drawn(0, 0.05))
    head = train_head(train, rows([], np.zeros((0, 3)), np.zeros((0, 3))))
    assert (head.look, head.penalty, head.right_on_val) == (SEEING, PENALTIES[0], None)


def test_no_penalty_answers_more_of_val_than_the_chosen_one() -> None:
    train, val = rows(*drawn(3, 1.5)), rows(*drawn(4, 1.5))
    chosen = train_head(train, val, [SEEING])
    truth = np.array(val.answers)
    for penalty in PENALTIES:
        other = type(chosen.ridge)(alpha=penalty)
        other.fit(features(train, SEEING), np.array(train.answers))
        right = (other.predict(features(val, SEEING)) == truth).mean()
        assert right <= (chosen.right_on_val or 0)


def test_blocks_are_question_picture_and_products_with_their_weights() -> None:
    """Width 4, so a unit entry is 2 times its weight, a product 4 times."""
    asked = rows(["a"], np.full((1, 4), 0.5), np.full((1, 4), -0.5))
    np.testing.assert_allclose(
        features(asked, Look(0.3, 1.0))[0], [1.0] * 4 + [-0.3] * 4 + [-1.0] * 4
    )
    assert features(asked, BLIND).shape == (1, 4)


def test_a_set_with_one_answer_is_answered_with_it() -> None:
    train = rows(["yes"] * 5, np.ones((5, 3)), np.ones((5, 3)))
    assert train_head(train, train).answer(train) == ("yes",) * 5
