"""What a picture batch is after a forward: tensors for training, numpy for everybody else.

B pictures · C channels · h w rows, columns · D tower width · E embedding
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regionmed.model.roi_zoom import Window

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One batch of pictures after the image tower: encoded once, asked often.

    fine_BCHW  the finest map as the tower gave it
    levels     pyramid levels fine to coarse, each (B, C, h, w); () for a plain CLIP
    pooled_BD  the tower's own feature
    images_BE  float32, rows of length 1
    """

    fine_BCHW: Tensor
    levels: tuple[Tensor, ...]
    pooled_BD: Tensor
    images_BE: Tensor


@dataclass(frozen=True)
class Embedded:
    """A batch of pictures and their regions as numpy, a list entry a picture.

    images   unit rows            regions  unit rows of each picture
    gates    0..2: detail, context; zeros where the model has none
    windows  where small regions were read again, and at what cost; None where nothing was
    """

    images: Floats
    regions: list[Floats] = field(default_factory=list)
    gates: list[Floats] = field(default_factory=list)
    windows: list[Window | None] = field(default_factory=list)
