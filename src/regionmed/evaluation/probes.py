"""Probes: does one word matter? A true text against one that is false in exactly one respect.

The pairs are those of probe_pairs.py, whose twins the loss 'hard' makes by the same rules, and, as
sources of their own, those of held_out_*.py, in wordings and by rules that training never had. An
answer is right where the true text scores higher; a tie is worth half. Beside it stand answers
without the finding (blank) and without any picture: how often the true text lies nearer to the mean
embedding of the train rows (text-only).
Legend: P pairs · R regions · N pictures · E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.encode import Rows, encode_texts
from regionmed.evaluation.held_out_regions import REGIONS, held_out_region_pairs
from regionmed.evaluation.held_out_sentences import (
    QUESTIONS,
    SENTENCES,
    held_out_question_pairs,
    held_out_sentence_pairs,
)
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.probe_pairs import Pair, picture_pairs, question_pairs, region_pairs
from regionmed.evaluation.score import Score, joint_conditions, score_of
from regionmed.evaluation.scored_rows import scored_rows
from regionmed.evaluation.statistics import Estimate, mean, mean_of_estimates, paired_difference
from regionmed.evaluation.strata import LEAST_IN_STRATUM, group_of, region_strata
from regionmed.evaluation.subject import Floats, Scored
from regionmed.record import Record

TWINS = "by the rules of the loss 'hard': known to a run whose recipe has that loss"
HELD_OUT = "in wordings and by rules that training never had"
HELD_OUT_SOURCES = (REGIONS, SENTENCES, QUESTIONS)
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
    def boxes(self) -> str:
        """Where the boxes came from: "given", or "none" where whole pictures were asked."""
        return "none" if self.pairs[0].region is None else "given"

    @property
    def groups(self) -> tuple[str, ...]:
        """What is resampled, for each pair."""
        return tuple(group_of(self.part.records[pair.row]) for pair in self.pairs)

    @property
    def strata(self) -> list[tuple[str, ...]]:
        """kind:NAME, true:NAME where the true text has a name, those of the region or picture."""
        return [
            (
                f"kind:{pair.kind}",
                *((f"true:{pair.way}",) if pair.way else ()),
                *_strata_of(self.part, pair),
            )
            for pair in self.pairs
        ]

    def within(self, stratum: str) -> Probes | None:
        """The pairs of a stratum, "all" of them or a name; None where they say nothing.

        What counts are regions or pictures: one region asked in six forms is still one.
        """
        strata = self.strata
        rows = [row for row, names in enumerate(strata) if stratum == "all" or stratum in names]
        places = {(self.pairs[row].row, self.pairs[row].region) for row in rows}
        if len(places) < LEAST_IN_STRATUM:
            return None
        return replace(
            self,
            pairs=tuple(self.pairs[row] for row in rows),
            hits_P=self.hits_P[rows],
            control_hits={name: hits_P[rows] for name, hits_P in self.control_hits.items()},
        )


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
    pairs = _pairs(part, rows.places if len(rows.regions_RE) else ())
    if not pairs:
        return None
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.true, pair.false)))
    vector_of = dict(zip(texts, encode_texts(model, texts), strict=True))
    found: list[Probes] = []
    for source in dict.fromkeys(pair.source for pair in pairs):
        own = tuple(pair for pair in pairs if pair.source == source)
        # what true and false texts differ by: (P, E)
        apart_PE = np.array([vector_of[p.true].astype(float) - vector_of[p.false] for p in own])
        of_regions = own[0].region is not None
        seen = rows.regions_RE if of_regions else rows.images_NE
        blank = _blank_of(rows, blank_regions) if of_regions else blank_images_NE
        learnt = train.regions_RE if of_regions else train.images_NE
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
    """The share of pairs answered rightly: each source, its kinds and strata, kinds over sets."""
    scores = []
    for one in probes:
        names = sorted({name for names in one.strata for name in names})
        for stratum in ("all", *names):
            if (part := one.within(stratum)) is not None:
                scores.append(_score((part,), part.part.name, stratum))
    members: dict[tuple[str, str], list[Probes]] = {}
    for kind, part in _by_kind(probes):
        members.setdefault((part.source, kind), []).append(part)
    for (_, kind), parts in members.items():
        if len(parts) > 1:
            scores.append(_score(parts, "mean:all", f"kind:{kind}"))
    return scores


def outcomes_of(probes: Sequence[Probes]) -> list[Outcomes]:
    """What each pair earned, each kind apart: one may be learnt where another is not."""
    return [
        Outcomes(
            task=TASK,
            set=one.part.name,
            metric=f"accuracy {one.source}: {kind}",
            boxes=one.boxes,
            items=tuple(pair.item for pair in one.pairs),
            groups=one.groups,
            columns=("all",) * len(one.pairs),
            strata=tuple(one.strata),
            values_N=one.hits_P,
        )
        for kind, one in _by_kind(probes)
    ]


def _by_kind(probes: Sequence[Probes]) -> list[tuple[str, Probes]]:
    kinds = [(kind, one) for one in probes for kind in sorted({pair.kind for pair in one.pairs})]
    return [(kind, part) for kind, one in kinds if (part := one.within(f"kind:{kind}")) is not None]


def _pairs(part: Part, places: Sequence[tuple[int, int]]) -> list[Pair]:
    """Every pair; of regions only those that are encoded: labels too rare to be scored are not."""
    encoded = set(places)
    return [
        *(pair for pair in region_pairs(part) if (pair.row, pair.region) in encoded),
        *picture_pairs(part),
        *question_pairs(part),
        *held_out_region_pairs(part, places),
        *held_out_sentence_pairs(part),
        *held_out_question_pairs(part),
    ]


def _indices(rows: Rows, pairs: Sequence[Pair]) -> list[int]:
    index_of = {place: index for index, place in enumerate(rows.places)}
    return [pair.row if pair.region is None else index_of[pair.row, pair.region] for pair in pairs]


def _blank_of(rows: Rows, regions: Blank | None) -> Floats | None:
    """Blank embeddings in the order of the rows; NaN for regions of which none was made."""
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


def _score(parts: Sequence[Probes], name: str, stratum: str) -> Score:
    """The share of one set, or the mean over several sets, every set weighing the same."""
    seeds = [f"{TASK} {one.part.name} {one.source} {stratum}" for one in parts]
    pairs = list(zip(parts, seeds, strict=True))
    shared = [
        control
        for control in parts[0].control_hits
        if all(control in one.control_hits and _asked(one, control).any() for one in parts)
    ]
    values = {
        control: [float(one.control_hits[control][_asked(one, control)].mean()) for one in parts]
        for control in shared
    }
    against = {
        control: _over_sets([_difference(one, control, seed) for one, seed in pairs])
        for control in shared
    }
    first = parts[0]
    twins = HELD_OUT if first.source in HELD_OUT_SOURCES else TWINS
    return score_of(
        _over_sets([mean(one.hits_P, one.groups, seed) for one, seed in pairs]),
        task=TASK,
        set=name,
        stratum=stratum,
        metric="accuracy",
        n=sum(len(one.pairs) for one in parts),
        chance=0.5,
        controls={control: float(np.mean(shares)) for control, shares in values.items()},
        conditions=joint_conditions([one.part.conditions for one in parts]),
        details={
            "boxes": first.boxes,
            "target": first.source,
            "twins": twins if first.trained else f"{twins}; its training is unknown",
            "differences": {control: found.as_json() for control, found in against.items()},
            **({"sets": [one.part.name for one in parts]} if len(parts) > 1 else {}),
        },
    )


def _over_sets(estimates: Sequence[Estimate]) -> Estimate:
    return estimates[0] if len(estimates) == 1 else mean_of_estimates(estimates)


def _asked(one: Probes, control: str) -> NDArray[np.bool_]:
    """The pairs that a control was asked: regions of rare labels have no blank."""
    return ~np.isnan(one.control_hits[control])


def _difference(one: Probes, control: str, seed: str) -> Estimate:
    column = np.zeros(len(one.pairs), int)
    return paired_difference(one.hits_P, one.control_hits[control], column, one.groups, seed)
