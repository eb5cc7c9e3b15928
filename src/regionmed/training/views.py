"""Views of every training picture, read once by the frozen stem and kept memory-mapped.

The first view of a picture is plain, the others are drawn from the recipe's seed. For a tower whose
stem is frozen the early maps are kept (float16); for one read in a single leg, the pixels (uint8).
Count for the tiny tower at 224 px: 40 x 28 x 28 numbers, 63 kB a view, and two thirds of the
tower's forward time saved at every later step.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regionmed.batches.augment import View, apply_views, draw_view, plain_view
from regionmed.batches.cache import PictureCache, model_frame
from regionmed.geometry import Placement
from regionmed.model.region_clip import RegionClip
from regionmed.progress import Track, silent
from regionmed.training.examples import Example, Examples

CHUNK = 32  # pictures a forward


class ViewCache:
    """Early maps (or pixels) of `views` views of each example, and the placement of each."""

    def __init__(
        self,
        examples: Examples,
        pictures: Sequence[PictureCache],
        model: RegionClip,
        views: int,
        seed: int,
        folder: Path,
        track: Track = silent,
    ) -> None:
        self._items = examples.items
        self._pictures = pictures
        self.count = views
        self.drawn = [
            _draw(item, number, views, seed, model.image_size)
            for number, item in enumerate(self._items)
        ]
        path = folder / f"views-{self._key(model)}.npy"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self._build(model, path, track)
        self.maps: NDArray[np.generic] = np.load(path, mmap_mode="r")

    def early(self, picks: Sequence[tuple[int, int]]) -> Tensor:
        """The kept array for (example, view) picks: (B, C, h, w)."""
        rows = [item * self.count + view for item, view in picks]
        return torch.from_numpy(self.maps[rows])

    def placement(self, item: int, view: int) -> Placement:
        """The way from the picture's file frame into the view."""
        example = self._items[item]
        letterbox = self._pictures[example.corpus].placement(example.row)
        return letterbox.then(self.drawn[item][view].placement)

    def mirrored(self, item: int, view: int) -> bool:
        """Whether words of place do not hold in this view."""
        return self.drawn[item][view].mirrored

    def _key(self, model: RegionClip) -> str:
        digest = hashlib.sha256()
        for item, views in zip(self._items, self.drawn, strict=True):
            # all that decides the kept numbers; a changed draw or mirror rule is another cache
            digest.update(repr((item.record.sha256, views)).encode())
        digest.update(f"{model.config.image_tower} {model.image_size}".encode())
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def _build(self, model: RegionClip, path: Path, track: Track) -> None:
        total = len(self._items) * self.count
        keep_pixels = not model.image_tower.stem_is_frozen
        aside = path.with_suffix(".part")
        array = None
        for start in track(range(0, total, CHUNK), "reading views"):
            rows = range(start, min(start + CHUNK, total))
            pixels, views = [], []
            for row in rows:
                item = self._items[row // self.count]
                pixels.append(self._pictures[item.corpus].pixels_NHWC[item.row])
                views.append(self.drawn[row // self.count][row % self.count])
            images = apply_views(np.stack(pixels), views)
            kept = images.numpy() if keep_pixels else model.stem(images).half().numpy()
            if array is None:
                shape = (total, *kept.shape[1:])
                array = np.lib.format.open_memmap(aside, mode="w+", dtype=kept.dtype, shape=shape)
            array[start : start + len(kept)] = kept
        assert array is not None
        array.flush()
        os.replace(aside, path)


def _draw(item: Example, number: int, views: int, seed: int, size: int) -> list[View]:
    frame = model_frame(size)
    generator = np.random.default_rng((seed, number))
    others = [draw_view(frame, generator, item.mirror_x, item.mirror_y) for _ in range(views - 1)]
    return [plain_view(frame), *others]
