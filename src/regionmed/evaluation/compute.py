"""Multiply-adds: what one picture and some of its regions cost a model, counted and not timed.

Counted is what the forward really does, by torch's FlopCounterMode (two operations a multiply-add):
convolutions, matrix products and attention. Norms, activations and resizing are left out, as usual.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch.backends import mha
from torch.utils.flop_counter import FlopCounterMode

from regionmed.evaluation.encode import encode
from regionmed.evaluation.subject import Subject

SIDES = (0.04, 0.1, 0.25, 0.5)  # of the picture: one for each size, tiny to large


def multiply_adds(model: Subject, boxes_R4: NDArray[np.float32]) -> int:
    """Of one picture and its regions, zoomed windows as chosen for these boxes.

    boxes_R4  unit edges of the model frame; (0, 4) for the picture alone

    A model that does not read regions is shown their crops, a forward each, and that is counted.
    """
    size = model.image_size
    pixels_NHWC = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    boxes = [boxes_R4] if len(boxes_R4) else None
    return counted(lambda: encode(model, pixels_NHWC, boxes))


def eight_regions() -> NDArray[np.float32]:
    """Two squares of each of SIDES, apart from each other where they fit: (8, 4) unit edges."""
    boxes = []
    for row, side in enumerate(SIDES):
        for column in (0.27, 0.73):
            x, y = column - side / 2, 0.2 * (row + 1) - side / 2
            boxes.append((x, y, x + side, y + side))
    return np.clip(np.array(boxes, np.float32), 0, 1)


def counted(call: Callable[[], object]) -> int:
    """The multiply-adds of whatever a call computes with torch.

    torch's fused fast path of attention is one operation that the counter does not know; it is off
    while counting, and on again afterwards if it was.
    """
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter:
            call()
    finally:
        mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2
