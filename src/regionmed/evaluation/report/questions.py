"""Sixteen questions that a hard reviewer asks, each answered from the scores or said to be open.

The questions are those of the design (method.md, section 8). What one model alone cannot tell is
said to be "not measured", with the reason and the command that measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.report import question_answers as answers
from regionmed.evaluation.report.question_answers import Answer
from regionmed.evaluation.score import Score

Ask = Callable[[Findings, Sequence[Score]], Answer]

QUESTIONS: tuple[tuple[str, Ask], ...] = (
    ("What can be told without the region: from its box alone, from the whole picture?",
     answers.without_the_region),
    ("What is left when the region is painted over, or another box is read?",
     answers.painted_over),
    ("Is it better than a frame painted on the picture?", answers.marker),
    ("What does it cost when boxes are predicted, or missing?", answers.sources),
    ("Does it bear sloppy boxes?", answers.sloppy),
    ("Do gains come from regions, or from more computing?", answers.equal_budget),
    ("Which sizes, kinds of picture and numbers of regions go well, which badly?",
     answers.strata),
    ("Did whole-picture tasks suffer?", answers.whole_pictures),
    ("Does the order of the training stages matter?", answers.order_of_stages),
    ("What does each part of the model add?", answers.parts),
    ("Do texts made false by one word teach anything about pictures?", answers.false_words),
    ("Were test pictures, or copies of them, trained on?", answers.leakage),
    ("Do the results hold over seeds, with paired and corrected tests?", answers.seeds),
    ("Do chance and blind answers stand beside each score?", answers.controls),
    ("Where do labels come from, and how good are they?", answers.labels),
    ("Where does it fail, and does it know when it does not know?", answers.failures),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its number and its answer."""

    number: int
    question: str
    answer: Answer


def sixteen(findings: Findings, scores: Sequence[Score]) -> list[Answered]:
    """All questions in the order of the design."""
    return [
        Answered(number, question, ask(findings, scores))
        for number, (question, ask) in enumerate(QUESTIONS, start=1)
    ]
