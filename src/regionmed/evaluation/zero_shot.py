"""Prompt classification: which of a set's labels lies nearest to a picture?

It is zero-shot only where neither prompts nor labels nor pictures of the set were in training; each
score carries which it is, and why. Where every picture has exactly one label the labels compete;
else each is asked by itself, also against prompts that deny it, and pictures without it are its
negatives. Legend: N pictures, L labels, E embedding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.controls import grey_picture
from regionmed.evaluation.encode import Floats, Rows, encode
from regionmed.evaluation.part import Part, Pictures
from regionmed.evaluation.prompt_files import LabelPrompts, ensemble, prompts_of
from regionmed.evaluation.strata import LEAST_PER_LABEL, NO_KIND, scored_labels
from regionmed.evaluation.subject import Scored, is_stored
from regionmed.progress import Track, silent
from regionmed.record import Record

Truth = NDArray[np.bool_]

# The headline was chosen on the kit's val rows: mean AUROC of the trained model over three sets of
# one label a picture and five of several is .986 and .725 by the plain phrase, .971 and .713 by the
# ensemble, .687 against the denial. The others stand beside it in every score.
HEADLINE, ENSEMBLE, DENIED = "plain phrase", "ensemble", "ensemble against its denial"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the task may be called: "zero-shot", "prompt classification" or "unknown", and why."""

    name: str
    because: str
    labels_in_training: int | None  # labels of which any name was; None where unknown


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """Scores by one way of asking, higher is nearer.

    blank_NL  each picture replaced by its mean grey; None for stored vectors
    val_ML    of the val pictures; no row where val is what is scored
    """

    scores_NL: Floats
    blank_NL: Floats | None
    val_ML: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PromptAnswers:
    """How near each picture is to the prompts of each of `labels`, and the truth.

    several        whether labels are asked one by one
    ways           name of a way to ask -> what it found; HEADLINE is among them, and where labels
                   are asked one by one DENIED, whose scores are margins over the denial
    val_truth_ML   as truth_NL, of the val pictures; no row where val is scored
    """

    part: Part
    prompts: tuple[LabelPrompts, ...]
    several: bool
    rows: tuple[int, ...]  # of part.records; pictures of rarer labels are left out
    truth_NL: Truth
    ways: dict[str, Nearness]
    val_truth_ML: Truth
    train_counts: tuple[int, ...]  # pictures of each label in the train split
    kind: Kind

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels asked, in the order of the columns."""
        return tuple(prompts.label for prompts in self.prompts)


def prompt_labels(part: Part) -> tuple[tuple[str, ...], bool]:
    """The picture labels to ask, and whether pictures may carry several or none of them.

    One a picture: at least two labels of LEAST_PER_LABEL pictures each. Several: labels with as
    many pictures that have them and that lack them; a label that denies ("no finding") is not
    asked, its pictures are negatives. No label where the set is not of either kind.
    """
    carried = [record.labels for record in part.records]
    several = any(len(labels) != 1 for labels in carried)
    if not several:
        labels = scored_labels(labels[0] for labels in carried)
        return (labels, False) if len(labels) >= 2 else ((), False)
    counts = Counter(label for labels in carried for label in set(labels))
    labels = tuple(
        label
        for label in sorted(counts)
        if LEAST_PER_LABEL <= counts[label] <= len(carried) - LEAST_PER_LABEL
        and label != NO_KIND
        and not part.phrases.get(label, label).casefold().startswith("no ")
    )
    return labels, True


def run_prompts(
    model: Scored,
    part: Part,
    pictures: Pictures | None,
    images_NE: Floats,
    val: Rows,
    track: Track = silent,
) -> PromptAnswers | None:
    """Compare each picture, and its mean grey, with every label's prompts; None if not asked.

    pictures   of part.records; None leaves the blank control out
    images_NE  unit rows of part.records
    val        what the scale of the probabilities is fitted on, unless val is what is scored
    Raises UsageError where a label has no prompt.
    """
    labels, several = prompt_labels(part)
    if not labels:
        return None
    prompts = prompts_of(part, labels)
    rows = _rows(part.records, labels, several)
    blank_NE = None
    if pictures is not None and not is_stored(model):
        blanks = [grey_picture(pictures.pixels_NHWC[row], pictures.placements[row]) for row in rows]
        title = f"{part.name}: blank pictures"
        blank_NE = encode(model, np.stack(blanks), title=title, track=track).images_NE
    val_rows = [] if part.conditions.split == "val" else _rows(val.records, labels, several)
    carried_in_train = Counter(label for record in part.train for label in set(record.labels))
    return PromptAnswers(
        part=part,
        prompts=prompts,
        several=several,
        rows=tuple(rows),
        truth_NL=_truth([part.records[row] for row in rows], labels),
        ways={
            name: Nearness(
                scores_NL=images_NE[rows] @ texts_LE.T,
                blank_NL=None if blank_NE is None else blank_NE @ texts_LE.T,
                val_ML=val.images_NE[val_rows] @ texts_LE.T,
            )
            for name, texts_LE in _directions(model, prompts, several).items()
        },
        val_truth_ML=_truth([val.records[row] for row in val_rows], labels),
        train_counts=tuple(carried_in_train[label] for label in labels),
        kind=kind_of(model, part, prompts),
    )


def _directions(model: Scored, prompts: Sequence[LabelPrompts], several: bool) -> dict[str, Floats]:
    """Way to ask -> (L, E), to be multiplied with pictures."""
    plain_LE = ensemble(model, [(each.plain,) for each in prompts])
    positive_LE = ensemble(model, [each.positive for each in prompts])
    ways = {HEADLINE: plain_LE, ENSEMBLE: positive_LE}
    if several:
        ways[DENIED] = positive_LE - ensemble(model, [each.negative for each in prompts])
    return ways


def kind_of(model: Scored, part: Part, prompts: Sequence[LabelPrompts]) -> Kind:
    """Whether this is zero-shot, from the sentences and pictures that the model says it was shown.

    A name counts as shown where it stands as whole words in any of the sentences.
    """
    if model.training_pictures is None:
        return Kind("unknown", "the model does not say what it was trained on", None)
    texts = "\n".join(model.phrases).casefold()
    found = sum(_stands_in(each, texts) for each in prompts)
    if found:
        because = f"{found} of {len(prompts)} labels are named in the training texts"
        return Kind("prompt classification", because, found)
    if any(record.sha256 in model.training_pictures for _, record in part.everything):
        return Kind("prompt classification", "pictures of this set were in training", 0)
    if not model.phrases:
        return Kind("unknown", "the model does not say which sentences it was trained on", None)
    because = (
        "no label is named in the sentences kept with the model and no picture of this set was in "
        "training; captions that people wrote are not kept, so they were not searched"
    )
    return Kind("zero-shot", because, 0)


def _stands_in(prompts: LabelPrompts, texts: str) -> bool:
    """Whether the label, or any of its prompts, stands in the folded texts.

    Every prompt is looked for, and among them, by the template "{}", each name alone.
    """
    names = {name.casefold() for name in (prompts.label, prompts.plain, *prompts.positive)}
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", texts) for name in names)


def _rows(records: Sequence[Record], labels: Sequence[str], several: bool) -> list[int]:
    asked = set(labels)
    return [
        row
        for row, record in enumerate(records)
        if several or (len(record.labels) == 1 and record.labels[0] in asked)
    ]


def _truth(records: Sequence[Record], labels: Sequence[str]) -> Truth:
    table = [[label in record.labels for label in labels] for record in records]
    return np.array(table, bool).reshape(len(records), len(labels))
