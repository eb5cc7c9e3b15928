"""The report: one self-contained HTML page that a person reads from the summary to the failures.

This file arranges scores and cases for report.html.jinja; numbers are made elsewhere, pictures in
report_pictures.py. The page loads nothing, holds no date and no path, and is the same for the same
findings. It holds pictures of the corpus: it may travel no further than those may.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.proposals import HOT
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.report_cases import grounding_cases, region_cases, retrieval_cases
from regionmed.evaluation.score import Score
from regionmed.evaluation.statistics import DRAWS
from regionmed.evaluation.strata import DECIDED_BY_PLACE, LEAST_PER_LABEL, SIZES

TASK_TITLES = {
    "region_classification": "Regions, from given boxes",
    "grounding": "Grounding, from a phrase without a box",
    "retrieval": "Retrieval, pictures and captions",
    "prompt_classification": "Prompt classification, whole pictures",
    "vqa": "Questions about pictures",
}
METRIC_TITLES = {
    "macro_accuracy": "macro accuracy",
    "accuracy": "accuracy",
    "pointing": "pointing",
    "miou": "mean overlap (IoU)",
    "auroc": "AUROC",
    "recall@1": "recall at 1",
    "recall@5": "recall at 5",
    "recall@10": "recall at 10",
}
SET_TITLES = {
    "mean:all": "mean over sets",
    "mean:several-labels": "mean, several labels a picture",
    "mean:one-label": "mean, one label a picture",
}
# The marks of the controls in the summary's plots, in the order of the legend.
GLYPHS = {
    "majority": "▽",
    "box-only": "□",
    "whole-picture": "○",
    "blank": "◇",
    "wrong-region": "×",
    "centre prior": "+",
    "question-only": "△",
}
# The control that a reader asks about first: its paired difference is written out.
RIVALS = {
    "region_classification": "box-only",
    "grounding": "centre prior",
    "vqa": "question-only",
}
SUMMARY_METRICS = ("macro_accuracy", "pointing", "miou", "recall@1", "recall@5", "auroc")


def report_html(findings: Findings, scores: Sequence[Score]) -> str:
    """The page's text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"] = number
    template = environment.from_string(
        files("regionmed.evaluation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    conditions = findings.parts[0].conditions
    return template.render(
        conditions=conditions,
        corpora=_corpora(findings),
        parts=findings.parts,
        headlines=_headlines(scores),
        summary=_summary(scores),
        glyphs=_glyphs_used(scores),
        rivals=RIVALS,
        metric_titles=METRIC_TITLES,
        set_titles=SET_TITLES,
        strata=_strata_tables(scores),
        size_grid=_size_grid(scores),
        sizes=SIZES,
        confusions=[_confusion(one) for one in findings.regions],
        region_cases=region_cases(findings.regions),
        grounding_cases=grounding_cases(findings.grounding),
        retrieval_cases=retrieval_cases(findings.retrieval),
        scores=scores,
        draws=DRAWS,
        hot=HOT,
        least=LEAST_PER_LABEL,
        decided_by_place=DECIDED_BY_PLACE,
        restricted=sorted({p.name for p in findings.parts if _restricted(p.records)}),
    )


def number(value: float) -> str:
    """Three digits after the point, a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def _restricted(records: Sequence[Any]) -> bool:
    return any(not record.licence.open for record in records)


def _corpora(findings: Findings) -> list[tuple[str, str]]:
    """Name and fingerprint of each corpus."""
    found = {part.corpus.fingerprint: part.corpus.folder.name for part in findings.parts}
    return [(name, fingerprint) for fingerprint, name in found.items()]


def _summary(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """For each task its title and the scores of whole sets, means first."""
    tasks = []
    for task, title in TASK_TITLES.items():
        shown = [
            score
            for score in scores
            if score.task == task
            and (task == "vqa" or (score.stratum == "all" and score.metric in SUMMARY_METRICS))
        ]
        shown.sort(key=lambda score: not score.set.startswith("mean:"))
        if shown:
            tasks.append({"task": task, "title": title, "scores": shown})
    return tasks


def _glyphs_used(scores: Sequence[Score]) -> dict[str, str]:
    used = {control for score in scores for control in score.controls}
    return {name: glyph for name, glyph in GLYPHS.items() if name in used}


def _headlines(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The few numbers a reader sees first, each against the control that is hardest to beat."""
    chosen = [
        ("region_classification", "mean:all", "macro_accuracy", "all"),
        ("grounding", "mean:all", "pointing", "all"),
        ("retrieval", None, "recall@5", "all"),
        ("prompt_classification", None, "macro_accuracy", "all"),
        ("vqa", None, "accuracy", "all"),
    ]
    headlines = []
    for task, name, metric, stratum in chosen:
        matching = [
            score
            for score in scores
            if (score.task, score.metric, score.stratum) == (task, metric, stratum)
            and name in (None, score.set)
        ]
        if matching:
            score = matching[0]
            rivals = {**score.controls, "chance": score.chance}
            rival = max(rivals, key=lambda control: rivals[control])
            headlines.append({"score": score, "rival": rival, "rival_value": rivals[rival]})
    return headlines


def _strata_tables(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Strata over sets: regions by size, modality and number in the picture, grounding by size."""
    kinds: list[tuple[str, tuple[str, ...]]] = [
        ("By size of the region", SIZES),
        ("By modality", ("modality:",)),
        ("By number of regions in the picture", ("regions:",)),
    ]
    tables = []
    for task, metric in (("region_classification", "macro_accuracy"), ("grounding", "pointing")):
        for title, wanted in kinds:
            rows = [
                score
                for score in scores
                if (score.task, score.set, score.metric) == (task, "mean:all", metric)
                and score.stratum.startswith(wanted)
            ]
            if rows:
                tables.append({"task": TASK_TITLES[task], "title": title, "scores": rows})
    return tables


def _size_grid(scores: Sequence[Score]) -> list[tuple[str, list[Score | None]]]:
    """For each set its macro accuracy in each size, None where there are too few regions."""
    found = {
        (score.set, score.stratum): score
        for score in scores
        if score.task == "region_classification" and score.metric == "macro_accuracy"
    }
    sets = sorted({name for name, stratum in found if stratum == "all" and "mean:" not in name})
    return [(name, [found.get((name, size)) for size in SIZES]) for name in sets]


def _confusion(one: RegionAnswers) -> dict[str, Any]:
    """Rows are true labels, columns what was said; counts, and shares of the row."""
    labels = one.asked.labels
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (one.asked.truth_R, one.similarity_RL.argmax(axis=1)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return {
        "set": one.part.name,
        "labels": labels,
        "rows": [
            {
                "label": label,
                "n": int(counts[row].sum()),
                "cells": [
                    {"count": int(count), "share": float(share), "right": column == row}
                    for column, (count, share) in enumerate(
                        zip(counts[row], shares[row], strict=True)
                    )
                ],
            }
            for row, label in enumerate(labels)
        ],
    }
