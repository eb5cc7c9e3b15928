"""Scores of prompt classification: macro accuracy, areas under curves, calibration.

Where labels are asked one by one there is no accuracy, since no threshold is given; areas are means
over labels. Legend: N pictures, L labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.confidence import (
    BINS,
    UNFITTED,
    calibration_error,
    fitted_scale,
    stated_and_true,
)
from regionmed.evaluation.label_curves import Areas, label_areas, placements
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.statistics import Floats, expected_hits, macro_mean, resampled
from regionmed.evaluation.strata import group_of
from regionmed.evaluation.zero_shot import DENIED, HEADLINE, PromptAnswers

TASK = "prompt_classification"

Numbers = NDArray[np.floating]


def score_prompts(answers: PromptAnswers) -> list[Score]:
    """Macro accuracy where labels compete; AUROC, AUPRC and the calibration error in any case."""
    accuracy = [] if answers.several else [_accuracy(answers)]
    return [*accuracy, *_areas(answers), _calibration(answers)]


def outcomes_of(answers: PromptAnswers) -> list[Outcomes]:
    """What each picture earned, as macro accuracy; or each picture with a label, as AUROC.

    Labels asked one by one: an item is "record_id label", its value the share of the label's
    negatives that it stands above, whose mean over columns is the macro AUROC.
    """
    records = [answers.part.records[row] for row in answers.rows]
    if answers.several:
        placed = placements(ranking(answers, _headline(answers)), answers.truth_NL)
        rows = [row for row, _, _ in placed]
        columns = tuple(answers.labels[label] for _, label, _ in placed)
        values_N = np.array([value for _, _, value in placed])
        items = tuple(
            f"{records[row].id} {label}" for row, label in zip(rows, columns, strict=True)
        )
    else:
        rows = list(range(len(records)))
        columns = tuple(answers.labels[label] for label in answers.truth_NL.argmax(axis=1))
        values_N = expected_hits(_headline(answers), answers.truth_NL.argmax(axis=1))
        items = tuple(record.id for record in records)
    return [
        Outcomes(
            task=TASK,
            set=answers.part.name,
            metric="auroc" if answers.several else "macro_accuracy",
            boxes="none",
            items=items,
            groups=tuple(group_of(records[row]) for row in rows),
            columns=columns,
            strata=tuple(
                (f"modality:{records[row].modality}",) if records[row].modality else ()
                for row in rows
            ),
            values_N=values_N,
        )
    ]


def ranking(answers: PromptAnswers, scores_NL: Numbers) -> Floats:
    """What ranks pictures for each label: where labels compete, the `contrast` of the scores."""
    return scores_NL.astype(float) if answers.several else contrast(scores_NL)


def contrast(similarity_NL: Numbers) -> Floats:
    """Each label's similarity minus the mean of the others: what ranks pictures for that label."""
    wide = similarity_NL.astype(np.float64)
    labels = wide.shape[1]
    return (wide - wide.mean(axis=1, keepdims=True)) * labels / (labels - 1)


def _accuracy(answers: PromptAnswers) -> Score:
    truth_N, labels = answers.truth_NL.argmax(axis=1), len(answers.labels)
    groups, seed = _groups(answers), _seed(answers)

    def of(scores_NL: Numbers) -> float:
        return macro_mean(expected_hits(scores_NL, truth_N), truth_N, groups, seed).value

    controls = {"majority": 1 / labels}
    if (blank_NL := answers.ways[HEADLINE].blank_NL) is not None:
        controls["blank"] = of(blank_NL)
    beside = {name: of(found.scores_NL) for name, found in answers.ways.items()}
    return score_of(
        macro_mean(expected_hits(_headline(answers), truth_N), truth_N, groups, seed),
        metric="macro_accuracy",
        chance=1 / labels,
        controls=controls,
        **_common(answers, ways=beside),
    )


def _areas(answers: PromptAnswers) -> list[Score]:
    groups, seed = _groups(answers), _seed(answers)

    def of(scores_NL: Numbers) -> Areas:
        return label_areas(ranking(answers, scores_NL), answers.truth_NL, groups, seed)

    found = {name: of(nearness.scores_NL) for name, nearness in answers.ways.items()}
    headline, blank_NL = found[HEADLINE], answers.ways[HEADLINE].blank_NL
    prevalence = float(answers.truth_NL.mean(axis=0).mean())
    blank = None if blank_NL is None else of(blank_NL)
    scores = []
    for metric, chance in (("auroc", 0.5), ("auprc", prevalence)):
        controls = {"majority": chance}
        if blank is not None:
            controls["blank"] = getattr(blank, metric).value
        values_L = getattr(headline, f"{metric}_L")
        beside = {name: getattr(areas, metric).value for name, areas in found.items()}
        by_label = {
            label: float(value) for label, value in zip(answers.labels, values_L, strict=True)
        }
        scores.append(
            score_of(
                getattr(headline, metric),
                metric=metric,
                chance=chance,
                controls=controls,
                **_common(answers, ways=beside, by_label=by_label),
            )
        )
    return scores


def _calibration(answers: PromptAnswers) -> Score:
    """At the scale fitted on val; at UNFITTED where val is scored or too small. Lower is better.

    A label asked by itself has a probability only against its denial, so that way is taken there.
    chance   of one who states 1 / L for every label, ties shared: 0 where labels compete; asked
             one by one, of one who states one half
    """
    groups, several = _groups(answers), answers.several
    way = DENIED if several else HEADLINE
    found = answers.ways[way]
    fitted = fitted_scale(found.val_ML, answers.val_truth_ML, several)

    def of(scores_NL: Numbers, scale: float) -> tuple[Floats, Floats]:
        return stated_and_true(scores_NL, answers.truth_NL, several, scale)

    def value(scores_NL: Numbers, scale: float) -> float:
        stated, came = of(scores_NL, scale)
        return calibration_error(stated, came, np.ones(len(stated)))

    scale = UNFITTED if fitted is None else fitted
    stated, came = of(found.scores_NL, scale)
    asked = len(stated) // len(answers.rows)  # labels a picture, where each is asked by itself
    groups_asked = [group for group in groups for _ in range(asked)]
    controls = {}
    if sum(answers.train_counts):
        controls["majority"] = _stated_shares(answers)
    if found.blank_NL is not None:
        controls["blank"] = value(found.blank_NL, scale)
    details = {
        "prompts": way,
        "bins": BINS,
        "scale": scale,
        "scale_from": "unfitted: val is scored or too small" if fitted is None else "fitted on val",
        "unfitted": {"scale": UNFITTED, "value": value(found.scores_NL, UNFITTED)},
    }
    return score_of(
        resampled(
            lambda weights_N: calibration_error(stated, came, weights_N),
            groups_asked,
            _seed(answers),
        ),
        metric="ece",
        chance=value(np.zeros_like(found.scores_NL), 1.0),
        controls=controls,
        **_common(answers, **details),
    )


def _stated_shares(answers: PromptAnswers) -> float:
    """The calibration error of one who states each label's share of the train pictures."""
    counts_L = np.array(answers.train_counts, float)
    if answers.several:
        shares_L = counts_L / len(answers.part.train)
        shares_NL = np.broadcast_to(shares_L, answers.truth_NL.shape)
        stated, came = shares_NL.ravel(), answers.truth_NL.astype(float).ravel()
    else:
        commonest = int(counts_L.argmax())
        came = answers.truth_NL[:, commonest].astype(float)
        stated = np.full(len(came), counts_L[commonest] / counts_L.sum())
    return calibration_error(stated, came, np.ones(len(stated)))


def _headline(answers: PromptAnswers) -> Floats:
    scores_NL: Floats = answers.ways[HEADLINE].scores_NL.astype(float)
    return scores_NL


def _groups(answers: PromptAnswers) -> list[str]:
    return [group_of(answers.part.records[row]) for row in answers.rows]


def _seed(answers: PromptAnswers) -> str:
    return f"prompts {answers.part.name}"


def _common(answers: PromptAnswers, **details: Any) -> dict[str, Any]:
    return {
        "task": TASK,
        "set": answers.part.name,
        "n": len(answers.rows),
        "conditions": answers.part.conditions,
        "details": {
            "boxes": "none",
            "labels": list(answers.labels),
            "labels_a_picture": "any number, asked one by one" if answers.several else "one",
            "prompts": HEADLINE,
            "kind": answers.kind.name,
            "kind_because": answers.kind.because,
            "prompts_in_training": answers.kind.labels_in_training,
            **details,
        },
    }
