"""Candidates come from the most alike train questions of the type; the nearest text is answered."""

import numpy as np

from regionmed.evaluation.vqa_questions import Asked
from regionmed.evaluation.vqa_ranking import SHORTLIST, candidate_text, candidates_of, rank_answers
from regionmed.model.region_clip import RegionClip
from regionmed.record import Question


def question(text: str, answer: str, kind: str = "open") -> Question:
    return Question(text, text, answer, "closed" if kind == "closed" else "open")


def test_answers_to_alike_questions_come_first_and_each_once() -> None:
    """Twelve organs were asked for, and one plane: the plane is found by its own question."""
    train = [question(f"which organ is number {n}", f"organ {n:02}") for n in range(12)]
    train += [question("in which plane was it taken", "Axial")] * 3
    (found,) = candidates_of([question("in what plane was this taken", "?")], train)
    assert len(found) == len(set(found)) == SHORTLIST
    assert "axial" in found


def test_a_type_without_train_rows_has_no_candidates_and_is_not_answered() -> None:
    train = [question("is it large", "yes", "closed"), question("is it small", "No", "closed")]
    asked = [question("is it round", "no", "closed"), question("what is it", "cyst")]
    assert candidates_of(asked, train) == (("no", "yes"), ())


def test_questions_without_a_single_word_are_no_error() -> None:
    assert candidates_of([question("??", "a")], [question("!", "b")]) == (("b",),)


def test_the_nearest_text_is_answered_and_controls_see_other_pictures(
    untrained: RegionClip,
) -> None:
    """The picture is the vector of one candidate's text, the mean picture that of the other."""
    train = [question("what is it", "cyst"), question("what is it", "polyp")]
    texts = [candidate_text("what is it", answer) for answer in ("cyst", "polyp")]
    cyst, polyp = untrained.encode_text(texts)
    asked = Asked((train[0],), ("g",), cyst[None], polyp[None])
    ranked = rank_answers(untrained, train, asked, cyst[None], cyst)
    assert ranked.given == ("polyp",)
    assert ranked.controls == {"question-only": ("cyst",), "blank": ("cyst",)}
    assert "blank" not in rank_answers(untrained, train, asked, None, cyst).controls


def test_equally_near_candidates_are_decided_by_the_alphabet(untrained: RegionClip) -> None:
    train = [question("what is it", "polyp"), question("what is it", "cyst")]
    nothing = np.zeros((1, untrained.embedding_dim), np.float32)
    asked = Asked((train[0],), ("g",), nothing, nothing)
    assert rank_answers(untrained, train, asked, None, nothing[0]).given == ("cyst",)
