"""Scores of questions: accuracy of the trained head and of ranking, open and closed apart.

Legend: Q questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.statistics import differences, mean
from regionmed.evaluation.vqa import VqaAnswers
from regionmed.evaluation.vqa_questions import Kept
from regionmed.evaluation.vqa_ranking import SHORTLIST

HEAD, RANKING = "vqa", "vqa_ranking"

Item = TypeVar("Item")


def score_vqa(answers: VqaAnswers) -> list[Score]:
    """Accuracy of both ways over all questions, and over the open and the closed ones apart."""
    kinds = np.array([question.type for question in answers.asked.questions])
    everything = np.ones(len(kinds), bool)
    parts = {"all": everything, "open": kinds == "open", "closed": kinds == "closed"}
    return [
        score(answers, stratum, rows_Q)
        for score in (_head, _ranking)
        for stratum, rows_Q in parts.items()
        if rows_Q.any()
    ]


def outcomes_of(answers: VqaAnswers) -> list[Outcomes]:
    """Whether each question was answered, by the head and by ranking; items are its id."""
    questions = answers.asked.questions
    return [
        Outcomes(
            task=task,
            set=answers.part.name,
            metric="accuracy",
            boxes=_boxes(answers) if task == HEAD else "none",
            items=tuple(question.id for question in questions),
            groups=answers.asked.groups,
            columns=("all",) * len(questions),
            strata=tuple((question.type,) for question in questions),
            values_N=_hits(given, answers.asked.answers),
        )
        for task, given in ((HEAD, answers.given), (RANKING, answers.ranked.given))
    ]


def _head(answers: VqaAnswers, stratum: str, rows_Q: NDArray[np.bool_]) -> Score:
    known = frozenset().union(*answers.vocabulary.values())
    truth, head = _chosen(answers.asked.answers, rows_Q), answers.head
    kinds = [question.type for question in _chosen(answers.asked.questions, rows_Q)]
    chosen = "untried, since no val questions may choose" if head.right_on_val is None else "val"
    details = {
        "boxes": _boxes(answers),
        "outside_vocabulary": float(np.mean([answer not in known for answer in truth])),
        "penalty": head.penalty,
        "block_weights": {
            "question": 1.0,
            "picture": head.look.picture,
            "product": head.look.product,
        },
        "chosen_by": chosen,
    }
    chance = float(np.mean([1 / max(len(answers.vocabulary[kind]), 1) for kind in kinds]))
    return _score(answers, HEAD, stratum, rows_Q, answers.given, answers.controls, chance, details)


def _ranking(answers: VqaAnswers, stratum: str, rows_Q: NDArray[np.bool_]) -> Score:
    ranked = answers.ranked
    truth, offered = _chosen(answers.asked.answers, rows_Q), _chosen(ranked.candidates, rows_Q)
    pairs = list(zip(truth, offered, strict=True))
    details = {
        "boxes": "none",
        "candidates": SHORTLIST,
        "outside_candidates": float(np.mean([answer not in among for answer, among in pairs])),
    }
    chance = float(np.mean([1 / len(among) if answer in among else 0.0 for answer, among in pairs]))
    controls = {"majority": answers.controls["majority"], **ranked.controls}
    return _score(answers, RANKING, stratum, rows_Q, ranked.given, controls, chance, details)


def _score(
    answers: VqaAnswers,
    task: str,
    stratum: str,
    rows_Q: NDArray[np.bool_],
    given: Sequence[str],
    controls: Mapping[str, Sequence[str]],
    chance: float,
    details: dict[str, Any],
) -> Score:
    part, truth = answers.part, answers.asked.answers
    groups = _chosen(answers.asked.groups, rows_Q)
    hits_Q = _hits(given, truth)[rows_Q]
    control_hits = {name: _hits(said, truth)[rows_Q] for name, said in controls.items()}
    seed = f"vqa {part.name}"
    against = differences(hits_Q, control_hits, np.zeros(len(hits_Q)), groups, seed)
    return score_of(
        mean(hits_Q, groups, seed),
        task=task,
        set=part.name,
        stratum=stratum,
        metric="accuracy",
        n=len(hits_Q),
        chance=chance,
        controls={name: float(hits.mean()) for name, hits in control_hits.items()},
        conditions=part.conditions,
        details={
            **details,
            "differences": {name: found.as_json() for name, found in against.items()},
            "protocol": "image-disjoint: no file, group or twin family of a scored picture is in "
            "the training rows, nor in the val rows that choose",
            "dropped_from_train": _dropped(answers.train),
            "dropped_from_val": _dropped(answers.val),
        },
    )


def _hits(given: Sequence[str], truth: Sequence[str]) -> NDArray[np.float64]:
    pairs = zip(given, truth, strict=True)
    return np.array([said == right for said, right in pairs], float)


def _chosen(items: Sequence[Item], rows_Q: NDArray[np.bool_]) -> list[Item]:
    return [item for item, chosen in zip(items, rows_Q, strict=True) if chosen]


def _boxes(answers: VqaAnswers) -> str:
    return "none" if answers.asked.region_QE is None else "given"


def _dropped(kept: Kept) -> dict[str, int]:
    return {"pictures": kept.dropped_pictures, "questions": kept.dropped_questions}
