"""Each loss on matrices small enough to redo by hand."""

import math

import pytest
import torch

from regionmed.training.losses import contrast, ground_loss, label_loss, twin_loss, two_way_contrast


def test_contrast_averages_over_all_positives_of_a_row():
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2.0), 0.0, 0.0]])
    positive = torch.tensor([[True, True, False], [True, False, False]])
    # row 0: log 3 for either positive; row 1: -log(2 / 4)
    assert contrast(logits, positive).item() == pytest.approx((math.log(3) + math.log(2)) / 2)


def test_a_row_without_a_positive_is_not_judged():
    logits = torch.randn(2, 3)
    positive = torch.tensor([[True, False, False], [False, False, False]])
    assert contrast(logits, positive).item() == pytest.approx(
        contrast(logits[:1], positive[:1]).item()
    )
    assert contrast(logits, torch.zeros(2, 3, dtype=torch.bool)) is None


def test_two_ways_of_equal_logits_stand_at_the_logarithms_of_the_counts():
    positive = torch.tensor([[True, False, False], [False, True, False]])
    # rows see 3 columns, the 2 columns of the batch see 2 rows
    expected = (math.log(3) + math.log(2)) / 2
    assert two_way_contrast(torch.zeros(2, 3), positive, 2).item() == pytest.approx(expected)


def test_label_loss_weighs_rare_labels_up():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    loss = label_loss(logits, torch.tensor([0, 0]), torch.tensor([3.0, 1.0]), smoothing=0.0)
    assert loss.item() == pytest.approx((3 * math.log(2) + math.log(4 / 3)) / 4)


def test_twin_loss_ignores_absent_twins_and_pictures_without_any():
    true = torch.tensor([0.0, 5.0])
    twins = torch.tensor([[0.0, 99.0], [1.0, 1.0]])
    present = torch.tensor([[True, False], [False, False]])
    assert twin_loss(true, twins, present).item() == pytest.approx(math.log(2))


def test_ground_loss_weighs_inside_and_outside_the_same():
    cover = torch.zeros(1, 2, 2, 2)
    cover[0, 0, 0, 0] = 1.0  # one cell in four; the second text is not in the picture
    logits = torch.zeros(1, 2, 2, 2)
    present = torch.tensor([[True, True]])
    assert ground_loss(logits, cover, present).item() == pytest.approx(math.log(2))
    logits[0, 0, 0, 0] = 100.0  # the inside is right: half of the first text's loss is gone
    assert ground_loss(logits, cover, present).item() == pytest.approx(0.75 * math.log(2))
