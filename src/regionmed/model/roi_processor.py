"""The ROI processor: each region is read from the picture's dense maps in the light of the whole.

Read this first. One forward of the image tower has given a pyramid and the picture's embedding;
for every region
  1. pool     RoIAlign 3 x 3 of its box on the two finest levels, on all the mean over its mask (its
              box where there is none), on all but the finest the mean around it (1.5x, 3x),
  2. detail   small regions are read once more, cut out of the stem's map, of finer pixels where
              the picture was zoomed (roi_zoom.py); adds nothing at the start,
  3. place    its coordinates enter the query,
  4. context  the query attends to the coarse map and the picture's own feature,
  5. gates    two numbers in 0..2 say how much detail and how much context enter (1 at the start),
  6. back     the regions move the picture's embedding by a weight that starts at 0.
Places, context and gates have a switch each, so that a comparison can say what they bring.

B images · R regions · C channels · H W rows, columns · Q query width · E embedding · K = 4 edges
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from regionmed.model.config import ModelConfig
from regionmed.model.roi_pool import masked_mean, roi_align, scaled_boxes
from regionmed.model.roi_zoom import CutOutReader, CutOuts

BINS, BINNED = 3, 2  # RoIAlign bins a side; of the finest levels, coarser ones in one bin
AROUND = (1.5, 3.0)  # context is read at these multiples of the box
PLACE_DROPOUT = 0.1  # in training, this part of the regions hides its place


@dataclass(frozen=True)
class RegionReading:
    """What the processor gives for one batch of pictures.

    regions_BRE  float32, rows of length 1; zeros where `present` was False
    gates_BR2    float32 in 0..2: detail, context; zeros where absent
    images_BE    float32, rows of length 1: the pictures moved by their regions
    """

    regions_BRE: Tensor
    gates_BR2: Tensor
    images_BE: Tensor


class RoiProcessor(nn.Module):
    """Pool, place, context, gates; see the head of the file."""

    def __init__(
        self, config: ModelConfig, levels: int, pooled_dim: int, embedding: int, fine_channels: int
    ) -> None:
        """For a pyramid of `levels`; `fine_channels` of the maps that regions are cut out of."""
        super().__init__()
        width = config.roi_width
        self.place, self.around = config.coordinates, AROUND if config.context else ()
        reads = config.pyramid_width * (
            min(levels, BINNED) * BINS * BINS + len(self.around) * (levels - 1) + levels
        )
        self.read = nn.Sequential(
            nn.LayerNorm(reads), nn.Dropout(0.1), nn.Linear(reads, width), nn.GELU()
        )
        self.detail = CutOutReader(fine_channels, width)
        self.coordinates = nn.Sequential(nn.Linear(7, 64), nn.GELU(), nn.Linear(64, width))
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.context: Any = None
        if config.context:
            self.tokens = nn.Linear(config.pyramid_width, width)
            self.whole = nn.Linear(pooled_dim, width)
            self.context = nn.MultiheadAttention(width, num_heads=4, batch_first=True)
        self.gate: Any = nn.Linear(width, 2) if config.gate else None
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Dropout(0.1), nn.Linear(width, embedding))
        self.share = nn.Linear(width, 1)
        self.gamma = nn.Parameter(torch.zeros(()))
        if self.gate is not None:
            for parameter in self.gate.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self,
        pyramid: tuple[Tensor, ...],
        pooled_BD: Float[Tensor, "B D"],
        images_BE: Float[Tensor, "B E"],
        boxes_BR4: Float[Tensor, "B R K"],
        present_BR: Bool[Tensor, "B R"],
        cover_BRHW: Float[Tensor, "B R H W"] | None = None,
        cutouts: CutOuts | None = None,
    ) -> RegionReading:
        """Read the regions of a batch.

        pyramid     levels fine to coarse, each (B, C, h, w)
        images_BE   the pictures' embeddings, length 1
        boxes_BR4   x0 y0 x1 y1 in 0..1 of the model frame
        present_BR  False marks padding
        cover_BRHW  share of each finest cell that the region's mask covers; None: boxes only;
                    a region without a mask has zeros and is read by its box
        cutouts     of small regions; None: there are none
        """
        detail_BRQ = self.read(self._pool(pyramid, boxes_BR4, cover_BRHW))
        if cutouts is not None:
            detail_BRQ = detail_BRQ + self.detail(cutouts)
        query_BRQ = self.query(detail_BRQ + self._place(boxes_BR4))
        gates_BR2 = torch.ones_like(query_BRQ[..., :2])
        if self.gate is not None:
            gates_BR2 = 2 * torch.sigmoid(self.gate(query_BRQ))
        mixed_BRQ = gates_BR2[..., :1] * query_BRQ
        if self.context is not None:
            whole_B1Q = self.whole(pooled_BD)[:, None]
            cells = self.tokens(pyramid[-1].flatten(2).transpose(1, 2))
            tokens_BTQ = torch.cat((whole_B1Q, cells), 1)
            context_BRQ, _ = self.context(query_BRQ, tokens_BTQ, tokens_BTQ, need_weights=False)
            mixed_BRQ = mixed_BRQ + gates_BR2[..., 1:] * (context_BRQ + whole_B1Q)
        there_BR1 = present_BR[..., None]
        regions_BRE = F.normalize(self.out(mixed_BRQ), dim=-1) * there_BR1
        share_BR1 = self.share(mixed_BRQ).masked_fill(~there_BR1, float("-inf")).softmax(1)
        # a picture without any region has nothing but padding: softmax gives nan, its sum is zero
        moved_BE = (share_BR1.nan_to_num(0.0) * regions_BRE).sum(1)
        joined_BE = F.normalize(images_BE + self.gamma * moved_BE, dim=-1)
        return RegionReading(regions_BRE, gates_BR2 * there_BR1, joined_BE)

    def _pool(
        self, pyramid: tuple[Tensor, ...], boxes_BR4: Tensor, cover_BRHW: Tensor | None
    ) -> Tensor:
        bins = [roi_align(level, boxes_BR4, BINS) for level in pyramid[:BINNED]]
        reads = [level_BRCnn.flatten(2) for level_BRCnn in bins]
        means = [level_BRCnn.mean((3, 4)) for level_BRCnn in bins]
        wider = [scaled_boxes(boxes_BR4, factor) for factor in self.around]
        for number, level in enumerate(pyramid[1:], start=1):
            own = [] if number < BINNED else [boxes_BR4]
            if own or wider:
                around_BRC = roi_align(level, torch.cat((*own, *wider), 1), 1).flatten(2)
                parts = list(around_BRC.split(boxes_BR4.shape[1], 1))
                means += parts[: len(own)]
                reads += parts[len(own) :]
        if cover_BRHW is not None:
            for number, level in enumerate(pyramid):
                cover = F.adaptive_avg_pool2d(cover_BRHW, (level.shape[-2], level.shape[-1]))
                masked = (cover.sum((2, 3)) > 0)[..., None]
                means[number] = torch.where(masked, masked_mean(level, cover), means[number])
        return torch.cat((*reads, *means), -1)

    def _place(self, boxes_BR4: Tensor) -> Tensor:
        size = boxes_BR4[..., 2:] - boxes_BR4[..., :2]
        centre = (boxes_BR4[..., 2:] + boxes_BR4[..., :2]) / 2
        area = size.prod(-1, keepdim=True).clamp(min=1e-8)
        numbers = torch.cat((centre, size, area.sqrt(), area.log() / 8 + 1), -1)
        numbers = 4 * numbers - 2  # about -2..2, the scale that the layers behind it work at
        known = torch.ones_like(numbers[..., :1])
        if not self.place:
            known = torch.zeros_like(known)
        elif self.training:
            known = (torch.rand_like(known) >= PLACE_DROPOUT).to(known.dtype)
        return self.coordinates(torch.cat((numbers * known, known), -1))
