"""The sigmoid loss is SigLIP's, with any number of positives a row."""

from __future__ import annotations

import math

import pytest
import torch
from open_clip.loss import SigLipLoss
from torch.nn import functional as F

from regionmed.errors import RecipeError
from regionmed.model.config import ModelConfig
from regionmed.training.losses import sigmoid_contrast
from regionmed.training.stages import Recipe, Stage


def test_one_positive_a_row_is_the_loss_of_open_clip():
    generator = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(6, 8, generator=generator), dim=1) for _ in range(2))
    scale, bias = 10.0, -10.0
    theirs = SigLipLoss()(images, texts, torch.tensor(scale), torch.tensor(bias))
    ours = sigmoid_contrast(scale * images @ texts.T + bias, torch.eye(6, dtype=torch.bool))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


def test_every_positive_of_a_row_is_a_yes_and_all_else_a_no():
    logits = torch.tensor([[0.0, math.log(3), 0.0]])
    positive = torch.tensor([[True, True, False]])
    # -log of 1/2, of 3/4 and of 1 - 1/2
    expected = math.log(2) + math.log(4 / 3) + math.log(2)
    assert sigmoid_contrast(logits, positive).item() == pytest.approx(expected)


def test_at_the_start_a_false_pair_costs_nothing_and_a_true_one_its_bias():
    loss = sigmoid_contrast(torch.full((1, 2), -10.0), torch.tensor([[True, False]]))
    assert loss.item() == pytest.approx(10, abs=1e-3)


def test_a_picture_without_a_text_is_not_judged():
    logits = torch.randn(2, 3)
    positive = torch.tensor([[True, False, False], [False, False, False]])
    alone = sigmoid_contrast(logits[:1], positive[:1])
    assert sigmoid_contrast(logits, positive).item() == pytest.approx(alone.item())
    assert sigmoid_contrast(logits, torch.zeros(2, 3, dtype=torch.bool)) is None


def test_a_model_without_scale_and_bias_cannot_take_the_term():
    stage = Stage(name="pairs", steps=1, trains=("heads",), losses={"global-sigmoid": 1.0})
    with pytest.raises(RecipeError, match="sigmoid=True"):
        Recipe(name="pairs", model=ModelConfig(), stages=(stage,))
