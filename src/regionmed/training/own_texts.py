"""The texts of one step alone, for a text tower that learns: its outputs cannot be cached.

N texts · D width of the text tower
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from regionmed.model.region_clip import RegionClip
from regionmed.training.draw import Step
from regionmed.training.texts import CHUNK


def own_texts(step: Step, vocabulary: Sequence[int]) -> tuple[Step, list[int], list[int]]:
    """The step with its texts numbered anew from 0, so that features of these texts suffice.

    vocabulary  the bank's numbers of the label phrases; [] where the stage has no `region` term
    returns     the step; the vocabulary in the new numbers; the bank's number of each new one
    """
    used = {
        *vocabulary,
        *step.labels,
        *step.text_columns,
        *(number for number in (*step.picture_texts, *step.captions) if number is not None),
        *(number for twins in (*step.picture_twins, *step.twins) for number in twins),
        *(number for pairs in step.denials for pair in pairs for number in pair),
        *step.queries_BQ.flatten().tolist(),
    }
    numbers = sorted(used)
    new = {number: place for place, number in enumerate(numbers)}
    queries = [new[number] for number in step.queries_BQ.flatten().tolist()]
    renumbered = replace(
        step,
        picture_texts=[None if n is None else new[n] for n in step.picture_texts],
        text_columns=[new[n] for n in step.text_columns],
        picture_twins=[tuple(new[n] for n in twins) for twins in step.picture_twins],
        labels=[new[n] for n in step.labels],
        captions=[None if n is None else new[n] for n in step.captions],
        twins=[tuple(new[n] for n in twins) for twins in step.twins],
        denials=[tuple((new[true], new[false]) for true, false in pairs) for pairs in step.denials],
        queries_BQ=torch.tensor(queries, dtype=torch.long).view(step.queries_BQ.shape),
    )
    return renumbered, [new[n] for n in vocabulary], numbers


def live_features(model: RegionClip, texts: Sequence[str]) -> Tensor:
    """What the text tower says of these texts, with gradients: float32 (N, D).

    Read in the order of their length, so that little is spent on padding.
    """
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    parts = [
        model.text_features([texts[number] for number in order[start : start + CHUNK]])
        for start in range(0, len(order), CHUNK)
    ]
    back = torch.tensor(order).argsort()
    return torch.cat(parts)[back.to(parts[0].device)]
