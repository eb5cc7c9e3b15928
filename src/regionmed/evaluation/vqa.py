"""Questions about pictures: an answer head trained on `train` rows, and ranking without training.

The answers that can be given are those of the training rows, white space and case folded; a
question whose answer is not among them counts as wrong. Training rows that share a picture, a group
or a twin family with a scored one are dropped first. Legend: N pictures, Q questions, R regions, E
embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regionmed.batches.batch import boxes_to_unit
from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import Floats, Rows, encode
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.subject import Scored, is_stored
from regionmed.evaluation.vqa_head import BLIND, SEEING, Head, train_head
from regionmed.evaluation.vqa_questions import (
    Asked,
    Kept,
    apart_from,
    ask,
    fold,
    region_means,
    region_means_of,
)
from regionmed.evaluation.vqa_ranking import RankedAnswers, rank_answers
from regionmed.progress import Track, silent
from regionmed.record import Question, Record


@dataclass(frozen=True, slots=True, eq=False)
class VqaAnswers:
    """What the head, ranking and their controls answered to the questions of a Part.

    given        of the head; controls: majority, question-only, seeing (a head that must look) and,
                 where pictures could be altered, blank
    vocabulary   type -> the answers of its training rows
    train, val   what was kept of these splits, and dropped because a scored picture is in it
    """

    part: Part
    asked: Asked
    given: tuple[str, ...]
    controls: dict[str, tuple[str, ...]]
    vocabulary: dict[str, frozenset[str]]
    head: Head
    ranked: RankedAnswers
    train: Kept
    val: Kept


def vocabularies(questions: Sequence[Question]) -> dict[str, Counter[str]]:
    """For each type, the folded answers and how often they were given."""
    counts: dict[str, Counter[str]] = {"open": Counter(), "closed": Counter()}
    for question in questions:
        counts[question.type][fold(question.answer)] += 1
    return counts


def commonest(counts: Counter[str]) -> str:
    """The commonest answer; the alphabet decides between equals. Empty where there is none."""
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def run_vqa(
    model: Scored,
    part: Part,
    pictures: Pictures | None,
    test_images_NE: Floats,
    train: Rows,
    val: Rows,
    track: Track = silent,
) -> VqaAnswers | None:
    """Train heads on the set's train rows, rank candidates, and answer the Part's questions.

    pictures, test_images_NE   of part.records; None leaves the blank controls out
    train, val                 of the Part's set; val chooses, unless val is what is scored
    returns                    None where the split or the train rows have no questions, or where
                               the split is train, whose answers the heads were given
    """
    records = part.records
    if part.conditions.split == "train" or not any(record.questions for record in records):
        return None
    scored = [record for record in records if record.questions]
    kept = apart_from(train.records, scored)
    if not kept.rows:
        return None
    choosing = part.conditions.split != "val"
    kept_val = apart_from(val.records, scored) if choosing else Kept((), 0, 0)
    train_means = region_means_of(train)
    test_means = None if train_means is None else _regions(model, part, pictures)
    if test_means is None:
        train_means = None
    val_means = None if train_means is None else _or_zeros(region_means_of(val), val.images_NE)
    return answer_questions(
        model,
        part,
        train=_kept(model, train, kept, train_means),
        val=_kept(model, val, kept_val, val_means),
        asked=ask(model, records, test_images_NE, test_means),
        blank=_blank(model, part, pictures, test_means is not None, track),
        kept=(kept, kept_val),
    )


def answer_questions(
    model: Scored,
    part: Part,
    *,
    train: Asked,
    val: Asked,
    asked: Asked,
    blank: Asked | None,
    kept: tuple[Kept, Kept],
) -> VqaAnswers:
    """Train on `train`, choose on `val`, answer `asked`; `blank` is `asked` with grey pictures."""
    head = train_head(train, val)
    counts = vocabularies(train.questions)
    controls = {
        "majority": tuple(commonest(counts[question.type]) for question in asked.questions),
        "question-only": train_head(train, val, [BLIND]).answer(asked),
        "seeing": train_head(train, val, [SEEING]).answer(asked),
    }
    if blank is not None:
        controls["blank"] = head.answer(blank)
    ranked = rank_answers(
        model,
        train.questions,
        asked,
        None if blank is None else blank.picture_QE,
        train.picture_QE.mean(axis=0),
    )
    return VqaAnswers(
        part=part,
        asked=asked,
        given=head.answer(asked),
        controls=controls,
        vocabulary={kind: frozenset(count) for kind, count in counts.items()},
        head=head,
        ranked=ranked,
        train=kept[0],
        val=kept[1],
    )


def _kept(model: Scored, rows: Rows, kept: Kept, means_NE: Floats | None) -> Asked:
    """The questions of the kept rows."""
    chosen = list(kept.rows)
    means = None if means_NE is None else means_NE[chosen]
    return ask(model, [rows.records[row] for row in chosen], rows.images_NE[chosen], means)


def _or_zeros(means_NE: Floats | None, images_NE: Floats) -> Floats:
    return np.zeros_like(images_NE) if means_NE is None else means_NE


def _blank(
    model: Scored, part: Part, pictures: Pictures | None, with_regions: bool, track: Track
) -> Asked | None:
    """The questions with every picture replaced by its mean grey; None for stored vectors."""
    if pictures is None or is_stored(model):
        return None
    pairs = zip(pictures.pixels_NHWC, pictures.placements, strict=True)
    blanks = Pictures(np.stack([grey_picture(*pair) for pair in pairs]), pictures.placements)
    means_NE = _regions(model, part, blanks) if with_regions else None
    title = f"{part.name}: blank pictures"
    images_NE = encode(model, blanks.pixels_NHWC, title=title, track=track).images_NE
    return ask(model, part.records, images_NE, means_NE)


def _regions(model: Scored, part: Part, pictures: Pictures | None) -> Floats | None:
    """Unit rows (N, E), each picture's regions in the mean; None where the model has none."""
    records = part.records
    places = [(row, number) for row, record in enumerate(records) for number in _numbers(record)]
    if is_stored(model):
        stored = model.stored_regions([(records[row].id, number) for row, number in places])
        regions_RE = stored
    elif pictures is None:
        return None
    else:
        boxes = [
            boxes_to_unit([region.box for region in record.regions], placement)
            for record, placement in zip(records, pictures.placements, strict=True)
        ]
        regions_RE = encode(model, pictures.pixels_NHWC, boxes).regions_RE
    if regions_RE is None:
        return None
    return region_means([row for row, _ in places], regions_RE, len(records))


def _numbers(record: Record) -> range:
    return range(len(record.regions))
