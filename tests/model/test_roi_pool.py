"""Regions are read where they lie, exactly as the field's kernel reads them."""

import pytest
import torch
from torchvision.ops import roi_align as torchvision_roi_align

from regionmed.model.roi_pool import SAMPLES, masked_mean, roi_align, scaled_boxes


@pytest.mark.parametrize("bins", [1, 3, 7])
def test_separable_roi_align_equals_torchvision(bins):
    torch.manual_seed(0)
    maps = torch.randn(2, 5, 14, 20, requires_grad=True)
    corners = torch.rand(2, 6, 2, 2).sort(2).values
    boxes = corners.flatten(2) * 1.2 - 0.1  # some reach past the map
    ours = roi_align(maps, boxes, bins)
    scale = torch.tensor([20.0, 14.0, 20.0, 14.0])
    theirs = torchvision_roi_align(
        maps, list(boxes * scale), bins, sampling_ratio=SAMPLES, aligned=True
    )
    assert torch.allclose(ours.flatten(0, 1), theirs, atol=1e-5)
    (ours_grad,) = torch.autograd.grad(ours.pow(2).sum(), maps, retain_graph=True)
    (theirs_grad,) = torch.autograd.grad(theirs.pow(2).sum(), maps)
    assert torch.allclose(ours_grad, theirs_grad, atol=1e-4)


def test_masked_mean_weighs_cells_by_their_cover():
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    cover = torch.tensor([[[[1.0, 0.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]]])
    assert masked_mean(maps, cover).flatten().tolist() == pytest.approx([2.0, 0.0])  # (1 + 2) / 1.5


def test_a_box_twice_as_large_keeps_its_centre_and_stays_in_the_picture():
    boxes = torch.tensor([[[0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 0.2, 0.2]]])
    expected = torch.tensor([[[0.3, 0.3, 0.7, 0.7], [0.0, 0.0, 0.3, 0.3]]])
    assert torch.allclose(scaled_boxes(boxes, 2.0), expected)
