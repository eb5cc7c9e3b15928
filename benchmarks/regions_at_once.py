"""Claim: regions read from the encoded picture cost a fraction of encoding each one's crop.

`python benchmarks/regions_at_once.py`: one picture and its regions through `tiny` on two threads,
against the same towers encoding the picture and then a crop a region (the plain CLIP's way).
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch

from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip

ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    """The fastest of several rounds, after one that is not counted."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - start)
    return min(rounds)


def main() -> None:
    """One line for each number of regions."""
    torch.set_num_threads(2)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (1, TINY.image_size, TINY.image_size, 3), dtype=np.uint8)
    pooled = RegionClip(TINY)
    cropped = RegionClip(dataclasses.replace(TINY, regions="none"))
    alone = seconds(lambda: pooled.embed(pixels))
    print(f"the picture alone: {1000 * alone:.0f} ms")
    for regions in (1, 8, 32):
        corner = generator.random((regions, 2), dtype=np.float32) * 0.7
        boxes = [np.concatenate((corner, corner + 0.2), axis=1)]
        ours = seconds(lambda boxes=boxes: pooled.embed(pixels, boxes))
        crops = seconds(lambda boxes=boxes: cropped.embed(pixels, boxes))
        print(
            f"{regions:2d} regions: {crops / ours:4.1f} times as fast as crops; "
            f"{ours / alone:.2f} times the picture alone, crops {crops / alone:.2f} times"
        )


if __name__ == "__main__":
    main()
