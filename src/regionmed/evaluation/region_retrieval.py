"""Region retrieval: does a phrase find its regions, and a region others of its kind?

The gallery holds a set's regions of scored labels in the split; those of rarer labels and those "of
uncertain type" are not in it. Text to region: a label's phrase ranks it. Region to region: a region
ranks those of other groups, so neither its own picture nor its patient answers for it. Same label
is right. Region to text is region classification.
Legend: R regions of the gallery · Q queries · L labels · E embedding · F features · M metrics of
ranking.py · D the sample itself, then draws over groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from regionmed.evaluation.controls import SEED, box_features
from regionmed.evaluation.encode import Rows, encode_texts
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.ranking import METRICS, ranking, values_of
from regionmed.evaluation.regions import asked_regions
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.scored_rows import scored_rows
from regionmed.evaluation.statistics import Estimate, differences, group_weights, macro_mean
from regionmed.evaluation.strata import LEAST_IN_STRATUM, NO_KIND, group_of, region_strata
from regionmed.evaluation.subject import Scored

TASK = "region_retrieval"
MOST_QUERIES = 500  # regions of a label that ask; of more, so many are drawn
CHUNK = 64  # queries at a time: 26 MB of similarities where the gallery holds 50,000 regions
DECIMALS = 9  # equal vectors must tie, whatever the order in which their products were summed

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """The regions that may be found, of a Part's scored labels, with what is known of each."""

    places: tuple[tuple[int, int], ...]  # row in part.records, number of the region in the record
    labels_R: NDArray[np.str_]
    groups_R: NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class RegionRetrieval:
    """What both directions found, the model's vectors under "model", then the controls'."""

    part: Part
    labels: tuple[str, ...]
    gallery: Gallery  # of scored labels alone
    text_DLM: dict[str, Floats]  # text to region; NaN where a draw holds no region of the label
    text_chance_LM: Floats
    queries_Q: NDArray[np.int64]  # rows of the gallery
    region_QM: dict[str, Floats]
    region_chance_QM: Floats


def run_region_retrieval(model: Scored, part: Part, test: Rows) -> RegionRetrieval | None:
    """Rank the regions of a Part; None where regions are not scored or not embedded.

    test   rows of the Part's split, in an evaluation with the regions of scored labels alone
    """
    asked = asked_regions(part)
    rows = scored_rows(part, test)
    if asked is None or not len(rows.regions_RE):
        return None
    records = part.records
    kept = [
        index
        for index, (row, number) in enumerate(rows.places)
        if records[row].regions[number].label != NO_KIND
    ]
    places = tuple(rows.places[index] for index in kept)
    gallery = Gallery(
        places,
        np.array([records[row].regions[number].label for row, number in places]),
        np.array([group_of(records[row]) for row, _ in places]),
    )
    boxes_RF = [box_features(records[row], records[row].regions[number]) for row, number in places]
    vectors = {
        "model": rows.regions_RE[kept],
        "whole-picture": rows.images_NE[[row for row, _ in places]],
    }
    texts_LE = encode_texts(model, [part.phrases[label] for label in asked.labels])
    queries_Q = asking(gallery, asked.labels)
    # nearest by angle, but boxes by distance: 2 a b - b b orders a gallery as -(a - b)^2 does
    standard_RF = StandardScaler().fit_transform(np.array(boxes_RF))
    squares_R1 = (standard_RF**2).sum(axis=1, keepdims=True)
    pairs = {name: (vectors_RE[queries_Q], vectors_RE) for name, vectors_RE in vectors.items()}
    pairs["box-only"] = (
        np.hstack([2 * standard_RF[queries_Q], -np.ones((len(queries_Q), 1))]),
        np.hstack([standard_RF, squares_R1]),
    )
    return RegionRetrieval(
        part=part,
        labels=asked.labels,
        gallery=gallery,
        text_DLM={
            name: found_by_text(_product(texts_LE, vectors_RE), asked.labels, gallery, part.name)
            for name, vectors_RE in vectors.items()
        },
        text_chance_LM=np.array([_shuffled(gallery.labels_R == label) for label in asked.labels]),
        queries_Q=queries_Q,
        region_QM={
            name: found_by_region(query_QF, gallery_RF, queries_Q, gallery)
            for name, (query_QF, gallery_RF) in pairs.items()
        },
        region_chance_QM=chance_by_region(queries_Q, gallery),
    )


def asking(gallery: Gallery, labels: Sequence[str]) -> NDArray[np.int64]:
    """Regions that ask: of `labels`, with one of their kind in another group, MOST_QUERIES each."""
    generator = np.random.default_rng(SEED)
    chosen: list[int] = []
    for label in labels:
        own = np.flatnonzero(gallery.labels_R == label)
        if len(set(gallery.groups_R[own])) < 2:
            continue  # nothing to be found elsewhere
        if len(own) > MOST_QUERIES:
            own = generator.choice(own, MOST_QUERIES, replace=False)
        chosen += own.tolist()
    return np.array(sorted(chosen), np.int64)


def found_by_text(
    similarity_LR: Floats, labels: Sequence[str], gallery: Gallery, seed: str
) -> Floats:
    """METRICS of each label's phrase (D, L, M): on the gallery, then on each draw of its groups."""
    number_R = np.unique(gallery.groups_R, return_inverse=True)[1]
    weights_DG = group_weights(int(number_R.max()) + 1, f"{TASK} {seed}")
    counts_DG = np.vstack([np.ones((1, weights_DG.shape[1])), weights_DG])
    found_DLM = np.empty((len(counts_DG), len(labels), len(METRICS)))
    for column, label in enumerate(labels):
        ranked = ranking(similarity_LR[column], gallery.labels_R == label)
        for draw, counts_G in enumerate(counts_DG):
            found_DLM[draw, column] = values_of(*ranked.blocks(counts_G[number_R]))
    return found_DLM


def found_by_region(
    query_QF: NDArray[np.floating],
    gallery_RF: NDArray[np.floating],
    queries_Q: NDArray[np.int64],
    gallery: Gallery,
) -> Floats:
    """METRICS of each query (Q, M) over the regions of other groups."""
    found: list[Floats] = []
    wide_RF = gallery_RF.astype(float)
    for start in range(0, len(queries_Q), CHUNK):
        asked = slice(start, start + CHUNK)
        similarity_BR = _product(query_QF[asked], wide_RF)
        for query, similarity_R in zip(queries_Q[asked], similarity_BR, strict=True):
            others_R = gallery.groups_R != gallery.groups_R[query]
            right_R = gallery.labels_R == gallery.labels_R[query]
            ranked = ranking(similarity_R[others_R], right_R[others_R])
            found.append(values_of(*ranked.blocks()))
    return np.array(found).reshape(-1, len(METRICS))


def chance_by_region(queries_Q: NDArray[np.int64], gallery: Gallery) -> Floats:
    """METRICS of each query (Q, M) when the regions of other groups stand in random order."""
    known: dict[tuple[str, str], Floats] = {}
    keys = list(zip(gallery.groups_R[queries_Q], gallery.labels_R[queries_Q], strict=True))
    for group, label in set(keys):
        others_R = gallery.groups_R != group
        known[group, label] = _shuffled(gallery.labels_R[others_R] == label)
    return np.array([known[key] for key in keys]).reshape(-1, len(METRICS))


def score_region_retrieval(found: RegionRetrieval) -> list[Score]:
    """Average precision and recall at 1, 5 and 10, means over labels, in both directions."""
    scores = [_text_score(found, column) for column in range(len(METRICS))]
    if not len(found.queries_Q):
        return scores
    strata_Q = _strata(found)
    everyone = np.ones(len(strata_Q), bool)
    scores += [_region_score(found, column, "all", everyone) for column in range(len(METRICS))]
    for stratum in sorted({name for names in strata_Q for name in names}):
        rows_Q = np.array([stratum in names for names in strata_Q])
        if rows_Q.sum() >= LEAST_IN_STRATUM:
            scores.append(_region_score(found, METRICS.index("ap"), stratum, rows_Q))
    return scores


def outcomes_of(found: RegionRetrieval) -> list[Outcomes]:
    """What each region that asked earned. (Phrases are too few to be paired one by one.)"""
    places = [found.gallery.places[query] for query in found.queries_Q]
    if not places:
        return []
    return [
        Outcomes(
            task=TASK,
            set=found.part.name,
            metric=f"{metric} region-to-region",
            items=tuple(f"{found.part.records[row].id}#{number}" for row, number in places),
            groups=tuple(found.gallery.groups_R[found.queries_Q].tolist()),
            columns=tuple(found.gallery.labels_R[found.queries_Q].tolist()),
            strata=tuple(_strata(found)),
            values_N=found.region_QM["model"][:, column],
        )
        for column, metric in enumerate(METRICS)
    ]


def _text_score(found: RegionRetrieval, column: int) -> Score:
    over_labels = {
        name: _mean_of_labels(found_DLM[:, :, column]) for name, found_DLM in found.text_DLM.items()
    }
    own = over_labels.pop("model")
    controls = over_labels
    against = {
        name: Estimate(own.value - one.value, own.draws - one.draws)
        for name, one in controls.items()
    }
    return score_of(
        own,
        task=TASK,
        set=found.part.name,
        metric=METRICS[column],
        n=len(found.labels),
        chance=float(found.text_chance_LM[:, column].mean()),
        controls={name: one.value for name, one in controls.items()},
        conditions=found.part.conditions,
        details={
            "boxes": "given",
            "direction": "text to region",
            "gallery": len(found.gallery.places),
            "labels": list(found.labels),
            "differences": {name: one.as_json() for name, one in against.items()},
        },
    )


def _region_score(
    found: RegionRetrieval, column: int, stratum: str, rows_Q: NDArray[np.bool_]
) -> Score:
    queries = found.queries_Q[rows_Q]
    labels, groups = found.gallery.labels_R[queries], found.gallery.groups_R[queries].tolist()
    seed = f"{TASK} {found.part.name} {stratum}"
    values = {name: found_QM[rows_Q, column] for name, found_QM in found.region_QM.items()}
    own, controls = values.pop("model"), values
    against = differences(own, controls, labels, groups, seed)

    def value_of(values_Q: Floats) -> float:
        return macro_mean(values_Q, labels, groups, seed).value

    return score_of(
        macro_mean(own, labels, groups, seed),
        task=TASK,
        set=found.part.name,
        stratum=stratum,
        metric=METRICS[column],
        n=len(queries),
        chance=value_of(found.region_chance_QM[rows_Q, column]),
        controls={name: value_of(values_Q) for name, values_Q in controls.items()},
        conditions=found.part.conditions,
        details={
            "boxes": "given",
            "direction": "region to region",
            "gallery": len(found.gallery.places),
            "labels": sorted(set(labels.tolist())),
            "queries": f"at most {MOST_QUERIES} a label",
            "differences": {name: one.as_json() for name, one in against.items()},
        },
    )


def _strata(found: RegionRetrieval) -> list[tuple[str, ...]]:
    records = found.part.records
    places = [found.gallery.places[query] for query in found.queries_Q]
    return [region_strata(records[row], records[row].regions[number]) for row, number in places]


def _shuffled(right_R: NDArray[np.bool_]) -> Floats:
    """METRICS of a gallery in random order: one block."""
    return values_of(np.array([len(right_R)]), np.array([right_R.sum()]))


def _mean_of_labels(values_DL: Floats) -> Estimate:
    known_DL = ~np.isnan(values_DL)
    total_D = np.where(known_DL, values_DL, 0.0).sum(axis=1)
    mean_D = np.divide(
        total_D,
        known_DL.sum(axis=1),
        out=np.full(len(total_D), np.nan),
        where=known_DL.any(axis=1),
    )
    return Estimate(float(mean_D[0]), mean_D[1:])


def _product(queries_QF: NDArray[np.floating], gallery_RF: NDArray[np.floating]) -> Floats:
    """Similarities (Q, R), rounded so that equal vectors tie."""
    similarity_QR: Floats = queries_QF.astype(float) @ gallery_RF.astype(float, copy=False).T
    return similarity_QR.round(DECIMALS)
