"""What stands before the first step: refusals, the model, its caches, the draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from regionmed.batches.cache import open_picture_cache
from regionmed.corpus.shards import Corpus
from regionmed.errors import RecipeError
from regionmed.model.region_clip import RegionClip
from regionmed.progress import Track, silent
from regionmed.training.draw import Drawer
from regionmed.training.examples import Examples, check_feeds, gather
from regionmed.training.parallel import ALONE, Share
from regionmed.training.stages import REGION_TERMS, ROI_TERMS, Recipe, Stage
from regionmed.training.state import new_state
from regionmed.training.step import Judge, Learner
from regionmed.training.texts import TextBank
from regionmed.training.views import ViewCache

SCALED = 32  # pictures whose maps say how large their channels are


@dataclass(frozen=True)
class Ready:
    """A run that could begin."""

    learner: Learner
    drawer: Drawer
    examples: Examples


def check_recipe(recipe: Recipe, corpora: Sequence[Corpus]) -> Examples:
    """The training rows; RecipeError where they, or the model's parts, cannot serve a stage."""
    examples = gather(corpora)
    check_feeds(recipe, examples)
    _check_sets(recipe, examples)
    _check_parts(recipe)
    return examples


def prepare(
    recipe: Recipe,
    corpora: Sequence[Corpus],
    examples: Examples,
    track: Track = silent,
    share: Share = ALONE,
    shard: bool = False,
) -> Ready:
    """The model before its first step, and all that is read once and kept.

    shard  split what moves over the processes
    """
    if recipe.chunk and share.processes > 1:
        raise RecipeError(
            f"recipe '{recipe.name}' reads its pictures in chunks, which one process does alone; "
            "leave `chunk` out, each process holds its part of the batch anyway"
        )
    torch.manual_seed(recipe.seed)
    model = RegionClip(recipe.model)
    if any("stem" in _roots(stage) for stage in recipe.stages):
        model.image_tower.stem_is_frozen = False  # what it gives cannot be kept
    distil = any("distil" in stage.losses for stage in recipe.stages)
    with share.lead_first():
        pictures = [open_picture_cache(corpus, model.image_size, track) for corpus in corpora]
        views = ViewCache(
            examples, pictures, model, recipe.views, corpora[0].folder / "cache", track, distil
        )
    features_ND = examples.bank.features(model, track)
    with torch.inference_mode():
        some = range(0, len(examples.items), max(1, len(examples.items) // SCALED))
        early = views.early([(item, 0) for item in some])
        early = early.float() if model.image_tower.stem_is_frozen else model.stem(early)
        reading = model.read_early(early)
        grid = reading.levels[0].shape[-1] if reading.levels else 1
        if recipe.model.roi:
            model.roi_processor.detail.fit(reading.fine_BCHW)
    drawer = Drawer(
        examples, views, recipe.batch_size, recipe.regions_per_picture, recipe.seed, grid
    )
    judge = Judge(model)
    if shard:
        _check_shard(recipe)
        share.shard(judge, new_state(model, recipe).moving.values())
    state = new_state(model, recipe)
    texts = list(examples.bank.numbers)
    learner = Learner(recipe, model, texts, features_ND, examples.vocabulary, state, judge, share)
    return Ready(learner, drawer, examples)


def heard_anew(learner: Learner, bank: TextBank, track: Track = silent) -> Learner:
    """The learner with what its text tower says now; the same where no stage trains that tower."""
    if not any(stage.trains_texts for stage in learner.recipe.stages):
        return learner
    return replace(learner, features_ND=bank.features(learner.model, track))


def resolved(recipe: Recipe, corpora: Sequence[Corpus]) -> dict[str, Any]:
    """What makes a run this run, in JSON types: the recipe and the corpora's fingerprints."""
    return {"recipe": recipe.as_json(), "corpora": [corpus.fingerprint for corpus in corpora]}


def _check_sets(recipe: Recipe, examples: Examples) -> None:
    """RecipeError where a stage draws from sets that are not there or cannot feed its terms."""
    known = sorted({item.record.set for item in examples.items})
    for stage in recipe.stages:
        if stage.sets is None:
            continue
        strange = sorted(set(stage.sets) - set(known))
        if strange:
            raise RecipeError(
                f"stage '{stage.name}' draws from the set '{strange[0]}', and the training rows "
                f"are of {', '.join(known)}; name these, or add a corpus that holds it"
            )
        drawn = [item for item in examples.items if stage.sets.get(item.record.set)]
        alone = replace(recipe, stages=(stage,))
        check_feeds(alone, Examples(drawn, examples.bank, examples.vocabulary))


def _check_parts(recipe: Recipe) -> None:
    """RecipeError where a model is asked to learn what it has no part for."""
    regions = recipe.model.regions
    for stage in recipe.stages:
        lacking = set(stage.losses) & ROI_TERMS if not recipe.model.roi else set()
        if regions == "none":
            lacking |= set(stage.losses) & REGION_TERMS | {"roi"} & set(stage.trains)
        if "stem" in _roots(stage) and regions in ("zoom", "alpha"):
            raise RecipeError(
                f"stage '{stage.name}' trains the stem, and regions='{regions}' stand on a frozen "
                "one; take the stem out, or give the model regions='pooled'"
            )
        if lacking:
            raise RecipeError(
                f"stage '{stage.name}' asks for {', '.join(sorted(lacking))}, and the model has no "
                f"part for it (regions='{regions}'); take these out or give the model its ROI "
                "processor (regions='pooled' or 'zoom')"
            )


def _roots(stage: Stage) -> set[str]:
    return {part.partition(":")[0] for part in stage.trains}


def _check_shard(recipe: Recipe) -> None:
    """RecipeError where a stage uses weights outside of the step's one forward."""
    for stage in recipe.stages:
        if "distil" in stage.losses or stage.trains_texts:
            what = "has the loss 'distil'" if "distil" in stage.losses else "trains the text tower"
            raise RecipeError(
                f"stage '{stage.name}' {what}, for which every process needs all weights; train "
                "without --shard, or take it out"
            )
