"""A region's answer depends on its own place and its picture, on nothing else in the batch."""

from dataclasses import replace

import pytest
import torch

from regionmed.model.config import ModelConfig
from regionmed.model.roi_processor import RoiProcessor
from regionmed.model.roi_zoom import CutOutReader, CutOuts

SMALL = ModelConfig(pyramid_width=8, roi_width=16, embedding_dim=10, regions="zoom")


@pytest.fixture
def processor() -> RoiProcessor:
    torch.manual_seed(0)
    return RoiProcessor(SMALL, 3, 12, 10, 4).eval()


@pytest.fixture
def pictures() -> dict:
    torch.manual_seed(1)
    corners = torch.rand(2, 4, 2, 2).sort(2).values
    return {
        "pyramid": tuple(torch.randn(2, 8, side, side) for side in (16, 8, 4)),
        "pooled_BD": torch.randn(2, 12),
        "images_BE": torch.nn.functional.normalize(torch.randn(2, 10), dim=-1),
        "boxes_BR4": corners.flatten(2),
        "present_BR": torch.ones(2, 4, dtype=torch.bool),
    }


def test_permuting_regions_permutes_their_answers(processor, pictures):
    straight = processor(**pictures)
    order = torch.tensor([2, 0, 3, 1])
    turned = processor(**{**pictures, "boxes_BR4": pictures["boxes_BR4"][:, order]})
    assert torch.allclose(turned.regions_BRE, straight.regions_BRE[:, order], atol=1e-6)
    assert torch.allclose(turned.images_BE, straight.images_BE, atol=1e-6)


def test_padding_changes_nothing_and_comes_back_as_zeros(processor, pictures):
    with torch.no_grad():
        processor.gamma.fill_(0.5)
    boxes, present = pictures["boxes_BR4"], pictures["present_BR"]
    padded = torch.cat((boxes, torch.rand(2, 3, 4).sort(-1).values), 1)
    mask = torch.cat((present, torch.zeros(2, 3, dtype=torch.bool)), 1)
    short, long = (
        processor(**pictures),
        processor(**{**pictures, "boxes_BR4": padded, "present_BR": mask}),
    )
    assert torch.allclose(long.regions_BRE[:, :4], short.regions_BRE, atol=1e-6)
    assert torch.allclose(long.images_BE, short.images_BE, atol=1e-6)
    assert long.regions_BRE[:, 4:].abs().max() == 0


def test_pictures_start_unmoved_by_their_regions_and_gates_start_at_one(processor, pictures):
    read = processor(**pictures)
    assert torch.allclose(read.images_BE, pictures["images_BE"], atol=1e-6)
    assert torch.allclose(read.gates_BR2, torch.ones(2, 4, 2))
    assert torch.allclose(read.regions_BRE.norm(dim=-1), torch.ones(2, 4), atol=1e-6)


def test_a_picture_with_nothing_but_padding_learns_without_nan(processor, pictures):
    with torch.no_grad():
        processor.gamma.fill_(0.5)
    present = pictures["present_BR"].clone()
    present[1] = False
    read = processor(**{**pictures, "present_BR": present})
    (read.images_BE.sum() + read.regions_BRE.sum()).backward()
    assert torch.allclose(read.images_BE[1], pictures["images_BE"][1], atol=1e-6)
    gradients = [p.grad for p in processor.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_mask_is_read_instead_of_the_box_and_an_empty_one_is_not(processor, pictures):
    cover = torch.zeros(2, 4, 16, 16)
    assert torch.allclose(
        processor(**pictures, cover_BRHW=cover).regions_BRE,
        processor(**pictures).regions_BRE,
        atol=1e-6,
    )
    cover[0, 1, :4, :4] = 1
    changed = (
        processor(**pictures, cover_BRHW=cover).regions_BRE - processor(**pictures).regions_BRE
    )
    assert changed[0, 1].abs().max() > 1e-3
    assert changed[1].abs().max() == 0


def test_without_the_place_switch_coordinates_do_not_enter(pictures):
    torch.manual_seed(0)
    blind = RoiProcessor(replace(SMALL, coordinates=False), 3, 12, 10, 4).eval()
    flat = tuple(torch.ones_like(level) for level in pictures["pyramid"])
    read = blind(**{**pictures, "pyramid": flat})  # on a flat picture only the place differs
    # context boxes are cut at the edge but see the same ones everywhere
    assert torch.allclose(read.regions_BRE[0, 0], read.regions_BRE[0, 1], atol=1e-5)


def test_cut_outs_add_nothing_at_the_start_and_later_only_to_the_regions_they_are_of(
    processor, pictures
):
    again = torch.zeros(2, 4, dtype=torch.bool)
    again[0, 1] = True
    cutouts = CutOuts(torch.randn(2, 4, 4, 8, 8), again)
    pooled = processor(**pictures)
    assert torch.equal(processor(**pictures, cutouts=cutouts).regions_BRE, pooled.regions_BRE)
    with torch.no_grad():
        processor.detail.add.weight.normal_()
    moved = (processor(**pictures, cutouts=cutouts).regions_BRE - pooled.regions_BRE).norm(dim=-1)
    assert (moved > 1e-3).tolist() == again.tolist()


def test_a_cut_out_is_read_in_the_scale_it_was_fitted_to():
    torch.manual_seed(0)
    reader, maps = CutOutReader(4, 16).eval(), torch.randn(3, 4, 8, 8)
    torch.nn.init.normal_(reader.add.weight)
    rows = torch.ones(1, 3, dtype=torch.bool)
    reader.fit(maps)
    plain = reader(CutOuts(maps[None], rows))
    scaled = 7 * maps + 5
    reader.fit(scaled)
    assert torch.allclose(reader(CutOuts(scaled[None], rows)), plain, atol=1e-4)


def test_each_switch_takes_its_part_away(pictures):
    torch.manual_seed(0)
    bare = RoiProcessor(
        replace(SMALL, regions="pooled", context=False, gate=False), 3, 12, 10, 4
    ).eval()
    parts = {name for name, child in bare.named_children()}
    assert not parts & {"context", "tokens", "whole", "gate"}
    assert torch.equal(bare(**pictures).gates_BR2, torch.ones(2, 4, 2))
