"""Linear probe: how much a logistic regression can read out of frozen embeddings.

Regions (given boxes) and pictures of one label each, over the labels with enough scored rows. The
regression is trained on train rows alone, its strength C chosen on val; rows that share a patient,
a family of near-identical pictures or a file with a scored row are dropped first. Few-shot draws 1,
4 or 16 examples of a label, DRAWS_OF_SHOTS times; it uses the C that all rows chose and standard
scores of all train rows, neither of which looks at a shot's label.
Legend: N rows · E embedding · F features of a box · D draws of shots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from regionmed.evaluation.controls import SEED, answers_from_boxes, box_features
from regionmed.evaluation.encode import Rows
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.regions import asked_regions
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.scored_rows import apart_from, scored_rows
from regionmed.evaluation.statistics import differences, macro_mean
from regionmed.evaluation.strata import group_of, region_strata, scored_labels
from regionmed.evaluation.subject import Floats

TASK = "linear_probe"
STRENGTHS = (0.0001, 0.001, 0.01, 0.1)  # scikit-learn's C, weakest fit first; chosen on val
UNTRIED = 0.001  # C where there is no val row to choose it on
SHOTS = (1, 4, 16)  # examples of a label
DRAWS_OF_SHOTS = 5

Credits = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Embeddings with their labels; `boxes_NF` is empty (N, 0) for whole pictures."""

    vectors_NE: Floats
    labels_N: NDArray[np.str_]
    boxes_NF: NDArray[np.float64]
    items: tuple[str, ...]
    groups: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]

    def some(self, rows: NDArray[np.integer]) -> Examples:
        """The rows with these numbers."""
        return Examples(
            self.vectors_NE[rows],
            self.labels_N[rows],
            self.boxes_NF[rows],
            tuple(self.items[row] for row in rows),
            tuple(self.groups[row] for row in rows),
            tuple(self.strata[row] for row in rows),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """What the probe answered to one target with one number of shots, and its controls."""

    part: Part
    target: str  # "regions" or "pictures"
    shots: int | None  # examples of a label; None for all
    asked: Examples
    hits_DN: Credits  # 0 or 1; one draw where all rows are used
    control_hits: dict[str, Credits]  # (N,), means over the same draws
    strength: float  # C
    chosen: bool  # on val; else UNTRIED
    examples: int  # rows that the probe was trained on
    dropped: int  # train rows that shared a group, family or file with scored rows

    @property
    def metric(self) -> str:
        """The metric's name among Outcomes."""
        return f"macro_accuracy {self.target} shots:{self.shots or 'all'}"


def run_linear_probe(
    part: Part, train: Rows, val: Rows, test: Rows
) -> tuple[LinearProbe, ...] | None:
    """Train probes on `train`, choose C on `val`, answer the scored rows of `test`.

    returns  None where neither regions nor pictures fit, or where the split is train. Where val is
             what is scored, C is UNTRIED.
    """
    if part.conditions.split == "train":
        return None
    asked = scored_rows(part, test)
    apart = apart_from(train, asked.records)
    choosing = apart_from(val, asked.records) if part.conditions.split != "val" else None
    probes: list[LinearProbe] = []
    if (regions := asked_regions(part)) is not None and len(asked.regions_RE):
        probes += _probes(part, "regions", regions.labels, train, apart, choosing, asked)
    carried = [record.labels for record in part.records]
    if all(len(labels) == 1 for labels in carried):  # where several may hold, no one label is right
        labels = scored_labels(labels[0] for labels in carried)
        probes += _probes(part, "pictures", labels, train, apart, choosing, asked)
    return tuple(probes) or None


def fit(examples: Examples, scaler: StandardScaler, strength: float) -> LogisticRegression:
    """The regression of one strength; labels weigh the same however frequent."""
    head = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000, tol=1e-3)
    return head.fit(scaler.transform(examples.vectors_NE), examples.labels_N)


def choose_strength(train: Examples, val: Examples | None, scaler: StandardScaler) -> float:
    """The C with the best macro accuracy on val, of equals the smallest; UNTRIED without val."""
    if val is None or not len(val.labels_N):
        return UNTRIED
    seen_NE = scaler.transform(val.vectors_NE)
    macro = [
        balanced_accuracy_score(val.labels_N, fit(train, scaler, strength).predict(seen_NE))
        for strength in STRENGTHS
    ]
    return STRENGTHS[int(np.argmax(macro))]


def draw_shots(labels_N: NDArray[np.str_], shots: int, draw: int) -> NDArray[np.int64]:
    """Numbers of `shots` rows of each label, or of all it has where it has fewer, always alike."""
    generator = np.random.default_rng([SEED, shots, draw])
    rows = [np.flatnonzero(labels_N == label) for label in np.unique(labels_N)]
    chosen = [generator.permutation(own)[:shots] for own in rows]
    return np.sort(np.concatenate(chosen))


def score_linear_probe(probes: Sequence[LinearProbe]) -> list[Score]:
    """Macro accuracy of each target and number of shots; the interval is over groups scored.

    With several draws an answer is worth its mean over them; `draws` gives each draw's value.
    """
    return [_score(probe) for probe in probes]


def outcomes_of(probes: Sequence[LinearProbe]) -> list[Outcomes]:
    """What each region or picture earned, the mean over draws of shots."""
    return [
        Outcomes(
            task=TASK,
            set=probe.part.name,
            metric=probe.metric,
            boxes="given" if probe.target == "regions" else "none",
            items=probe.asked.items,
            groups=probe.asked.groups,
            columns=tuple(probe.asked.labels_N.tolist()),
            strata=probe.asked.strata,
            values_N=probe.hits_DN.mean(axis=0),
        )
        for probe in probes
    ]


def _probes(
    part: Part,
    target: str,
    labels: Sequence[str],
    train: Rows,
    apart: Rows,
    choosing: Rows | None,
    asked: Rows,
) -> list[LinearProbe]:
    """All rows first, then each number of shots; nothing where fewer than two labels are trained"""
    examples_of = region_examples if target == "regions" else picture_examples
    learnt, questions = examples_of(apart, labels), examples_of(asked, labels)
    if len(np.unique(learnt.labels_N)) < 2:
        return []
    val = None if choosing is None else examples_of(choosing, labels)
    scaler = StandardScaler().fit(learnt.vectors_NE)
    strength = choose_strength(learnt, val, scaler)
    dropped = len(examples_of(train, labels).items) - len(learnt.items)
    most = int(np.unique(learnt.labels_N, return_counts=True)[1].max())
    probes = []
    for shots in (None, *(shots for shots in SHOTS if shots < most)):
        everything = [np.arange(len(learnt.items))]
        draws = (
            everything
            if shots is None
            else [draw_shots(learnt.labels_N, shots, draw) for draw in range(DRAWS_OF_SHOTS)]
        )
        hits, controls = zip(
            *(
                _answers(learnt.some(rows), questions, scaler, strength, boxes=shots is None)
                for rows in draws
            ),
            strict=True,
        )
        probes.append(
            LinearProbe(
                part=part,
                target=target,
                shots=shots,
                asked=questions,
                hits_DN=np.array(hits),
                control_hits={
                    name: np.mean([one[name] for one in controls], axis=0) for name in controls[0]
                },
                strength=strength,
                chosen=val is not None and len(val.items) > 0,
                examples=len(draws[0]),
                dropped=dropped,
            )
        )
    return probes


def _answers(
    learnt: Examples, asked: Examples, scaler: StandardScaler, strength: float, boxes: bool
) -> tuple[Credits, dict[str, Credits]]:
    """Credits of the probe and of its controls, which learn from the same examples.

    boxes  whether a forest learns from the boxes too: it takes longer than all else here, and
           fifteen draws of shots would each grow one
    """
    seen_NE = scaler.transform(asked.vectors_NE)
    hits = fit(learnt, scaler, strength).predict(seen_NE) == asked.labels_N
    names, counts = np.unique(learnt.labels_N, return_counts=True)
    controls = {"majority": (asked.labels_N == names[counts.argmax()]).astype(float)}
    if boxes and learnt.boxes_NF.shape[1]:
        learnt_boxes, asked_boxes = learnt.boxes_NF.tolist(), asked.boxes_NF.tolist()
        said = answers_from_boxes(learnt_boxes, learnt.labels_N.tolist(), asked_boxes)
        controls["box-only"] = (np.array(said) == asked.labels_N).astype(float)
    return hits.astype(float), controls


def region_examples(rows: Rows, labels: Sequence[str]) -> Examples:
    """The regions of these labels, with their box features."""
    found = [
        (index, rows.records[row], number)
        for index, (row, number) in enumerate(rows.places)
        if rows.records[row].regions[number].label in labels
    ]
    boxes = [box_features(record, record.regions[number]) for _, record, number in found]
    return Examples(
        vectors_NE=rows.regions_RE[[index for index, _, _ in found]],
        labels_N=np.array([record.regions[n].label for _, record, n in found], str),
        boxes_NF=np.array(boxes).reshape(len(found), -1 if found else 0),
        items=tuple(f"{record.id}#{number}" for _, record, number in found),
        groups=tuple(group_of(record) for _, record, _ in found),
        strata=tuple(region_strata(record, record.regions[n]) for _, record, n in found),
    )


def picture_examples(rows: Rows, labels: Sequence[str]) -> Examples:
    """The pictures whose only label is one of these."""
    found = [
        (index, record)
        for index, record in enumerate(rows.records)
        if len(record.labels) == 1 and record.labels[0] in labels
    ]
    return Examples(
        vectors_NE=rows.images_NE[[index for index, _ in found]],
        labels_N=np.array([record.labels[0] for _, record in found], str),
        boxes_NF=np.zeros((len(found), 0)),
        items=tuple(record.id for _, record in found),
        groups=tuple(group_of(record) for _, record in found),
        strata=tuple(
            (f"modality:{record.modality}",) if record.modality else () for _, record in found
        ),
    )


def _score(probe: LinearProbe) -> Score:
    labels_N, groups = probe.asked.labels_N, probe.asked.groups
    seed = f"{TASK} {probe.part.name} {probe.target}"
    hits_N = probe.hits_DN.mean(axis=0)
    against = differences(hits_N, probe.control_hits, labels_N, groups, seed)
    labels = sorted(set(labels_N.tolist()))
    of_draws = [[hits[labels_N == label].mean() for label in labels] for hits in probe.hits_DN]
    return score_of(
        macro_mean(hits_N, labels_N, groups, seed),
        task=TASK,
        set=probe.part.name,
        metric="macro_accuracy",
        n=len(hits_N),
        chance=1 / len(labels),
        controls={
            name: macro_mean(control, labels_N, groups, seed).value
            for name, control in probe.control_hits.items()
        },
        conditions=probe.part.conditions,
        details={
            "boxes": "given" if probe.target == "regions" else "none",
            "target": probe.target,
            "shots": probe.shots or "all",
            "draws": [float(np.mean(values)) for values in of_draws],
            "labels": labels,
            "C": probe.strength,
            "C_chosen_on": "val, with all train rows" if probe.chosen else "nothing",
            "examples": probe.examples,
            "dropped": probe.dropped,
            "differences": {name: found.as_json() for name, found in against.items()},
        },
    )
