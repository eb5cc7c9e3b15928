"""How a label is asked for: templates and synonyms from `prompts/`, one short file a modality.

A label's prompts are every template with its phrase and with each synonym; its vector is the
normalised mean of theirs. Files name phrases in any case; a label that the corpus gives no phrase
may be named itself, "_" read as a space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from regionmed.errors import UsageError
from regionmed.evaluation.encode import Floats, encode_texts
from regionmed.evaluation.part import Part
from regionmed.evaluation.subject import Scored
from regionmed.record import Record

FOLDER = "prompts"
GENERAL = "general"  # the file for pictures of several modalities, or of none that is known


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One file: templates with one "{}", those that deny, and synonyms by folded phrase."""

    name: str
    templates: tuple[str, ...]
    negative: tuple[str, ...]
    synonyms: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class LabelPrompts:
    """What one label is asked with: its phrase alone, all its prompts, and those that deny it."""

    label: str
    plain: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]


@cache
def prompt_file(name: str) -> PromptFile:
    """The file of a modality; the general one where it has none."""
    folder = files("regionmed.evaluation") / FOLDER
    found = name if (folder / f"{name}.yaml").is_file() else GENERAL
    content = yaml.safe_load((folder / f"{found}.yaml").read_text("utf-8"))
    return PromptFile(
        name=f"{FOLDER}/{found}.yaml",
        templates=tuple(content["templates"]),
        negative=tuple(content["negative"]),
        synonyms={_folded(phrase): tuple(more) for phrase, more in content["synonyms"].items()},
    )


def prompt_file_of(records: Sequence[Record]) -> PromptFile:
    """The file of the one modality that all records share, else the general one."""
    modalities = {record.modality for record in records}
    only = modalities.pop() if len(modalities) == 1 else None
    return prompt_file(only or GENERAL)


def prompts_of(part: Part, labels: Sequence[str]) -> tuple[LabelPrompts, ...]:
    """The prompts of some labels of the Part's set.

    Raises UsageError for a label that has neither a phrase in the corpus nor an entry in the file.
    """
    file = prompt_file_of(part.records)
    return tuple(_prompts(part, label, file) for label in labels)


def _prompts(part: Part, label: str, file: PromptFile) -> LabelPrompts:
    phrase = part.phrases.get(label)
    if phrase is None and _folded(label) not in file.synonyms:
        raise UsageError(
            f"set '{part.name}': label '{label}' has no phrase in the corpus and no entry in "
            f"{file.name}, so nothing can be asked for it; give the set's labels phrases and build "
            "the corpus again, or add the label to that file"
        )
    plain = phrase or _folded(label)
    names = (plain, *file.synonyms.get(_folded(plain), ()))
    return LabelPrompts(
        label=label,
        plain=plain,
        positive=tuple(template.format(name) for template in file.templates for name in names),
        negative=tuple(template.format(name) for template in file.negative for name in names),
    )


def ensemble(model: Scored, prompts_LP: Sequence[Sequence[str]]) -> Floats:
    """Unit rows (L, E): for each label the normalised mean of the vectors of its prompts (P >= 1).

    Raises UsageError as `encode_text` of stored vectors does, where a prompt has none.
    """
    vectors_TE = encode_texts(model, [prompt for prompts in prompts_LP for prompt in prompts])
    ends = np.cumsum([len(prompts) for prompts in prompts_LP])[:-1]
    means_LE = np.stack([rows.mean(axis=0) for rows in np.split(vectors_TE, ends)])
    lengths_L1 = np.linalg.norm(means_LE, axis=1, keepdims=True)
    unit: Floats = (means_LE / np.maximum(lengths_L1, 1e-12)).astype(np.float32)
    return unit


def _folded(phrase: str) -> str:
    return " ".join(phrase.replace("_", " ").split()).casefold()
