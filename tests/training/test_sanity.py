"""A recipe that cannot learn a few pictures by heart is refused before a long run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import regionmed
from regionmed.errors import RecipeError
from regionmed.training.prepare import Ready
from regionmed.training.sanity import LEARNT, LONG, SMOOTHING, STEPS, _bounds, sanity_gate
from regionmed.training.train import train


def test_the_tiny_recipe_learns_eight_smears_by_heart_and_forgets_them(ready: Ready) -> None:
    before = {name: tensor.clone() for name, tensor in ready.learner.model.state_dict().items()}
    sanity = sanity_gate(ready.learner, ready.drawer)
    assert sanity is not None
    assert sanity.pictures == 8
    assert sanity.steps <= STEPS
    assert set(sanity.learnt) == {"global", "region"}
    assert min(sanity.learnt.values()) >= LEARNT
    after = ready.learner.model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())


def test_a_long_run_that_can_learn_nothing_is_refused_and_leaves_no_folder(
    smears: Path, short, tmp_path: Path
) -> None:
    # the rates are at fault; a plain CLIP shows it fastest
    stage = replace(short().stages[0], steps=LONG, trains=("heads",), learning_rate=1e-9)
    plain = replace(short().model, regions="none", detail=1)
    with pytest.raises(RecipeError, match=r"'short' cannot learn 8 pictures by heart: .*'global'"):
        train(
            short(stages=(stage,), model=plain), [regionmed.open_corpus(smears)], tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_chance_and_the_least_value_are_those_of_the_losses(ready: Ready) -> None:
    from regionmed.training.losses import label_loss, two_way_contrast

    step = ready.drawer.step(0)
    bounds = _bounds(step, ready.learner.vocabulary)
    equal = two_way_contrast(
        torch.zeros(step.positive_BM.shape), step.positive_BM, step.own_columns
    )
    sure = two_way_contrast(100.0 * step.positive_BM, step.positive_BM, step.own_columns)
    assert bounds["global"] == pytest.approx((float(equal), float(sure)), abs=1e-5)
    labels = len(ready.learner.vocabulary)
    numbers = torch.arange(labels)
    # the best that logits can do against smoothed labels is to say their shares
    shares = torch.eye(labels) * (1 - SMOOTHING) + SMOOTHING / labels
    best = label_loss(shares.log(), numbers, torch.ones(labels))
    assert bounds["region"] == pytest.approx((math.log(labels), float(best)), abs=1e-5)
