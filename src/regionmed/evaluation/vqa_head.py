"""An answer head on frozen embeddings: least squares, linear over blocks of weighted features.

The blocks are the question, the picture, the mean of its regions where there are any, and the
products of the question with both. One column an answer. How much the blocks beyond the question
weigh, and the penalty, are chosen on val, blindness included: where val prefers the question alone,
the head does not look. (A logistic regression was no better on vqa_rad's val rows, and its hundreds
of answers took fifty times as long.) Legend: Q questions, E embedding, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import RidgeClassifier

from regionmed.evaluation.encode import Floats
from regionmed.evaluation.vqa_questions import Asked

PENALTIES = (30.0, 300.0, 3000.0, 30000.0)  # scikit-learn's alpha


@dataclass(frozen=True, slots=True)
class Look:
    """How much picture and products weigh beside the question, whose weight is 1."""

    picture: float
    product: float


SEEING = Look(1.0, 1.0)
BLIND = Look(0.0, 0.0)
# separate penalties for the blocks, as weights: a weight w is a penalty of alpha / w^2
LOOKS = (SEEING, Look(0.0, 1.0), Look(0.0, 0.3), BLIND)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A trained head, how it looks, its penalty, and what share of val it answered (None: none)."""

    ridge: RidgeClassifier
    look: Look
    penalty: float
    right_on_val: float | None

    def answer(self, asked: Asked) -> tuple[str, ...]:
        """A folded answer for each question."""
        if not asked.questions:
            return ()
        return tuple(map(str, self.ridge.predict(features(asked, self.look))))


def features(asked: Asked, look: Look) -> Floats:
    """(Q, F): the blocks that weigh anything, numbers of about their weight."""
    width = asked.question_QE.shape[1]
    blocks = [asked.question_QE * width**0.5]
    for seen_QE in (asked.picture_QE, asked.region_QE):
        if seen_QE is None:
            continue
        if look.picture:
            blocks.append(seen_QE * (look.picture * width**0.5))
        if look.product:
            blocks.append(asked.question_QE * seen_QE * (look.product * width))
    return np.concatenate(blocks, axis=1)


def train_head(train: Asked, val: Asked, looks: Sequence[Look] = LOOKS) -> Head:
    """The head that answers most val questions, trained on `train`.

    Of equals the first look, then the weakest penalty; without val questions the first of both is
    taken untried.
    """
    answers = np.array(train.answers)
    best: Head | None = None
    for look in looks:
        train_QF = features(train, look)
        for penalty in PENALTIES:
            ridge = RidgeClassifier(alpha=penalty).fit(train_QF, answers)
            if not val.questions:
                return Head(ridge, look, penalty, None)
            right = ridge.predict(features(val, look)) == np.array(val.answers)
            head = Head(ridge, look, penalty, float(right.mean()))
            if best is None or right.mean() > (best.right_on_val or 0.0):
                best = head
    if best is None:
        raise ValueError("a head needs at least one look to choose from")
    return best
