"""Which cases the report shows: the clearest and the worst, chosen by rule and not by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from regionmed.batches.cache import model_frame
from regionmed.evaluation.grounding import (
    Grounded,
    GroundingAnswers,
    hottest_place,
    mean_training_box,
)
from regionmed.evaluation.part import Part
from regionmed.evaluation.regions import RegionAnswers
from regionmed.evaluation.report.pictures import heat_thumbnail, thumbnail
from regionmed.evaluation.retrieval import Retrieval
from regionmed.geometry import Box, Placement

BEST, WORST = 2, 4  # regions of each set
GROUNDED = 4  # questions of each set, from the worst overlap to the best
FIRST = 4  # regions that a phrase found first
RETRIEVED, SAID = 3, 3  # pictures found and missed of each set; captions shown with each
CAPTION_LENGTH = 180  # characters


def region_cases(answers: Sequence[RegionAnswers]) -> list[dict[str, Any]]:
    """For each set its worst regions and its best: by margin, each of a picture of its own.

    The margin is the similarity with the true phrase minus the highest of the others.
    """
    sets = []
    for one in answers:
        similarity, truth = one.similarity_RL, one.asked.truth_R
        rows = np.arange(len(truth))
        others = similarity.copy()
        others[rows, truth] = -np.inf
        margin = similarity[rows, truth] - others.max(axis=1)
        order = np.argsort(margin, kind="stable")
        worst = _of_different_pictures(one, [row for row in order if margin[row] < 0], WORST)
        best = _of_different_pictures(one, [row for row in order[::-1] if margin[row] > 0], BEST)
        cases = [_region_case(one, row, float(margin[row])) for row in (*worst, *best)]
        sets.append({"set": one.part.name, "cases": cases})
    return sets


def phrase_cases(answers: Sequence[RegionAnswers]) -> list[dict[str, Any]]:
    """For each set the phrase that finds its regions worst and the one that finds them best.

    With each the regions that lie nearest to it, each of a picture of its own; `right` counts the
    true ones among the first `among` of all regions.
    """
    sets = []
    for one in answers:
        ranked = [np.argsort(-column, kind="stable") for column in one.similarity_RL.T]
        counts = np.bincount(one.asked.truth_R, minlength=len(one.asked.labels))
        among = np.minimum(counts, 10)
        right = [
            int((one.asked.truth_R[order[:few]] == label).sum())
            for label, (order, few) in enumerate(zip(ranked, among, strict=True))
        ]
        worst_first = np.argsort(np.array(right) / among, kind="stable")
        chosen = dict.fromkeys([int(worst_first[0]), int(worst_first[-1])])
        phrases = [
            {
                "phrase": one.part.phrases[one.asked.labels[label]],
                "right": right[label],
                "among": int(among[label]),
                "gallery": len(one.asked.truth_R),
                "found": [
                    _found_case(one, row, label)
                    for row in _of_different_pictures(one, ranked[label], FIRST)
                ],
            }
            for label in chosen
        ]
        sets.append({"set": one.part.name, "phrases": phrases})
    return sets


def grounding_cases(answers: Sequence[GroundingAnswers]) -> list[dict[str, Any]]:
    """For each set the worst overlap first, then even steps to the best, beside the baselines.

    Beside the map of the picture stands that of its grey twin, for the same phrase, and the mean
    training box: what can be had without looking.
    """
    sets = []
    for one in answers:
        ranked = sorted(one.answers, key=lambda answer: answer.overlap)
        steps = np.linspace(0, len(ranked) - 1, min(GROUNDED, len(ranked))).round().astype(int)
        prior = mean_training_box(one.part)
        cases = [
            _grounding_case(one.part, ranked[step], prior) for step in dict.fromkeys(steps.tolist())
        ]
        sets.append({"set": one.part.name, "cases": cases})
    return sets


def retrieval_cases(found: Sequence[Retrieval]) -> list[dict[str, Any]]:
    """For each set pictures whose caption stood first, and pictures whose caption stood last."""
    sets = []
    for one in found:
        standing = one.directions[0].standing
        queries, ranks = standing.queries_Q, standing.first_right_rank()
        order = np.argsort(ranks, kind="stable")
        chosen = dict.fromkeys([*order[:RETRIEVED].tolist(), *order[::-1][:RETRIEVED].tolist()])
        cases = [_retrieval_case(one, int(queries[i]), float(ranks[i])) for i in chosen]
        sets.append({"set": one.part.name, "gallery": len(one.captions), "cases": cases})
    return sets


def _of_different_pictures(one: RegionAnswers, rows: Iterable[int], most: int) -> list[int]:
    first: dict[int, int] = {}
    for row in rows:
        first.setdefault(one.asked.places[row][0], int(row))
    return list(first.values())[:most]


def _region_case(one: RegionAnswers, row: int, margin: float) -> dict[str, Any]:
    picture, number = one.asked.places[row]
    record = one.part.records[picture]
    return {
        "picture": thumbnail(one.part.corpus.picture(one.part.indices[picture])),
        "boxes": [record.regions[number].box],
        "true": one.asked.labels[one.asked.truth_R[row]],
        "said": one.asked.labels[int(one.similarity_RL[row].argmax())],
        "margin": margin,
        "id": record.id,
    }


def _found_case(one: RegionAnswers, row: int, label: int) -> dict[str, Any]:
    picture, number = one.asked.places[row]
    record = one.part.records[picture]
    return {
        "picture": thumbnail(one.part.corpus.picture(one.part.indices[picture])),
        "boxes": [record.regions[number].box],
        "true": one.asked.labels[one.asked.truth_R[row]],
        "right": bool(one.asked.truth_R[row] == label),
        "id": record.id,
    }


def _grounding_case(
    part: Part, answer: Grounded, prior: tuple[float, float, float, float] | None
) -> dict[str, Any]:
    record = part.records[answer.row]
    image = part.corpus.picture(part.indices[answer.row])
    assert record.frame is not None
    # A map covers the whole model frame; its size in pixels does not matter here.
    placement = Placement.letterbox(record.frame, model_frame(len(answer.map_hw)))
    return {
        "picture": heat_thumbnail(image, answer.map_hw, placement),
        "boxes": [region.box for region in record.regions if region.label == answer.label],
        "hottest": hottest_place(answer.map_hw, placement),
        "blank": heat_thumbnail(image, answer.blank_hw, placement),
        "prior": None if prior is None else Box.from_unit(prior, record.frame),
        "phrase": part.phrases[answer.label],
        "overlap": answer.overlap,
        "pointing": answer.pointing,
        "blank_overlap": answer.overlap_controls["blank"],
        "prior_overlap": answer.overlap_controls.get("centre prior"),
        "id": record.id,
    }


def _retrieval_case(one: Retrieval, row: int, rank: float) -> dict[str, Any]:
    said = np.argsort(-(one.texts_TE @ one.images_NE[row]), kind="stable")[:SAID]
    own = int(one.own_N[row])
    return {
        "picture": thumbnail(one.part.corpus.picture(one.part.indices[row])),
        "rank": rank,
        "caption": _shortened(one.captions[own]),
        "said": [(_shortened(one.captions[i]), int(i) == own) for i in said],
        "id": one.part.records[row].id,
    }


def _shortened(caption: str) -> str:
    return caption if len(caption) <= CAPTION_LENGTH else caption[: CAPTION_LENGTH - 1] + "…"
