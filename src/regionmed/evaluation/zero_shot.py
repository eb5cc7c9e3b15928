"""Prompt classification: which of a set's phrases lies nearest to a picture?

It is zero-shot only where the phrases were not in training; whether they were stands beside the
score as `prompts_in_training`. Only sets whose every scored picture carries exactly one label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import Floats, encode, encode_texts
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.statistics import Integers, expected_hits, macro_auroc, macro_mean
from regionmed.evaluation.strata import group_of, scored_labels
from regionmed.evaluation.subject import Subject
from regionmed.progress import Track, silent


@dataclass(frozen=True, slots=True, eq=False)
class PromptAnswers:
    """What each picture is nearest to: similarities with the phrases of `labels`, and the truth."""

    part: Part
    labels: tuple[str, ...]
    prompts: tuple[str, ...]
    rows: tuple[int, ...]  # of part.records; pictures of rarer labels are left out
    truth_N: Integers
    similarity_NL: Floats
    blank_NL: Floats  # the same with each picture replaced by its mean grey
    prompts_in_training: int | None  # None where the training texts are unknown


def prompt_labels(part: Part) -> tuple[str, ...]:
    """The picture labels to choose from; empty where the set is not of that kind."""
    carried = [record.labels for record in part.records]
    if any(len(labels) != 1 for labels in carried):
        return ()
    frequent = scored_labels(labels[0] for labels in carried)
    labels = tuple(label for label in frequent if label in part.phrases)
    return labels if len(labels) >= 2 else ()


def run_prompts(
    model: Subject, part: Part, pictures: Pictures, images_NE: Floats, track: Track = silent
) -> PromptAnswers | None:
    """Compare each picture, and its mean grey, with every label's phrase; None if not asked."""
    labels = prompt_labels(part)
    if not labels:
        return None
    rows = [row for row, record in enumerate(part.records) if record.labels[0] in labels]
    prompts = tuple(part.phrases[label] for label in labels)
    texts_LE = encode_texts(model, prompts)
    blanks = [grey_picture(pictures.pixels_NHWC[row], pictures.placements[row]) for row in rows]
    blank = encode(model, np.stack(blanks), title=f"{part.name}: blank pictures", track=track)
    known = model.training_pictures is not None
    return PromptAnswers(
        part=part,
        labels=labels,
        prompts=prompts,
        rows=tuple(rows),
        truth_N=np.array([labels.index(part.records[row].labels[0]) for row in rows]),
        similarity_NL=images_NE[rows] @ texts_LE.T,
        blank_NL=blank.images_NE @ texts_LE.T,
        prompts_in_training=len(set(prompts) & set(model.phrases)) if known else None,
    )


def score_prompts(answers: PromptAnswers) -> list[Score]:
    """Macro accuracy, and the area under the curve of each label against the rest."""
    part, truth_N, labels = answers.part, answers.truth_N, len(answers.labels)
    groups = [group_of(part.records[row]) for row in answers.rows]
    seed = f"prompts {part.name}"

    def accuracy_of(similarity_NL: Floats) -> float:
        return macro_mean(expected_hits(similarity_NL, truth_N), truth_N, groups, seed).value

    common = {
        "task": "prompt_classification",
        "set": part.name,
        "n": len(truth_N),
        "conditions": part.conditions,
        "details": {
            "labels": list(answers.labels),
            "prompts_in_training": answers.prompts_in_training,
        },
    }
    hits_N = expected_hits(answers.similarity_NL, truth_N)
    blank_area = macro_auroc(contrast(answers.blank_NL), truth_N, groups, seed).value
    return [
        score_of(
            macro_mean(hits_N, truth_N, groups, seed),
            metric="macro_accuracy",
            chance=1 / labels,
            controls={"majority": 1 / labels, "blank": accuracy_of(answers.blank_NL)},
            **common,
        ),
        score_of(
            macro_auroc(contrast(answers.similarity_NL), truth_N, groups, seed),
            metric="auroc",
            chance=0.5,
            controls={"majority": 0.5, "blank": blank_area},
            **common,
        ),
    ]


def contrast(similarity_NL: Floats) -> np.ndarray:
    """Each label's similarity minus the mean of the others: what ranks pictures for that label."""
    wide = similarity_NL.astype(np.float64)
    labels = wide.shape[1]
    return (wide - wide.mean(axis=1, keepdims=True)) * labels / (labels - 1)
