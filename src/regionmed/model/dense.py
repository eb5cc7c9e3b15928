"""From a text to its place: how likely each cell of the finest map holds what the text says.

Without the `ground` loss such a map points nowhere (method.md, 3 and 7); with it a text finds its
place without a box. B images · C H W channels, rows, columns · N texts · E embedding
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CELL_WIDTH = 64  # of the small space in which cells and texts meet


class DenseHead(nn.Module):
    """Each cell of the finest pyramid level, and a text, in one small space; the logit there."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(width, CELL_WIDTH, 1),
            nn.GroupNorm(1, CELL_WIDTH),
            nn.GELU(),
            nn.Conv2d(CELL_WIDTH, CELL_WIDTH, 5, padding=2, groups=CELL_WIDTH),
            nn.Conv2d(CELL_WIDTH, CELL_WIDTH, 1),
        )
        # texts come down to the cells: a map of E channels would cost a tenth of a training step
        self.ask = nn.Linear(embedding, CELL_WIDTH)
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def forward(
        self, finest_BCHW: Float[Tensor, "B C H W"], texts_BNE: Float[Tensor, "B N E"]
    ) -> Float[Tensor, "B N H W"]:
        """Logits that a text's finding covers a cell; texts have length 1."""
        cells_BCHW = self.mix(finest_BCHW)
        asked_BNC = F.normalize(self.ask(texts_BNE), dim=-1)
        # the products are divided, not the cells: N numbers a cell instead of C
        length_B1HW = cells_BCHW.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        cosine = torch.einsum("bchw,bnc->bnhw", cells_BCHW, asked_BNC) / length_B1HW
        return self.log_scale.exp() * cosine + self.bias
