"""A folded tower computes what BatchNorm did, and can be unfolded into it."""

import timm
import torch

from regionmed.model.folding import unfolded
from regionmed.model.pretrained import lite0_weights
from regionmed.model.towers import Lite0Tower


def test_a_folded_tower_reads_what_the_published_network_reads() -> None:
    torch.manual_seed(0)
    pictures = torch.randn(2, 3, 64, 64)
    published = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    published.load_state_dict(lite0_weights(published.state_dict()))
    tower = Lite0Tower().eval()
    assert not any("bn" in name for name in tower.state_dict())
    with torch.no_grad():
        folded, expected = tower.trunk(tower.stem(pictures)).pooled_BD, published(pictures)
        assert torch.allclose(folded, expected, atol=1e-4)
        published.load_state_dict(unfolded(tower.net.state_dict(), published))
        assert torch.allclose(folded, published(pictures), atol=1e-4)
