"""Questions about pictures: an answer head on frozen embeddings, trained on `train` rows only.

The head is linear over [question, picture, question * picture]: least squares on one column per
answer, its penalty chosen on val. (A logistic regression was no better on vqa_rad's val rows, and
its hundreds of answers took fifty times as long.) The answers it may give are those of the training
rows, white space and case folded; a question whose answer is not among them counts as wrong.
Legend: Q questions · E embedding · F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import Floats, encode, encode_texts
from regionmed.evaluation.part import Part, Pictures, placed
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.statistics import differences, mean
from regionmed.evaluation.strata import group_of
from regionmed.evaluation.subject import Subject
from regionmed.progress import Track, silent
from regionmed.record import Question, Record

PENALTIES = (30.0, 300.0, 3000.0, 30000.0)  # scikit-learn's alpha, chosen on val


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Questions with the embeddings of their pictures; rows run over questions, maybe none."""

    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    question_QE: Floats
    picture_QE: Floats

    @property
    def answers(self) -> list[str]:
        """The right answers, folded."""
        return [fold(question.answer) for question in self.questions]

    @property
    def seeing(self) -> Floats:
        """What the head reads: [question, picture, question * picture], numbers of about 1."""
        width = self.question_QE.shape[1]
        product = self.question_QE * self.picture_QE * width
        return np.concatenate([self.blind, self.picture_QE * width**0.5, product], axis=1)

    @property
    def blind(self) -> Floats:
        """What the question-only head reads."""
        return self.question_QE * self.question_QE.shape[1] ** 0.5


@dataclass(frozen=True, slots=True, eq=False)
class VqaAnswers:
    """What the head and its controls answered to the questions of a Part."""

    part: Part
    asked: Asked
    given: tuple[str, ...]
    controls: dict[str, tuple[str, ...]]  # majority, question-only, blank
    vocabulary: dict[str, frozenset[str]]  # type -> the answers of its training rows
    penalty: float


def fold(answer: str) -> str:
    """An answer as it is compared: white space and case folded."""
    return " ".join(answer.split()).casefold()


def train_head(
    train_QF: Floats, train_answers: Sequence[str], val_QF: Floats, val_answers: Sequence[str]
) -> tuple[RidgeClassifier, float]:
    """The linear head whose penalty answers most val questions, and that penalty.

    Of equals the weakest penalty; without val questions the first of PENALTIES is taken untried.
    """
    penalties = PENALTIES if val_answers else PENALTIES[:1]
    heads = [RidgeClassifier(alpha=p).fit(train_QF, np.array(train_answers)) for p in penalties]
    right = [
        (head.predict(val_QF) == np.array(val_answers)).mean() if val_answers else 0.0
        for head in heads
    ]
    best = int(np.argmax(right))
    return heads[best], penalties[best]


def vocabularies(questions: Sequence[Question]) -> dict[str, Counter[str]]:
    """For each type, the folded answers and how often they were given."""
    counts: dict[str, Counter[str]] = {"open": Counter(), "closed": Counter()}
    for question in questions:
        counts[question.type][fold(question.answer)] += 1
    return counts


def commonest(counts: Counter[str]) -> str:
    """The commonest answer; the alphabet decides between equals. Empty where there is none."""
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def run_vqa(
    model: Subject, part: Part, pictures: Pictures, images_NE: Floats, track: Track = silent
) -> VqaAnswers | None:
    """Train heads on the set's train rows and answer the Part's questions.

    pictures, images_NE  of part.records
    returns              None where the split or the train rows have no questions, or where the
                         split is train, whose answers the heads were given
    """
    if part.conditions.split == "train":
        return None
    asked = _asked(model, part.records, images_NE)
    if not asked.questions:
        return None
    train = _of_split(model, part, "train", track)
    if not train.questions:
        return None
    # the penalty is chosen on val, unless val is what is scored
    to_choose = "val" if part.conditions.split != "val" else None
    val = _of_split(model, part, to_choose, track)
    pairs = zip(pictures.pixels_NHWC, pictures.placements, strict=True)
    blanks = np.stack([grey_picture(pixels, placement) for pixels, placement in pairs])
    blank_NE = encode(model, blanks, title=f"{part.name}: blank pictures", track=track).images_NE
    return answer_questions(part, train, val, asked, _asked(model, part.records, blank_NE))


def answer_questions(
    part: Part, train: Asked, val: Asked, asked: Asked, blank: Asked
) -> VqaAnswers:
    """Train on `train`, choose on `val`, answer `asked`; `blank` is `asked` with grey pictures."""
    head, penalty = train_head(train.seeing, train.answers, val.seeing, val.answers)
    blind_head, _ = train_head(train.blind, train.answers, val.blind, val.answers)
    counts = vocabularies(train.questions)
    return VqaAnswers(
        part=part,
        asked=asked,
        given=tuple(head.predict(asked.seeing)),
        controls={
            "majority": tuple(commonest(counts[question.type]) for question in asked.questions),
            "question-only": tuple(blind_head.predict(asked.blind)),
            "blank": tuple(head.predict(blank.seeing)),
        },
        vocabulary={kind: frozenset(count) for kind, count in counts.items()},
        penalty=penalty,
    )


def score_vqa(answers: VqaAnswers) -> list[Score]:
    """Accuracy over all questions, and over the open and the closed ones apart."""
    kinds = np.array([question.type for question in answers.asked.questions])
    everything = np.ones(len(kinds), bool)
    parts = {"all": everything, "open": kinds == "open", "closed": kinds == "closed"}
    return [_score(answers, stratum, rows_Q) for stratum, rows_Q in parts.items() if rows_Q.any()]


def _score(answers: VqaAnswers, stratum: str, rows_Q: NDArray[np.bool_]) -> Score:
    part, truth_Q = answers.part, np.array(answers.asked.answers)[rows_Q]
    groups = list(np.array(answers.asked.groups)[rows_Q])
    hits_Q = np.array(answers.given)[rows_Q] == truth_Q
    control_hits = {
        name: np.array(given)[rows_Q] == truth_Q for name, given in answers.controls.items()
    }
    known = frozenset().union(*answers.vocabulary.values())
    sizes = [
        max(len(answers.vocabulary[question.type]), 1)
        for question, chosen in zip(answers.asked.questions, rows_Q, strict=True)
        if chosen
    ]
    seed = f"vqa {part.name}"
    against = differences(hits_Q, control_hits, np.zeros(len(hits_Q)), groups, seed)
    return score_of(
        mean(hits_Q, groups, seed),
        task="vqa",
        set=part.name,
        stratum=stratum,
        metric="accuracy",
        n=len(hits_Q),
        chance=float(np.mean([1 / size for size in sizes])),
        controls={name: float(hits.mean()) for name, hits in control_hits.items()},
        conditions=part.conditions,
        details={
            "differences": {name: found.as_json() for name, found in against.items()},
            "outside_vocabulary": float(np.mean([answer not in known for answer in truth_Q])),
            "penalty": answers.penalty,
            "protocol": "image-disjoint, head trained on train rows, penalty chosen on val "
            "(the first one untried where val is scored)",
        },
    )


def _of_split(model: Subject, part: Part, split: str | None, track: Track) -> Asked:
    chosen = [
        (index, record)
        for index, record in part.everything
        if split is not None and record.split == split and record.questions
    ]
    size = model.image_size
    indices = [index for index, _ in chosen]
    pictures = placed(part.corpus, indices, size, f"{part.name}: {split} pictures", track)
    images_NE = encode(model, pictures.pixels_NHWC).images_NE
    return _asked(model, [record for _, record in chosen], images_NE)


def _asked(model: Subject, records: Sequence[Record], images_NE: Floats) -> Asked:
    rows = [row for row, record in enumerate(records) for _ in record.questions]
    questions = tuple(question for record in records for question in record.questions)
    texts_QE = encode_texts(model, [question.question for question in questions])
    groups = tuple(group_of(records[row]) for row in rows)
    return Asked(questions, groups, texts_QE, images_NE[rows])
