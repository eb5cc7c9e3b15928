"""Views: one Placement per picture moves pixels, boxes and masks alike; chance is handed in.

A View is drawn, then applied; the same value replays it. Views live in the model frame and map it
onto itself, so a picture's way is file -> model (letterbox) -> view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from regionmed.geometry import Frame, Placement

SCALE = (0.85, 1.2)  # how much a view may shrink or enlarge
SHIFT = 0.08  # of the side, each way
BRIGHTNESS = 0.15  # of the full range, each way
CONTRAST = (0.8, 1.25)


@dataclass(frozen=True, slots=True)
class View:
    """What is done to one picture: where it goes; value * contrast + brightness (of 0..1)."""

    placement: Placement
    contrast: float = 1.0
    brightness: float = 0.0

    @property
    def mirrored(self) -> bool:
        """Whether an axis runs backwards, so that words of place no longer hold."""
        return self.placement.x_scale < 0 or self.placement.y_scale < 0


def plain_view(frame: Frame) -> View:
    """The view that changes nothing."""
    return View(Placement(frame, frame, 1.0, 1.0, 0.0, 0.0))


def draw_view(
    frame: Frame, generator: np.random.Generator, mirror_x: bool = False, mirror_y: bool = False
) -> View:
    """A random view of the frame; an axis is mirrored in half of the draws where allowed."""
    scale = float(np.exp(generator.uniform(*np.log(SCALE))))
    shift_x, shift_y = generator.uniform(-SHIFT, SHIFT, 2) * (frame.width, frame.height)
    x_scale = -scale if mirror_x and generator.random() < 0.5 else scale
    y_scale = -scale if mirror_y and generator.random() < 0.5 else scale
    centre_x, centre_y = frame.width / 2, frame.height / 2
    placement = Placement(
        frame,
        frame,
        x_scale,
        y_scale,
        centre_x - x_scale * centre_x + float(shift_x),
        centre_y - y_scale * centre_y + float(shift_y),
    )
    contrast = float(np.exp(generator.uniform(*np.log(CONTRAST))))
    return View(placement, contrast, float(generator.uniform(-BRIGHTNESS, BRIGHTNESS)))


def crop_view(frame: Frame, edges: Sequence[float], tone: View) -> View:
    """The view that shows a part of the frame, stretched to fill it, in the tone of another view.

    edges  x0 y0 x1 y1 in 0..1 of the frame
    """
    x0, y0, x1, y1 = edges
    x_scale, y_scale = 1 / (x1 - x0), 1 / (y1 - y0)
    placement = Placement(
        frame, frame, x_scale, y_scale, -x0 * x_scale * frame.width, -y0 * y_scale * frame.height
    )
    return View(placement, tone.contrast, tone.brightness)


def apply_views(pixels_BHWC: NDArray[np.uint8], views: list[View]) -> Tensor:
    """The pictures as the views show them: uint8 (B, 3, H, W), black outside."""
    images_BCHW = torch.from_numpy(np.ascontiguousarray(pixels_BHWC)).permute(0, 3, 1, 2).float()
    size = images_BCHW.shape[-1]
    # grid_sample asks, for each place of the view (-1..1), where it lies in the picture (-1..1)
    theta = torch.zeros(len(views), 2, 3)
    for row, view in enumerate(views):
        back = view.placement.inverse()
        for axis, (scale, shift) in enumerate(
            ((back.x_scale, back.x_shift), (back.y_scale, back.y_shift))
        ):
            theta[row, axis, axis] = scale
            theta[row, axis, 2] = scale - 1 + 2 * shift / size
    grid = F.affine_grid(theta, list(images_BCHW.shape), align_corners=False)
    moved = F.grid_sample(images_BCHW, grid, mode="bilinear", align_corners=False)
    contrast = torch.tensor([view.contrast for view in views]).view(-1, 1, 1, 1)
    brightness = torch.tensor([view.brightness for view in views]).view(-1, 1, 1, 1)
    toned = (moved - 127.5) * contrast + 127.5 + 255 * brightness
    return toned.round().clamp(0, 255).to(torch.uint8)
