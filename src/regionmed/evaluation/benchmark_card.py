"""What is known of a benchmark, as data: one YAML file a benchmark in benchmarks/.

A card says which version is meant, which rows are the test, what a copy looks like on disk and how
it is read, what it is measured with, what to beware of, and what others published. Published
figures are fractions where the source prints percentages, and each names its source; nothing of
a card ever enters scores.json.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from math import inf
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from regionmed.errors import UsageError

Task = Literal[
    "retrieval", "prompt_classification", "vqa", "region_classification", "region_retrieval",
    "grounding", "linear_probe",
]  # fmt: skip
Split = Literal["train", "val", "test"]
Direction = Literal["higher", "lower"]
# what a metric may be, and which way is better
METRICS: dict[str, tuple[float, float, Direction]] = {
    "accuracy": (0, 1, "higher"),
    "accuracy:open": (0, 1, "higher"),
    "accuracy:closed": (0, 1, "higher"),
    "macro_accuracy": (0, 1, "higher"),
    "auroc": (0, 1, "higher"),
    "recall@1": (0, 1, "higher"),
    "recall@5": (0, 1, "higher"),
    "recall@10": (0, 1, "higher"),
    "pointing": (0, 1, "higher"),
    "miou": (0, 1, "higher"),
    "micro_iou": (0, 1, "higher"),
    "dice": (0, 1, "higher"),
    "hit@0.5": (0, 1, "higher"),
    "coverage_iou": (0, 1, "higher"),
    "set_f1@0.5": (0, 1, "higher"),
    "mean_score": (0, 1, "higher"),  # a mean over sets of whatever each is measured with
    "sensitivity@5fp": (0, 1, "higher"),
    "cnr": (-inf, inf, "higher"),
    "ap": (0, 1, "higher"),
}
_MOST_NAMED = 12  # problems of a card named in one message


class _Strict(BaseModel):
    """Data of a card: unknown keys and loosely typed values are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Published(_Strict):
    """One figure that others printed; `value` in the metric's own unit, percentages as fractions.

    tag    how it was seen: P page or abstract, R repository file, I issue, T printed by a third
           party rather than by the model's authors
    """

    model: str = Field(min_length=1)
    metric: str
    value: float
    protocol: str = Field(min_length=1)  # split, training and scoring it was made under
    source: str = Field(pattern=r"^(https://|arXiv:\d{4}\.\d{4,5}|doi:10\.)\S+")
    tag: Literal["P", "R", "I", "T"]

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"metric '{self.metric}' is none of {', '.join(METRICS)}")
        low, high, _ = METRICS[self.metric]
        if not low <= self.value <= high:
            raise ValueError(f"{self.metric} {self.value} lies outside {low:g} to {high:g}")
        return self


class Need(_Strict):
    """Files that a copy must have: at least `count` members, below its top folder, fit `pattern`.

    A pattern with {stem}, {folder}, {last} or {above} means one file for each picture of the
    shipped splits: of picture a/b/c.png these are c, a/b, b and a.
    `sha256` is that of a file the card was written from; a copy that differs is read and told.
    """

    pattern: str = Field(min_length=1)  # fnmatch: * also crosses folders
    what: str = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class Tables(_Strict):
    """Publisher's tables that one of our readers takes once rows and columns are sorted out."""

    files: dict[Split, str] | str  # pattern of the file of each split; one file: splits are drawn
    header: tuple[str, ...] = ()  # columns of a tab-separated .txt without a first line of names
    columns: dict[str, str]  # the publisher's column -> ours; the others are left out
    keep: dict[str, str] = Field(default_factory=dict)  # column -> the one value whose rows stay
    values: dict[str, dict[str, str]] = Field(default_factory=dict)  # column (ours) -> theirs: ours
    group_by: str | None = None  # regular expression on the image, its first group is the patient
    side_by_side: tuple[str, ...] = ()  # columns (ours) of equally long lists: a row an entry


class Reading(_Strict):
    """How a copy becomes a corpus; `format` is one of readers.READERS, None where none reads it."""

    format: Literal["coco", "voc", "yolo", "points", "boxes", "masks", "texts", "folders"] | None
    tables: Tables | None = None
    note: str | None = None  # needed where there is no format: what to convert to

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.format is None and not self.note:
            raise ValueError("a copy that no reader takes needs a note on what to convert it to")
        return self


class Splits(_Strict):
    """Which rows train, choose and test.

    shipped   benchmarks/splits/NAME.csv names each picture's split, and reasons to exclude
    tables    the publisher's tables say it (Reading.tables)
    drawn     nobody published a split by picture: 70/10/20 by family, the same way every time
    yours     no reader takes the files: the corpus that you built says it
    """

    kind: Literal["shipped", "tables", "drawn", "yours"]
    rows: str = Field(min_length=1)  # the rows that are scored, in words
    published_at: str | None = None  # where the official indices stand


class Card(_Strict):
    """A benchmark: see the fields; `name` is the file's name and what --benchmark takes."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    version: str = Field(min_length=1)  # and how to tell versions apart
    tasks: tuple[Task, ...] = Field(min_length=1)
    split: Split = "test"
    splits: Splits
    prompts: str = Field(min_length=1)
    metric: str
    direction: Direction
    chance: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    access: Literal["open", "registration", "credentialed"]
    how_to_obtain: str = Field(min_length=1)
    layout: tuple[Need, ...]
    reading: Reading
    warnings: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"metric '{self.metric}' is none of {', '.join(METRICS)}")
        if self.direction != METRICS[self.metric][2]:
            raise ValueError(f"{self.metric} is better {METRICS[self.metric][2]}")
        if (self.reading.format is None) != (self.splits.kind == "yours"):
            raise ValueError("splits are yours where no reader takes the files, and only there")
        if self.reading.format is not None and not self.layout:
            raise ValueError("a copy that can be read needs a layout to check")
        tables = self.reading.tables
        if (self.splits.kind == "tables") != (
            tables is not None and isinstance(tables.files, dict)
        ):
            raise ValueError(
                "splits of kind tables need one table a split, and the other way round"
            )
        return self


def card_names() -> tuple[str, ...]:
    """The names of all cards, sorted."""
    files = (entry.name for entry in folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))


@cache
def load_card(name: str) -> Card:
    """The card of a benchmark; UsageError, with the names there are, where there is none."""
    if name not in card_names():
        raise UsageError(f"no benchmark is called '{name}'; there are {', '.join(card_names())}")
    text = folder().joinpath(f"{name}.yaml").read_text("utf-8")
    card = parse_card(text, f"{name}.yaml")
    if card.name != name:
        raise UsageError(f"benchmarks/{name}.yaml is the card of '{card.name}'; rename one")
    return card


def parse_card(text: str, file: str) -> Card:
    """A card from its YAML text; UsageError that names every field at fault."""
    try:
        return Card.model_validate_json(_yaml_as_json(text))
    except (yaml.YAMLError, TypeError) as error:
        raise UsageError(f"{file} is no card: not YAML of plain values ({error})") from None
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'card'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise UsageError(f"{file} is no card: {'; '.join(faults[:_MOST_NAMED])}") from None


def _yaml_as_json(text: str) -> str:
    """YAML of plain values as JSON text, so that lists become tuples under strict validation."""
    return json.dumps(yaml.safe_load(text), allow_nan=False)


def folder() -> Traversable:
    """Where the cards lie, inside the package."""
    return resources.files("regionmed.evaluation").joinpath("benchmarks")
