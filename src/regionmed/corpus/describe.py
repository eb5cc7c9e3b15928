"""Texts made by rule from what a record's annotations say, on every level, with their false twins.

Summary: one sentence from modality and labels. Detailed: the report or the caption where a person
wrote one, else counts, sizes and places of the regions. Region text: size, phrase and place.
Nothing is said that the annotations do not say: no organ, no patient's side, no diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from regionmed.corpus.negatives import absent_phrase, region_twins, swap_side, toggle_negation
from regionmed.corpus.wording import (
    counted,
    is_countless,
    listed,
    picture_words,
    place_of,
    place_words,
    plural,
    region_phrase,
    region_words,
    short_phrase,
    size_word,
    with_article,
)
from regionmed.geometry import area_share
from regionmed.record import FalseTwin, Record, Region, Texts

__all__ = ["describe", "region_phrase"]

# the sections of a report that speak of the picture; history and exam speak of the patient
_SPOKEN = ("findings", "impression")


def describe(record: Record, phrases: Mapping[str, str]) -> Record:
    """The record with summary, detailed text, region texts and false twins filled in.

    phrases   label -> phrase for every label of the record's set; a label that is missing gets its
              name in plain words, but is never offered as a false finding
    """
    regions = tuple(
        replace(
            region,
            text=_region_text(region, record, phrases),
            negatives=region_twins(region, record, phrases),
        )
        for region in record.regions
    )
    texts = record.texts
    parts = _parts(record, phrases)
    summary = _summary(record, parts) if parts or record.modality else None
    spoken = [texts.report.get(section) for section in _SPOKEN]
    report = " ".join(" ".join(part.split()) for part in spoken if part)
    detailed = report or texts.caption or _detailed(record, phrases)
    twins = _caption_twins(texts) if texts.caption else _summary_twins(record, phrases)
    described = replace(texts, summary=summary, detailed=detailed, negatives=twins)
    return replace(record, texts=described, regions=regions)


def _region_text(region: Region, record: Record, phrases: Mapping[str, str]) -> str:
    phrase = region_phrase(region.label, record.modality, phrases.get(region.label))
    return region_words(phrase, size_word(region), place_of(region.box))


def _parts(record: Record, phrases: Mapping[str, str]) -> list[str]:
    """What a picture shows, a part a label: picture labels bare, marked ones by their number."""
    by_label = _by_label(record)
    parts = []
    for label in dict.fromkeys((*record.labels, *by_label)):
        phrase = _short(label, record, phrases)
        number = len(by_label.get(label, ()))
        if number == 1:
            phrase = with_article(phrase)
        elif number > 1 and not is_countless(phrase):
            phrase = plural(phrase)
        parts.append(phrase)
    return parts


def _short(label: str, record: Record, phrases: Mapping[str, str]) -> str:
    return short_phrase(region_phrase(label, record.modality, phrases.get(label)))


def _by_label(record: Record) -> dict[str, list[Region]]:
    grouped: dict[str, list[Region]] = {}
    for region in record.regions:
        grouped.setdefault(region.label, []).append(region)
    return grouped


def _summary(record: Record, parts: Sequence[str]) -> str:
    """ "ultrasound picture showing a benign breast lesion"."""
    words = picture_words(record.modality)
    return f"{words} showing {listed(parts)}" if parts else words


def _summary_twins(record: Record, phrases: Mapping[str, str]) -> tuple[FalseTwin, ...]:
    """One part exchanged for a finding that is not there, one part denied."""
    parts = _parts(record, phrases)
    if not parts:
        return ()
    twins = []
    absent = absent_phrase(record, phrases)
    if absent is not None:
        said = with_article(short_phrase(absent)) if record.regions else short_phrase(absent)
        twins.append(FalseTwin("finding", _summary(record, [said, *parts[1:]])))
    bare = re.sub(r"^(a|an|the) ", "", parts[0])
    denied = bare.removeprefix("no ") if bare.startswith("no ") else f"no {bare}"
    twins.append(FalseTwin("negation", _summary(record, [denied, *parts[1:]])))
    return tuple(twins)


def _caption_twins(texts: Texts) -> tuple[FalseTwin, ...]:
    """Twins of a person's caption, where its form proves them false."""
    caption = texts.caption or ""
    others = " ".join(part for part in texts.report.values() if part)
    side, denied = swap_side(caption, others), toggle_negation(caption)
    twins = []
    if side is not None:
        twins.append(FalseTwin("side", side))
    if denied is not None:
        twins.append(FalseTwin("negation", denied))
    return tuple(twins)


def _detailed(record: Record, phrases: Mapping[str, str]) -> str | None:
    """Counts, then for each label its sizes and where the largest lies."""
    if not record.labels and not record.regions and record.modality is None:
        return None
    grouped = _by_label(record)
    named = {label: _short(label, record, phrases) for label in (*record.labels, *grouped)}
    bare = [named[label] for label in record.labels if label not in grouped]
    counts = [counted(len(regions), named[label]) for label, regions in grouped.items()]
    sentences = [_summary(record, [*bare, *counts])]
    for label, regions in grouped.items():
        sentences.append(_largest(named[label], regions))
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences) + "."


def _largest(phrase: str, regions: Sequence[Region]) -> str:
    largest = max(regions, key=lambda region: area_share(region.box))
    place, size = place_words(place_of(largest.box)), size_word(largest)
    if len(regions) == 1:
        return " ".join(filter(None, (size, phrase, f"in the {place}")))
    number = counted(len(regions), phrase)
    if size is not None:
        return f"the largest of the {number} is {size}, in the {place}"
    # points stand for squares of one size: none is the largest, so where they all lie is said
    places = list(dict.fromkeys(place_words(place_of(region.box)) for region in regions))
    if len(places) > 3:
        return f"{number} are spread over the picture"
    return f"{number} in the {listed(places)}"
