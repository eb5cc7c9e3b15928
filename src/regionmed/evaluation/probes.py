"""Probes: does one word matter? A true text against one that is false in exactly one respect.

The pairs are those of probe_pairs.py. An answer is right where the true text scores higher; a tie
is worth half. Beside it stand answers without the finding (blank) and without any picture: how
often the true text lies nearer to the mean embedding of the train rows (text-only).
Legend: P pairs · R regions · N pictures · E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.encode import Rows, encode_texts
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.probe_pairs import Pair, picture_pairs, question_pairs, region_pairs
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.scored_rows import scored_rows
from regionmed.evaluation.statistics import Estimate, differences, mean
from regionmed.evaluation.strata import LEAST_IN_STRATUM, group_of, region_strata
from regionmed.evaluation.subject import Floats, Scored
from regionmed.record import Record

TWINS = "by the rules of the loss 'hard': known to a run whose recipe has that loss"
TASK = "probe"
Credits = NDArray[np.float64]
Blank = tuple[Sequence[tuple[int, int]], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The credit of each pair of one source, by the model and by its controls."""

    part: Part
    source: str
    pairs: tuple[Pair, ...]
    hits_P: Credits
    control_hits: dict[str, Credits]  # NaN for pairs that a control was not asked
    trained: bool  # whether the model's training texts are known, hence made by the same rules

    @property
    def groups(self) -> tuple[str, ...]:
        """What is resampled, for each pair."""
        return tuple(group_of(self.part.records[pair.row]) for pair in self.pairs)

    @property
    def strata(self) -> list[tuple[str, ...]]:
        """kind:NAME, then the strata of the region, or the modality of the picture."""
        return [(f"kind:{pair.kind}", *_strata_of(self.part, pair)) for pair in self.pairs]


def run_probes(
    model: Scored,
    part: Part,
    train: Rows,
    test: Rows,
    blank_regions: Blank | None = None,
    blank_images_NE: Floats | None = None,
) -> tuple[Probes, ...] | None:
    """Ask every pair of a Part; None where it has no pair.

    train, test      train rows give the mean embedding of the text-only control; none without them
    blank_regions    places (row in part.records, number of the region) and a row (R, E) for each:
                     the region's embedding where the region was painted over
    blank_images_NE  for each of part.records the embedding of its mean grey
    """
    rows = scored_rows(part, test)
    pairs = [*region_pairs(part), *picture_pairs(part), *question_pairs(part)]
    # regions of labels that are too rare to be scored are not encoded
    encoded = set(rows.places) if len(rows.regions_RE) else set()
    pairs = [pair for pair in pairs if pair.region is None or (pair.row, pair.region) in encoded]
    if not pairs:
        return None
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.true, pair.false)))
    vector_of = dict(zip(texts, encode_texts(model, texts), strict=True))
    found: list[Probes] = []
    for source in dict.fromkeys(pair.source for pair in pairs):
        own = tuple(pair for pair in pairs if pair.source == source)
        # what true and false texts differ by: (P, E)
        apart_PE = np.array([vector_of[p.true].astype(float) - vector_of[p.false] for p in own])
        seen = rows.regions_RE if source == "regions" else rows.images_NE
        blank = _blank_of(rows, source, blank_regions, blank_images_NE)
        learnt = train.regions_RE if source == "regions" else train.images_NE
        indices = _indices(rows, own)
        controls: dict[str, Credits] = {}
        if blank is not None:
            controls["blank"] = credit(blank[indices], apart_PE)
        if len(learnt):
            mean_1E = learnt.mean(axis=0, keepdims=True, dtype=float)
            controls["text-only"] = credit(np.repeat(mean_1E, len(own), axis=0), apart_PE)
        hits_P = credit(seen[indices], apart_PE)
        known = model.training_pictures is not None
        found.append(Probes(part, source, own, hits_P, controls, known))
    return tuple(found)


def credit(seen_PE: NDArray[np.floating], apart_PE: NDArray[np.floating]) -> Credits:
    """1 where the true text is nearer, half where both are as near; NaN where nothing was seen.

    apart_PE  true text minus false text
    """
    nearer_P = np.einsum("pe,pe->p", seen_PE.astype(float), apart_PE.astype(float))
    # unit rows: what differs by less than this differs by rounding alone
    return (np.sign(np.where(np.abs(nearer_P) < 1e-9, 0.0, nearer_P)) + 1) / 2


def score_probes(probes: Sequence[Probes]) -> list[Score]:
    """The share of pairs answered rightly: each source, and its kinds and strata apart."""
    scores = []
    for one in probes:
        strata = one.strata
        for stratum in ("all", *sorted({name for names in strata for name in names})):
            rows_P = np.array([stratum == "all" or stratum in names for names in strata])
            if rows_P.sum() >= LEAST_IN_STRATUM:
                scores.append(_score(one, stratum, rows_P))
    return scores


def outcomes_of(probes: Sequence[Probes]) -> list[Outcomes]:
    """What each pair earned."""
    return [
        Outcomes(
            task=TASK,
            set=one.part.name,
            metric=f"accuracy {one.source}",
            boxes="given" if one.source == "regions" else "none",
            items=tuple(pair.item for pair in one.pairs),
            groups=one.groups,
            columns=("all",) * len(one.pairs),
            strata=tuple(one.strata),
            values_N=one.hits_P,
        )
        for one in probes
    ]


def _indices(rows: Rows, pairs: Sequence[Pair]) -> list[int]:
    index_of = {place: index for index, place in enumerate(rows.places)}
    return [pair.row if pair.region is None else index_of[pair.row, pair.region] for pair in pairs]


def _blank_of(
    rows: Rows, source: str, regions: Blank | None, images_NE: Floats | None
) -> Floats | None:
    """Blank embeddings in the order of the rows; NaN for regions of which none was made."""
    if source != "regions":
        return images_NE
    if regions is None:
        return None
    places, blank_RE = regions
    row_of = {tuple(place): row for row, place in enumerate(places)}
    blank = np.full(rows.regions_RE.shape, np.nan, np.float32)
    for index, place in enumerate(rows.places):
        if place in row_of:
            blank[index] = blank_RE[row_of[place]]
    return blank


def _strata_of(part: Part, pair: Pair) -> tuple[str, ...]:
    record: Record = part.records[pair.row]
    if pair.region is not None:
        return region_strata(record, record.regions[pair.region])
    return (f"modality:{record.modality}",) if record.modality else ()


def _score(one: Probes, stratum: str, rows_P: NDArray[np.bool_]) -> Score:
    seed = f"{TASK} {one.part.name} {one.source} {stratum}"
    hits_P, groups = one.hits_P[rows_P], np.array(one.groups)[rows_P]
    controls: dict[str, float] = {}
    against: dict[str, Estimate] = {}
    for name, control in one.control_hits.items():
        asked_P = ~np.isnan(control[rows_P])  # regions of rare labels have no blank
        if not asked_P.any():
            continue
        credits, paired = control[rows_P][asked_P], groups[asked_P].tolist()
        controls[name] = float(credits.mean())
        column = np.zeros(len(credits), int)
        against |= differences(hits_P[asked_P], {name: credits}, column, paired, seed)
    return score_of(
        mean(hits_P, groups.tolist(), seed),
        task=TASK,
        set=one.part.name,
        stratum=stratum,
        metric="accuracy",
        n=len(hits_P),
        chance=0.5,
        controls=controls,
        conditions=one.part.conditions,
        details={
            "boxes": "given" if one.source == "regions" else "none",
            "target": one.source,
            "twins": TWINS if one.trained else f"{TWINS}; its training is unknown",
            "differences": {name: found.as_json() for name, found in against.items()},
        },
    )
