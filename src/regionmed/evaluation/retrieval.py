"""Retrieval: does a picture find its caption among others, and a caption its picture?

Only sets whose pictures carry captions written by people. Captions are compared after white space
is folded; a caption that several pictures share is one text with several right pictures.
Legend: N pictures · T distinct captions · E embedding · Q queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.encode import Floats, encode_texts
from regionmed.evaluation.outcomes import Outcomes
from regionmed.evaluation.part import Part
from regionmed.evaluation.score import Score, score_of
from regionmed.evaluation.standing import Standing, standings
from regionmed.evaluation.statistics import differences, mean
from regionmed.evaluation.strata import LEAST_IN_STRATUM, group_of
from regionmed.evaluation.subject import Scored
from regionmed.progress import Track, silent
from regionmed.record import Record

TASK = "retrieval"
RANKS = (1, 5, 10)
LEAST_GALLERY = 20  # distinct captions: below this, ten of them are no search


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """One way of asking: a query a picture, or a query a caption.

    name      "image to text" or "text to image"
    records   of each query: its picture, or the first picture that carries the caption
    standing  of the model; `blank` of the same with every picture replaced by its mean grey
    """

    name: str
    records: tuple[Record, ...]
    standing: Standing
    blank: Standing | None


@dataclass(frozen=True, slots=True, eq=False)
class Retrieval:
    """Both directions of one set, and the vectors compared, for showing what was found.

    own_N  row in `captions` of each picture's caption, -1 where it has none
    """

    part: Part
    captions: tuple[str, ...]
    images_NE: Floats
    texts_TE: Floats
    own_N: NDArray[np.int64]
    directions: tuple[Direction, Direction]


def run_retrieval(
    model: Scored,
    part: Part,
    images_NE: Floats,
    blank_NE: Floats | None = None,
    track: Track = silent,
) -> Retrieval | None:
    """Compare every captioned picture with every distinct caption; None where there are too few.

    blank_NE  the same pictures, each replaced by its mean grey; None where nothing can be altered
    """
    folded = [" ".join((record.texts.caption or "").split()) for record in part.records]
    captions = tuple(dict.fromkeys(caption for caption in folded if caption))
    if len(captions) < LEAST_GALLERY:
        return None
    row_of = {caption: row for row, caption in enumerate(captions)}
    own_N = np.array([row_of.get(caption, -1) for caption in folded])
    # Pictures without a caption are no queries, but stay in the gallery for captions to skip.
    pictures_P = np.flatnonzero(own_N >= 0)
    texts_TE = encode_texts(model, captions)
    found = standings(images_NE, texts_TE, pictures_P, own_N[pictures_P], track)
    blank: tuple[Standing, Standing] | tuple[None, None] = (None, None)
    if blank_NE is not None:
        blank = standings(blank_NE, texts_TE, pictures_P, own_N[pictures_P], track)
    first_T = pictures_P[np.unique(own_N[pictures_P], return_index=True)[1]]
    asking = {"image to text": pictures_P, "text to image": first_T}
    to_text, to_image = (
        Direction(name, tuple(part.records[row] for row in rows), found[way], blank[way])
        for way, (name, rows) in enumerate(asking.items())
    )
    return Retrieval(part, captions, images_NE, texts_TE, own_N, (to_text, to_image))


def score_retrieval(found: Retrieval) -> list[Score]:
    """Recall at 1, 5 and 10 in both directions, of all queries and of each modality's.

    The gallery is the whole set's in every stratum. The groups resampled are those of the query's
    picture; a caption's is that of its first picture. Beside each: median and mean reciprocal rank.
    """
    return [
        _score(found.part, direction, k, stratum, rows_Q)
        for direction in found.directions
        for stratum, rows_Q in _strata(direction.records).items()
        for k in RANKS
    ]


def outcomes_of(found: Retrieval) -> list[Outcomes]:
    """What every query earned, 0..1; a caption is named by the first picture that carries it."""
    return [
        Outcomes(
            task=TASK,
            set=found.part.name,
            metric=f"recall@{k} {direction.name.replace(' ', '-')}",
            boxes="none",
            items=tuple(record.id for record in direction.records),
            groups=tuple(group_of(record) for record in direction.records),
            columns=("all",) * len(direction.records),
            strata=tuple(_modality(record) for record in direction.records),
            values_N=direction.standing.recall(k),
        )
        for direction in found.directions
        for k in RANKS
    ]


def _score(
    part: Part, direction: Direction, k: int, stratum: str, rows_Q: NDArray[np.int64]
) -> Score:
    seed = f"retrieval {part.name}" + ("" if stratum == "all" else f" {stratum}")
    groups = [group_of(direction.records[row]) for row in rows_Q]
    hits_Q = direction.standing.recall(k)[rows_Q]
    blank = {} if direction.blank is None else {"blank": direction.blank.recall(k)[rows_Q]}
    against = differences(hits_Q, blank, np.zeros(len(rows_Q)), groups, seed)
    return score_of(
        mean(hits_Q, groups, seed),
        task=TASK,
        set=part.name,
        stratum=stratum,
        metric=f"recall@{k}",
        n=len(rows_Q),
        chance=float(direction.standing.chance(k)[rows_Q].mean()),
        controls={name: float(values_Q.mean()) for name, values_Q in blank.items()},
        conditions=part.conditions,
        details={
            "boxes": "none",
            "direction": direction.name,
            "gallery": direction.standing.gallery,
            "median_rank": float(np.median(direction.standing.first_right_rank()[rows_Q])),
            "mean_reciprocal_rank": float(direction.standing.reciprocal_rank()[rows_Q].mean()),
            "differences": {name: gain.as_json() for name, gain in against.items()},
        },
    )


def _strata(records: tuple[Record, ...]) -> dict[str, NDArray[np.int64]]:
    """`all`, and where a set has several modalities each with enough queries."""
    names = [_modality(record) for record in records]
    found = sorted({name for names_of_one in names for name in names_of_one})
    rows = {name: np.flatnonzero([name in of_one for of_one in names]) for name in found}
    several = {name: of_it for name, of_it in rows.items() if len(of_it) >= LEAST_IN_STRATUM}
    return {"all": np.arange(len(records)), **(several if len(found) > 1 else {})}


def _modality(record: Record) -> tuple[str, ...]:
    return (f"modality:{record.modality}",) if record.modality else ()
