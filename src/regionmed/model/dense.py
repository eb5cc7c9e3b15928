"""From a text to its place: how likely each cell of the finest map holds what the text says.

Without the `ground` loss such a map points nowhere (method.md, 3 and 7); with it a text finds its
place without a box. B images · C H W channels, rows, columns · N texts · E embedding
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class DenseHead(nn.Module):
    """An embedding for each cell of the finest pyramid level, and the logit of a text there."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            nn.GroupNorm(1, width),
            nn.Conv2d(width, 2 * width, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, embedding, 1),
        )
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def forward(
        self, finest_BCHW: Float[Tensor, "B C H W"], texts_BNE: Float[Tensor, "B N E"]
    ) -> Float[Tensor, "B N H W"]:
        """Logits that a text's finding covers a cell; texts have length 1."""
        cells_BEHW = F.normalize(self.mix(finest_BCHW), dim=1)
        cosine = torch.einsum("behw,bne->bnhw", cells_BEHW, texts_BNE)
        return self.log_scale.exp() * cosine + self.bias
