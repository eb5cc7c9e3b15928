"""Answering without training: the candidate whose text with the question lies nearest.

Candidates are answers of the question's type in the train rows. Where those are many, they are the
answers of the train questions most alike to the one asked: alike by TF-IDF of their words, not by
the model, so that every model chooses among the same ones. Legend: Q questions, A candidates in
all, E embedding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from regionmed.evaluation.encode import Floats, encode_texts
from regionmed.evaluation.subject import Scored
from regionmed.evaluation.vqa_questions import Asked, fold
from regionmed.record import Question

SHORTLIST = 10  # candidates of a question; a text is encoded for each


@dataclass(frozen=True, slots=True, eq=False)
class RankedAnswers:
    """What ranking answered; the candidates' texts are nearest to the picture, or to a control.

    candidates  for each question its folded answers, at most SHORTLIST
    controls    question-only: nearest to the mean training picture; blank: to the grey picture
    """

    given: tuple[str, ...]
    candidates: tuple[tuple[str, ...], ...]
    controls: dict[str, tuple[str, ...]]


def candidates_of(
    asked: Sequence[Question], train: Sequence[Question]
) -> tuple[tuple[str, ...], ...]:
    """For each question at most SHORTLIST folded answers, in the order of the alphabet.

    Train questions of its type are taken from the most alike on until so many different answers
    are found; the alphabet decides between equally alike ones. Empty where none has its type.
    """
    chosen: list[tuple[str, ...]] = [()] * len(asked)
    for kind in ("open", "closed"):
        known = [question for question in train if question.type == kind]
        rows = [row for row, question in enumerate(asked) if question.type == kind]
        if not known or not rows:
            continue
        words = TfidfVectorizer(analyzer=_words).fit([question.question for question in known])
        known_words = words.transform([question.question for question in known])
        answers = np.array([fold(question.answer) for question in known])
        for row in rows:
            alike = (known_words @ words.transform([asked[row].question]).T).toarray()[:, 0]
            nearest = answers[np.lexsort((answers, -alike.round(9)))]
            chosen[row] = tuple(sorted(list(dict.fromkeys(map(str, nearest)))[:SHORTLIST]))
    return tuple(chosen)


def _words(text: str) -> list[str]:
    """Single letters and digits are words too ("L", "T2"); a text without any is one empty word."""
    return re.findall(r"\w+", text.casefold()) or [""]


def candidate_text(question: str, answer: str) -> str:
    """What is held against the picture."""
    return f"{' '.join(question.split())} {answer}"


def rank_answers(
    model: Scored,
    train: Sequence[Question],
    asked: Asked,
    blank_QE: Floats | None,
    mean_picture_E: Floats,
) -> RankedAnswers:
    """The nearest candidate of each question; of equally near ones the first of the alphabet.

    blank_QE        the grey pictures of the questions; None leaves that control out
    mean_picture_E  of the training pictures
    """
    candidates = candidates_of(asked.questions, train)
    texts = [
        candidate_text(question.question, answer)
        for question, answers in zip(asked.questions, candidates, strict=True)
        for answer in answers
    ]
    texts_AE = encode_texts(model, texts)
    ends = np.cumsum([len(answers) for answers in candidates])[:-1]
    by_question = np.split(texts_AE, ends)

    def nearest(pictures_QE: Floats) -> tuple[str, ...]:
        return tuple(
            answers[int(np.argmax(rows_AE @ picture_E))] if answers else ""
            for answers, rows_AE, picture_E in zip(
                candidates, by_question, pictures_QE, strict=True
            )
        )

    controls = {"question-only": nearest(np.tile(mean_picture_E, (len(candidates), 1)))}
    if blank_QE is not None:
        controls["blank"] = nearest(blank_QE)
    return RankedAnswers(nearest(asked.picture_QE), candidates, controls)
