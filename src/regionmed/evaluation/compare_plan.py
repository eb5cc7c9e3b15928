"""What is to be compared: a YAML file of corpora, a split, arms and the arm they are held against.

    corpora: [corpora/kit]
    split: val                       # test where left out
    arms:
      ours: [runs/seed0, runs/seed1] # several seeds of one arm
      plain: runs/plain
    reference: plain

Folders are meant as on the command line, from where it is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import TypeIs

from regionmed.errors import UsageError
from regionmed.record import SPLITS

KEYS = ("corpora", "split", "arms", "reference")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")  # an arm names a folder


@dataclass(frozen=True, slots=True)
class Plan:
    """Corpora, a split, arms by name with a model name for each seed, and the reference's name."""

    corpora: tuple[Path, ...]
    split: str
    arms: dict[str, tuple[str, ...]]
    reference: str


def read_plan(path: Path) -> Plan:
    """The Plan of a file; UsageError says in one sentence what is wrong with it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} is not a file of text; give a YAML file with {_KEYS}") from None
    try:
        found = yaml.load(text, Loader=_OnceLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise UsageError(f"{path}, {where}: not YAML as needed: {problem}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no keys; give {_KEYS}")
    unknown = [str(key) for key in found if key not in KEYS]
    missing = [key for key in KEYS if key not in found and key != "split"]
    if unknown or missing:
        what = f"lacks '{missing[0]}'" if missing else f"has an unknown key '{unknown[0]}'"
        raise UsageError(f"{path} {what}; its keys are {_KEYS}")
    split = found.get("split", "test")
    if not isinstance(split, str) or split not in SPLITS:
        raise UsageError(f"{path}: '{split}' is no split; choose one of {', '.join(SPLITS)}")
    arms = _arms(path, found["arms"])
    if not isinstance(found["reference"], str) or found["reference"] not in arms:
        raise UsageError(
            f"{path}: the reference '{found['reference']}' is no arm; choose one of "
            f"{', '.join(arms)}"
        )
    return Plan(_corpora(path, found["corpora"]), split, arms, found["reference"])


_KEYS = "corpora, split (or test), arms and reference"


class _OnceLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where YAML itself would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be one word, not a list or mapping", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _names(found: object) -> TypeIs[list[str]]:
    return isinstance(found, list) and bool(found) and all(isinstance(one, str) for one in found)


def _corpora(path: Path, found: object) -> tuple[Path, ...]:
    if not _names(found):
        raise UsageError(f"{path}: corpora must be a list of corpus folders, as [DIR, DIR]")
    for folder in found:
        if not Path(folder).is_dir():
            raise UsageError(f"{path}: the corpus folder {folder} is not there; build or name it")
    return tuple(Path(folder) for folder in found)


def _arms(path: Path, found: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(found, dict) or len(found) < 2:
        raise UsageError(f"{path}: arms must name two arms or more, each with its model")
    arms: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for name, models in found.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(
                f"{path}: the arm '{name}' becomes a folder; name it by letters, digits and ._+-"
            )
        listed = [models] if isinstance(models, str) else models
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(m, str) for m in listed)
        ):
            raise UsageError(
                f"{path}: arm '{name}' must be a model or a list of models, one a seed"
            )
        for model in listed:
            if model in owner:
                raise UsageError(
                    f"{path}: {model} stands in arm '{owner[model]}' and again in '{name}'; "
                    "a model compared with itself, or counted as two seeds, says nothing"
                )
            owner[model] = name
        arms[name] = tuple(listed)
    return arms
