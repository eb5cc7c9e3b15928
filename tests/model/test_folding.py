"""A folded tower reads as before, and what is stored and trained does not change."""

import torch

from regionmed.model.towers import Lite0Tower


def test_a_folded_tower_reads_the_same_and_keeps_its_weights() -> None:
    torch.manual_seed(0)
    tower = Lite0Tower().eval()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = tower.trunk(tower.stem(pictures))
    names = list(tower.state_dict())
    tower.fold()
    with torch.no_grad():
        after = tower.trunk(tower.stem(pictures))
    for first, second in zip(before.levels, after.levels, strict=True):
        assert torch.allclose(first, second, atol=1e-4 * float(first.abs().max()))
    assert torch.allclose(before.pooled_BD, after.pooled_BD, atol=1e-4)
    assert not torch.equal(before.pooled_BD, after.pooled_BD)  # another order of sums: it was used
    assert list(tower.state_dict()) == names


def test_training_reads_the_weights_that_move() -> None:
    tower = Lite0Tower()
    tower.fold()
    pooled = tower.trunk(tower.stem(torch.randn(1, 3, 64, 64))).pooled_BD
    pooled.sum().backward()
    assert tower.net.conv_head.weight.grad is not None
