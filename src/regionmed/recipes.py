"""Whole runs as Python functions; `regionmed train NAME` or `regionmed train FILE.py:FUNCTION`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from regionmed import recipes_large
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
    losses={"global": 0.3, "region": 1.0, "caption": 0.5, "ground": 1.0, "distil": 0.2},
)
JOINT = Stage(
    name="joint",
    steps=700,
    trains=("trunk", "heads", "roi"),
    losses={
        "global": 1.0,
        "joined": 0.3,
        "region": 1.0,
        "caption": 0.5,
        "hard": 1.0,
        "ground": 1.0,
        "distil": 0.2,
    },
    learning_rate=7e-4,
    trunk_rate=2e-4,
)
NEEDS_PROCESSOR = ("joined", "ground", "distil")
MAIN, ABLATION = 400, 200  # steps of an arm of the comparison


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


def _shortened(stages: tuple[Stage, ...], steps: int) -> tuple[Stage, ...]:
    """The stages in the same proportion, `steps` together."""
    total = sum(stage.steps for stage in stages)
    short = [replace(stage, steps=steps * stage.steps // total) for stage in stages]
    missing = steps - sum(stage.steps for stage in short)
    return (*short[:-1], replace(short[-1], steps=short[-1].steps + missing))


def _arm(name: str, steps: int = MAIN, without: tuple[str, ...] = (), **model: Any) -> Recipe:
    """tiny at the length of an arm, without some losses, with other fields of the model."""
    stages = tuple(
        replace(stage, losses={k: v for k, v in stage.losses.items() if k not in without})
        for stage in _shortened(tiny().stages, steps)
    )
    return replace(
        tiny(), name=name, model=replace(TINY, **model), stages=stages, regions_per_picture=8
    )


def global_() -> Recipe:
    """Arm `global`: the plain CLIP, whole pictures only; a region is scored by its crop."""
    stages = (replace(GLOBAL, steps=MAIN),)
    return replace(tiny(), name="global", model=replace(TINY, regions="none"), stages=stages)


def crop() -> Recipe:
    """Arm `crop`: a plain CLIP that learns every region's crop as a picture of its own."""
    return _arm("crop", without=NEEDS_PROCESSOR, regions="crop")


def alpha() -> Recipe:
    """Arm `alpha`: a region is one more channel, one forward a region (Alpha-CLIP's way)."""
    return _arm("alpha", without=NEEDS_PROCESSOR, regions="alpha")


def roi() -> Recipe:
    """Arm `roi`: regions are pooled from one forward of the picture, without zoom."""
    return _arm("roi", regions="pooled")


def roi_448() -> Recipe:
    """Arm `roi-448`: as roi, but the whole tower reads twice the pixels a side; zoom's rival."""
    return _arm("roi-448", regions="pooled", image_size=448, detail=1)


def roi_zoom() -> Recipe:
    """Arm `roi+zoom`: the whole processor."""
    return _arm("roi+zoom")


def all_at_once() -> Recipe:
    """Arm `all-at-once`: as roi+zoom, with all losses from step 0."""
    stages = (replace(JOINT, steps=MAIN, learning_rate=1e-3, trunk_rate=3e-4),)
    return replace(roi_zoom(), name="all-at-once", stages=stages)


def roi_zoom_short() -> Recipe:
    """The whole processor at the length of the ablations, to which they are compared."""
    return _arm("roi+zoom-short", ABLATION)


def no_zoom() -> Recipe:
    """Ablation: no zoom."""
    return _arm("no-zoom", ABLATION, regions="pooled")


def no_hard() -> Recipe:
    """Ablation: no hard negatives."""
    return _arm("no-hard", ABLATION, without=("hard",))


def no_context() -> Recipe:
    """Ablation: no attention to the picture and no reading around the box."""
    return _arm("no-context", ABLATION, context=False)


def no_coordinates() -> Recipe:
    """Ablation: a region's place and size do not enter."""
    return _arm("no-coordinates", ABLATION, coordinates=False)


def no_gate() -> Recipe:
    """Ablation: detail and context enter with fixed weights."""
    return _arm("no-gate", ABLATION, gate=False)


def no_ground() -> Recipe:
    """Ablation: no loss on where a text's finding lies."""
    return _arm("no-ground", ABLATION, without=("ground",))


def no_distil() -> Recipe:
    """Ablation: no comparison of a region with the same part seen as a picture."""
    return _arm("no-distil", ABLATION, without=("distil",))


RECIPES: dict[str, Callable[[], Recipe]] = {
    recipe().name: recipe
    for recipe in (
        tiny,
        plain,
        demo,
        global_,
        crop,
        alpha,
        roi,
        roi_448,
        roi_zoom,
        all_at_once,
        roi_zoom_short,
        no_zoom,
        no_hard,
        no_context,
        no_coordinates,
        no_gate,
        no_ground,
        no_distil,
        recipes_large.biomedclip,
        recipes_large.vit_b16,
        recipes_large.medtrinity,
    )
}


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
