"""Whole runs as Python functions; `regionmed train NAME` or `regionmed train FILE.py:FUNCTION`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from regionmed.errors import RecipeError
from regionmed.model.config import TINY
from regionmed.training.stages import Recipe, Stage

GLOBAL = Stage(
    name="global",
    steps=200,
    trains=("trunk", "heads"),
    losses={"global": 1.0},
)
REGION = Stage(
    name="region",
    steps=500,
    trains=("trunk", "heads", "roi"),
    losses={"global": 0.3, "region": 1.0, "caption": 0.3, "ground": 1.0},
)
JOINT = Stage(
    name="joint",
    steps=700,
    trains=("trunk", "heads", "roi"),
    losses={
        "global": 1.0,
        "joined": 0.3,
        "region": 1.0,
        "caption": 0.3,
        "hard": 0.5,
        "ground": 1.0,
    },
    learning_rate=7e-4,
    trunk_rate=2e-4,
)


def tiny() -> Recipe:
    """`regionmed train tiny --corpus DIR --out RUN`: three stages, 1,400 steps of 32 pictures."""
    return Recipe(name="tiny", model=TINY, stages=(GLOBAL, REGION, JOINT))


def plain() -> Recipe:
    """The control of tiny: its towers, rows and steps, but whole pictures only."""
    stage = replace(GLOBAL, steps=tiny().steps)
    return Recipe(name="plain", model=replace(TINY, regions="none"), stages=(stage,))


def demo() -> Recipe:
    """The run of `regionmed demo`: as tiny, 120 steps in all."""
    stages = (
        replace(GLOBAL, steps=20),
        replace(REGION, steps=50),
        replace(JOINT, steps=50),
    )
    return Recipe(name="demo", model=TINY, stages=stages, views=1, checkpoint_every=50, average=0.9)


RECIPES: dict[str, Callable[[], Recipe]] = {"tiny": tiny, "plain": plain, "demo": demo}


def load_recipe(name: str) -> Recipe:
    """A recipe by name, or FILE.py:FUNCTION for one's own; RecipeError where there is none."""
    if name in RECIPES:
        return RECIPES[name]()
    path, _, function = name.rpartition(":")
    if not path.endswith(".py"):
        raise RecipeError(
            f"no recipe '{name}'; give {', '.join(RECIPES)} or FILE.py:FUNCTION of your own"
        )
    if not Path(path).is_file():
        raise RecipeError(f"no recipe file {path}")
    spec = importlib.util.spec_from_file_location("regionmed_own_recipe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, function, None)
    recipe = made() if callable(made) else None
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{path}: '{function}' is not a function that returns a Recipe")
    return recipe
