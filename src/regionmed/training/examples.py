"""Records as a training step needs them: numbers of texts and labels beside each place.

A label is known by its phrase: two sets that say "left lung" share it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from regionmed.corpus.describe import region_phrase
from regionmed.corpus.negatives import absent_phrase
from regionmed.corpus.shards import Corpus
from regionmed.corpus.wording import short_phrase
from regionmed.errors import RecipeError
from regionmed.record import Record, Region
from regionmed.training.stages import LOSSES, Recipe
from regionmed.training.texts import TextBank

_SIDE_WORDS = re.compile(r"\b(left|right|upper|lower|superior|inferior|bilateral)\b", re.IGNORECASE)

Pair = tuple[int, int]  # a true text and a false one


@dataclass(frozen=True, slots=True)
class RegionExample:
    """One region; all integers are text numbers, but `row` (its place in record.regions)."""

    row: int
    label: int  # number of the label's phrase
    weight: float  # rarity of its label in its set, mean 1 over the set's labels
    text: int | None  # phrase with place and size
    twins: tuple[int, ...]
    stated: tuple[Pair, ...] = ()  # what is there, and its denial
    denied: tuple[Pair, ...] = ()  # the denial of what the picture lacks, and its statement


@dataclass(frozen=True, slots=True)
class Example:
    """One picture that may be trained on."""

    corpus: int  # which of the run's corpora
    row: int  # which record of it
    record: Record
    texts: tuple[int, ...]  # texts of the whole picture, any of them true
    meaning: str  # pictures of one meaning are positives of each other's texts
    written: bool  # whether a person wrote the text
    twins: tuple[int, ...]  # false twins of the first text
    regions: tuple[RegionExample, ...]
    mirror_x: bool
    mirror_y: bool


@dataclass
class Examples:
    """All examples of a run and their texts."""

    items: list[Example] = field(default_factory=list)
    bank: TextBank = field(default_factory=TextBank)
    vocabulary: list[int] = field(default_factory=list)  # text numbers of all label phrases

    def region_phrases(self) -> tuple[str, ...]:
        """What a region may be called: the phrases of its labels."""
        return self._texts(set(self.vocabulary))

    def sentences(self) -> tuple[str, ...]:
        """What a trained model may answer: label phrases and rule-made texts, no person's words."""
        true = set(self.vocabulary)
        for item in self.items:
            if not item.written:
                true.update(item.texts)
        return self._texts(true)

    def _texts(self, numbers: Collection[int]) -> tuple[str, ...]:
        return tuple(text for text, number in self.bank.numbers.items() if number in numbers)


def gather(corpora: Sequence[Corpus]) -> Examples:
    """The training rows of the corpora; rows with `exclude` or without a picture are left out."""
    examples = Examples()
    for number, corpus in enumerate(corpora):
        kept = [
            (row, record)
            for row, record in enumerate(corpus)
            if record.split == "train" and record.exclude is None and record.frame is not None
        ]
        rarity = _rarity(record for _, record in kept)
        for row, record in kept:
            phrases = corpus.phrases.get(record.set, {})
            examples.items.append(_example(number, row, record, phrases, rarity, examples.bank))
    vocabulary: dict[int, None] = {}
    for example in examples.items:
        for region in example.regions:
            vocabulary.setdefault(region.label)
    examples.vocabulary = list(vocabulary)
    return examples


def check_feeds(recipe: Recipe, examples: Examples) -> None:
    """Refuse a recipe with a term that these examples cannot feed."""
    items = examples.items
    if len(items) < recipe.batch_size:
        raise RecipeError(
            f"recipe '{recipe.name}' draws {recipe.batch_size} pictures a step, the corpora have "
            f"{len(items)} training pictures; give more, or a recipe with a smaller batch_size"
        )
    feeds = {
        "global": any(item.texts for item in items),
        "global-sigmoid": any(item.texts for item in items),
        "joined": any(item.texts and item.regions for item in items),
        "region": len(examples.vocabulary) > 1,
        "caption": any(region.text is not None for item in items for region in item.regions),
        "hard": any(item.twins or any(r.twins for r in item.regions) for item in items),
        "ground": bool(examples.vocabulary),
        "distil": bool(items),
    }
    for stage in recipe.stages:
        for loss in stage.losses:
            if not feeds[loss]:
                raise RecipeError(
                    f"stage '{stage.name}' has the loss '{loss}', which needs {LOSSES[loss]}; the "
                    "training rows have none (region: at least two labels)"
                )


def _example(
    corpus: int,
    row: int,
    record: Record,
    phrases: Mapping[str, str],
    rarity: Mapping[tuple[str, str], float],
    bank: TextBank,
) -> Example:
    texts = record.texts
    said: list[str] = []
    if texts.caption:
        said = [texts.caption]
    elif texts.summary:
        said = [texts.summary]
        if len(record.labels) == 1:
            said.append(_phrase(record.labels[0], record, phrases))
    regions = tuple(
        RegionExample(
            row=number,
            label=bank.add(_phrase(region.label, record, phrases)),
            weight=rarity[record.set, region.label],
            text=bank.add(region.text) if region.text else None,
            twins=tuple(
                bank.add_all(twin.text for twin in region.negatives if twin.kind != "negation")
            ),
            **_denials(region, record, phrases, bank),
        )
        for number, region in enumerate(record.regions)
    )
    words = " ".join([*said, *(region.label for region in record.regions)])
    sideless = not texts.caption and not _SIDE_WORDS.search(words)
    return Example(
        corpus=corpus,
        row=row,
        record=record,
        texts=tuple(bank.add_all(said)),
        meaning=texts.caption or f"{record.set}: {texts.summary}",
        written=bool(texts.caption),
        twins=tuple(
            bank.add_all(
                twin.text
                for twin in texts.negatives
                if twin.kind != "negation" or texts.caption  # see _denials
            )
        ),
        regions=regions,
        mirror_x=sideless,
        # only under a microscope is up as good as down
        mirror_y=sideless and record.modality == "microscopy",
    )


def _denials(
    region: Region, record: Record, phrases: Mapping[str, str], bank: TextBank
) -> dict[str, tuple[Pair, ...]]:
    """A region's finding stated and denied, and so one that the picture lacks, long and short.

    Both or neither: where every text with "no" is false, a model learns the word and nothing of
    what it denies.
    """
    twin = next((twin.text for twin in region.negatives if twin.kind == "finding"), None)
    absent = absent_phrase(record, phrases, region)
    if twin is None or absent is None or region.text is None:
        return {}
    there = (region.text, short_phrase(_phrase(region.label, record, phrases)))
    return {
        "stated": tuple((bank.add(text), bank.add(f"no {text}")) for text in there),
        "denied": tuple(
            (bank.add(f"no {text}"), bank.add(text)) for text in (twin, short_phrase(absent))
        ),
    }


def _rarity(records: Iterable[Record]) -> dict[tuple[str, str], float]:
    """1 / count of each (set, label), scaled so that the labels of a set have mean 1."""
    counts = Counter((record.set, region.label) for record in records for region in record.regions)
    inverse: dict[str, list[float]] = {}
    for (name, _), count in counts.items():
        inverse.setdefault(name, []).append(1 / count)
    return {
        (name, label): 1 / count / (sum(inverse[name]) / len(inverse[name]))
        for (name, label), count in counts.items()
    }


def _phrase(label: str, record: Record, phrases: Mapping[str, str]) -> str:
    return region_phrase(label, record.modality, phrases.get(label))
