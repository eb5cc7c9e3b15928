"""What is to be compared: a YAML file of corpora, a split, arms and the arm they are held against.

    corpora: [corpora/kit]
    split: val                                # test where left out
    tasks: [regions, grounding]               # all where left out; names as in tasks.py
    show: [chula_rbc12]                       # sets with a column of their own; may be left out
    arms:
      roi: {recipe: roi, seeds: 3}            # trained here, with the seeds 0, 1 and 2
      ours: {recipe: "mine.py:arm", seeds: [0, 7]}
      seen: [runs/seed0, runs/seed1]          # models that are there, one a seed
      plain: runs/plain
    reference: plain

Folders and files are meant as on the command line, from where it is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import TypeIs

from regionmed.errors import UsageError
from regionmed.evaluation.tasks import TASKS
from regionmed.record import SPLITS

NEEDED = ("corpora", "arms", "reference")
MAY_BE_LEFT_OUT = ("split", "tasks", "show")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")  # an arm names a folder


@dataclass(frozen=True, slots=True)
class Run:
    """One model of an arm: trained by a recipe with this seed, or given by its name."""

    arm: str
    seed: int  # of a given model: its place in the arm's list
    source: str  # the recipe's name, or the model's
    trained: bool

    @property
    def name(self) -> str:
        """What its files are called: the arm, a hyphen, the seed."""
        return f"{self.arm}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Corpora, a split, arms by name with a Run for each seed, and the reference's name."""

    corpora: tuple[Path, ...]
    split: str
    arms: dict[str, tuple[Run, ...]]
    reference: str
    tasks: tuple[str, ...] = TASKS
    show: tuple[str, ...] = ()

    def in_turn(self) -> list[Run]:
        """The first seed of every arm, then the second, so that a stopped comparison is even."""
        most = max(len(runs) for runs in self.arms.values())
        return [runs[n] for n in range(most) for runs in self.arms.values() if n < len(runs)]


def given(arm: str, *models: str) -> tuple[Run, ...]:
    """The runs of an arm whose models are there already."""
    return tuple(Run(arm, place, model, trained=False) for place, model in enumerate(models))


def trained(arm: str, recipe: str, *seeds: int) -> tuple[Run, ...]:
    """The runs of an arm that is trained, a seed each."""
    return tuple(Run(arm, seed, recipe, trained=True) for seed in seeds)


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
    unknown = [str(key) for key in found if key not in (*NEEDED, *MAY_BE_LEFT_OUT)]
    missing = [key for key in NEEDED if key not in found]
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
    show = found.get("show", [])
    if show and not _names(show):
        raise UsageError(f"{path}: show must be a list of names of sets, as [SET, SET]")
    return Plan(
        _corpora(path, found["corpora"]),
        split,
        arms,
        found["reference"],
        _tasks(path, found["tasks"]) if "tasks" in found else TASKS,
        tuple(show),
    )


_KEYS = "corpora, arms and reference, and where wanted split, tasks and show"


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


def _tasks(path: Path, found: object) -> tuple[str, ...]:
    """In the order of TASKS, so that a plan that lists them in another order is the same plan."""
    unknown = [one for one in found if one not in TASKS] if _names(found) else [found]
    if unknown or not _names(found):
        raise UsageError(f"{path}: '{unknown[0]}' is no task; choose some of {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in found)


def _arms(path: Path, found: object) -> dict[str, tuple[Run, ...]]:
    if not isinstance(found, dict) or len(found) < 2:
        raise UsageError(f"{path}: arms must name two arms or more, each with its model or recipe")
    arms: dict[str, tuple[Run, ...]] = {}
    owner: dict[tuple[str, bool, int], str] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise UsageError(
                f"{path}: the arm '{name}' becomes a folder; name it by letters, digits and ._+-"
            )
        arms[name] = _runs(path, name, value)
        for run in arms[name]:
            same = (run.source, run.trained, run.seed if run.trained else 0)
            if same in owner:
                raise UsageError(
                    f"{path}: {run.source} stands in arm '{owner[same]}' and again in '{name}'; "
                    "a model compared with itself, or counted as two seeds, says nothing"
                )
            owner[same] = name
    return arms


def _runs(path: Path, name: str, value: object) -> tuple[Run, ...]:
    if isinstance(value, dict):
        return _trained_runs(path, name, value)
    listed = [value] if isinstance(value, str) else value
    if not _names(listed):
        raise UsageError(
            f"{path}: arm '{name}' must be a model, a list of models, one a seed, or a recipe as "
            "{recipe: NAME, seeds: 3}"
        )
    return given(name, *listed)


def _trained_runs(path: Path, name: str, value: dict[Any, Any]) -> tuple[Run, ...]:
    recipe, seeds = value.get("recipe"), value.get("seeds")
    if set(value) != {"recipe", "seeds"} or not isinstance(recipe, str):
        raise UsageError(
            f"{path}: arm '{name}' is trained, so it needs recipe and seeds and nothing else, as "
            "{recipe: NAME, seeds: 3}"
        )
    listed = list(range(seeds)) if type(seeds) is int else seeds
    if (
        not isinstance(listed, list)
        or not listed
        or any(type(s) is not int or s < 0 for s in listed)
    ):
        raise UsageError(
            f"{path}: the seeds of arm '{name}' must be their number, or a list of whole numbers "
            f"from 0, got {seeds}"
        )
    return trained(name, recipe, *listed)
