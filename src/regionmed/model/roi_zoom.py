"""Adaptive zoom: small regions are read a second time, from finer pixels where there are any.

At 224 px a blood cell is three cells of the finest map, and pooling keeps little of it. So a small
region's surroundings are cut out of the stem's map and read by two small convolutions; that is
added to the pooled read. With zoom the cut-out comes from finer pixels: the model frame holds
`detail` times more pixels a side than the tower is shown, and the stem (the early, fine stages,
nothing else) reads it again where small regions lie: one window a picture, around all that the
budget affords.

The rule. A region is small below `SMALL` of the frame's side. The window is the smallest that
holds the small regions' cut-outs, with a margin; while it costs more than the budget, first the
margin goes, then the region whose loss saves most. A picture whose file has no finer pixels is not
zoomed.

B pictures · R regions · W pictures with a window · C channels · Q query width · K = 4 edges
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor, nn

from regionmed.model.roi_pool import roi_align, scaled_boxes

SMALL = 0.15  # sqrt of a region's share of the frame below which it is read again
STEP = 16  # a window's edges lie on multiples of so many pixels, as the stem halves three times
MARGIN = 16  # pixels around a window, where affordable: the stem sees past an edge
CELLS = 8  # of a region's cut-out, a side
AROUND = 1.5  # the cut-out is this multiple of the box


@dataclass(frozen=True)
class Window:
    """Where one picture is read again.

    edges  x0 y0 x1 y1 in pixels of the frame, multiples of STEP
    rows   bool (R,): which regions are read there
    cost   in forwards of the whole tower
    """

    edges: tuple[int, int, int, int]
    rows: NDArray[np.bool_]
    cost: float


def choose_window(
    boxes_R4: NDArray[np.float32], side: int, budget: float, whole: float, finer: float
) -> Window | None:
    """The window of a picture, or None where none is wanted or affordable.

    boxes_R4  x0 y0 x1 y1 in 0..1 of the frame
    side      pixels a side of the frame
    budget    what may be spent, in forwards of the whole tower
    whole     what reading the whole frame again would cost, in the same unit
    finer     file pixels a side for each pixel that the tower sees; up to 1: nothing to find
    """
    rows = np.sqrt((boxes_R4[:, 2:] - boxes_R4[:, :2]).clip(0).prod(1)) < SMALL
    if finer <= 1:
        return None
    while rows.any():
        for margin in (MARGIN, 0):
            edges = _around(boxes_R4[rows], side, margin)
            cost = whole * (edges[2] - edges[0]) * (edges[3] - edges[1]) / side**2
            if cost <= budget:
                return Window(edges, rows, cost)
        rows[_dearest(boxes_R4, rows)] = False
    return None


def _around(boxes_R4: NDArray[np.float32], side: int, margin: int) -> tuple[int, int, int, int]:
    shown_R4 = scaled_boxes(torch.from_numpy(boxes_R4)[None], AROUND)[0].numpy() * side
    low = (shown_R4[:, :2].min(0) - margin).clip(0, side)
    high = (shown_R4[:, 2:].max(0) + margin).clip(0, side)
    x0, y0 = (STEP * math.floor(edge / STEP) for edge in low)
    x1, y1 = (STEP * math.ceil(edge / STEP) for edge in high)
    return x0, y0, x1, y1


def _dearest(boxes_R4: NDArray[np.float32], rows: NDArray[np.bool_]) -> int:
    """The region without which the window is smallest: one of those that reach furthest out."""
    numbers = np.flatnonzero(rows)
    kept = boxes_R4[numbers]
    outer = {
        int(at) for at in (*kept[:, :2].argmin(0), *kept[:, 2:].argmax(0))
    }  # any other leaves it as it is

    def left(at: int) -> float:
        rest = np.delete(kept, at, axis=0)
        return float((rest[:, 2:].max(0) - rest[:, :2].min(0)).prod()) if len(rest) else 0.0

    return int(numbers[min(sorted(outer), key=left)])


@dataclass(frozen=True)
class CutOuts:
    """What the stem sees around regions of a batch.

    maps_BRCHW  float32; of no meaning where not in `rows_BR`
    rows_BR     bool: which regions were cut out
    """

    maps_BRCHW: Tensor
    rows_BR: Tensor


def are_small(boxes_BR4: Float[Tensor, "*B R K"]) -> Bool[Tensor, "*B R"]:
    """Whether regions, in 0..1 of the frame, are small."""
    return (boxes_BR4[..., 2:] - boxes_BR4[..., :2]).clamp(min=0).prod(-1).sqrt() < SMALL


def cut_out_regions(
    maps_WCHW: Float[Tensor, "W C H W2"], boxes_WR4: Float[Tensor, "W R K"]
) -> Float[Tensor, "W R C n n"]:
    """Each region and a little around it, from fine maps; boxes in 0..1 of the maps."""
    return roi_align(maps_WCHW, scaled_boxes(boxes_WR4, AROUND), CELLS)


def look_again(
    frames_BCHW: Tensor,
    boxes_BR4: Float[Tensor, "B R K"],
    windows: Sequence[Window | None],
    stem: Callable[[Tensor], Tensor],
) -> CutOuts | None:
    """Read every picture's window by the stem and cut its regions out; None where none has one.

    frames_BCHW  pictures in the model frame, 0..255
    windows      one a picture; `rows` may be shorter than R, which is padded
    stem         (1, 3, h, w) in 0..255, at the frame's own scale -> (1, C, h / 8, w / 8)
    """
    cutouts: Tensor | None = None
    side = frames_BCHW.shape[-1]
    zoomed_BR = torch.zeros(boxes_BR4.shape[:2], dtype=torch.bool, device=boxes_BR4.device)
    for picture, window in enumerate(windows):
        if window is None:
            continue
        x0, y0, x1, y1 = window.edges
        seen = frames_BCHW[picture, :, y0:y1, x0:x1]
        corner, size = boxes_BR4.new_tensor((x0, y0)), boxes_BR4.new_tensor((x1 - x0, y1 - y0))
        numbers = torch.from_numpy(np.flatnonzero(window.rows)).to(boxes_BR4.device)
        boxes_R4 = (boxes_BR4[picture, numbers] * side - corner.repeat(2)) / size.repeat(2)
        found_RCHW = cut_out_regions(stem(seen[None]), boxes_R4[None])[0]
        if cutouts is None:
            cutouts = found_RCHW.new_zeros(*zoomed_BR.shape, *found_RCHW.shape[1:])
        cutouts[picture, numbers] = found_RCHW
        zoomed_BR[picture, numbers] = True
    return None if cutouts is None else CutOuts(cutouts, zoomed_BR)


class CutOutReader(nn.Module):
    """A small region's cut-out -> what it adds to the region's query; nothing at the start."""

    mean_1C11: Tensor
    std_1C11: Tensor

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        middle, last = 96, 128
        self.register_buffer("mean_1C11", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std_1C11", torch.ones(1, channels, 1, 1))
        self.read = nn.Sequential(
            nn.Conv2d(channels, middle, 3, padding=1),
            nn.GroupNorm(8, middle),
            nn.GELU(),
            nn.Conv2d(middle, last, 3, stride=2, padding=1),
            nn.GroupNorm(8, last),
            nn.GELU(),
            nn.Flatten(),
            nn.Dropout(0.1),
        )
        self.add = nn.Linear(last * (CELLS // 2) ** 2, width)
        for parameter in self.add.parameters():
            nn.init.zeros_(parameter)

    def fit(self, maps_NCHW: Tensor) -> None:
        """Take the scale of each channel from a sample of the stem's maps."""
        self.mean_1C11.copy_(maps_NCHW.mean((0, 2, 3), keepdim=True))
        self.std_1C11.copy_(maps_NCHW.std((0, 2, 3), keepdim=True).clamp(min=1e-6))

    def forward(self, cutouts: CutOuts) -> Float[Tensor, "B R Q"]:
        """Zeros for regions that were not cut out."""
        rows_BR = cutouts.rows_BR
        added_BRQ = cutouts.maps_BRCHW.new_zeros(*rows_BR.shape, self.add.out_features)
        if self.training or rows_BR.any():  # see RegionClip.read_regions
            maps_NCHW = (cutouts.maps_BRCHW[rows_BR] - self.mean_1C11) / self.std_1C11
            if self.training:
                maps_NCHW = _turned(maps_NCHW)
            added_BRQ[rows_BR] = self.add(self.read(maps_NCHW))
        return added_BRQ


def _turned(maps_NCHW: Tensor) -> Tensor:
    """Each cut-out mirrored along rows, columns or diagonal at random: it says nothing of place."""
    for turned in (lambda maps: maps.flip(2), lambda maps: maps.flip(3), lambda maps: maps.mT):
        chosen_N = torch.rand(len(maps_NCHW), device=maps_NCHW.device) < 0.5
        maps_NCHW = torch.where(chosen_N.view(-1, 1, 1, 1), turned(maps_NCHW), maps_NCHW)
    return maps_NCHW
