"""What a run reads of its pictures through the frozen stem, once, and keeps memory-mapped.

views    of every picture: the first plain, the others drawn at random, the same for every run
fine     the same views at the full scale of the model frame, of pictures with small regions; read
         by a model that zooms
windows  one random part of every picture, as a picture: what the `distil` term compares with
crops    every region's crop, as a picture: what a model that is shown crops learns from

For a tower whose stem is frozen early maps are kept (float16); for one read in a single leg,
pixels (uint8). Count for the tiny tower at 224 px: 40 x 28 x 28 numbers, 63 kB a view, and two
thirds of the tower's forward time saved at every later step.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regionmed.batches.augment import View, apply_views, crop_view, draw_view, plain_view
from regionmed.batches.batch import crop_boxes, unit_boxes
from regionmed.batches.cache import PictureCache, model_frame
from regionmed.geometry import Box, Placement
from regionmed.model.region_clip import RegionClip
from regionmed.model.roi_zoom import SMALL
from regionmed.progress import Track, silent
from regionmed.training.examples import Example, Examples

CHUNK = 16  # pictures a forward
WINDOW = (0.25, 0.6)  # side of a window of the `distil` term, in sides of the frame
Kept = NDArray[np.generic]
Shown = tuple[int, View]  # a picture (number of its example) as a view shows it


class ViewCache:
    """Early maps (or pixels) of `count` views of each example, and the placement of each.

    maps     (examples * count, C, h, w)
    fine     maps at the frame's full scale; fine_row says which
    windows  (examples, C, h, w), and where they lie; None without `distil`
    crops    (regions of all examples, C, h, w); None unless the model is shown crops
    """

    def __init__(
        self,
        examples: Examples,
        pictures: Sequence[PictureCache],
        model: RegionClip,
        views: int,
        folder: Path,
        track: Track = silent,
        distil: bool = False,
    ) -> None:
        self._items = examples.items
        self._pictures = pictures
        self._frame = model_frame(model.image_size)
        self.count = views
        self.drawn = [
            _draw(item, number, views, model.image_size) for number, item in enumerate(self._items)
        ]
        kept = _Kept(self._items, pictures, model, folder, track)
        everything = [(n, view) for n, few in enumerate(self.drawn) for view in few]
        self.maps = kept.of("views", everything, model.stem)
        self._fine_base: dict[int, int] = {}
        self.fine: Kept | None = None
        if model.config.regions == "zoom":
            small = [n for n in range(len(self._items)) if self._has_small(n)]
            self._fine_base = {n: views * place for place, n in enumerate(small)}
            shown = [(n, view) for n in small for view in self.drawn[n]]
            self.fine = kept.of("fine", shown, model.fine_stem)
        self.windows: Kept | None = None
        if distil:
            self.window_edges = [self._window(n) for n in range(len(self._items))]
            shown = [
                (n, crop_view(self._frame, edges, self.drawn[n][0]))
                for n, edges in enumerate(self.window_edges)
            ]
            self.windows = kept.of("windows", shown, model.stem)
        self.crops: Kept | None = None
        if model.config.regions == "crop":
            shown, self._crop_base = [], []
            for n in range(len(self._items)):
                self._crop_base.append(len(shown))
                tone = self.drawn[n][-1]
                shown += [
                    (n, crop_view(self._frame, edges, tone))
                    for edges in crop_boxes(self._boxes(n)).tolist()
                ]
            self.crops = kept.of("crops", shown, model.stem)

    def early(self, picks: Sequence[tuple[int, int]]) -> Tensor:
        """The kept array for (example, view) picks: (B, C, h, w)."""
        return _rows(self.maps, [item * self.count + view for item, view in picks])

    def fine_row(self, item: int, view: int) -> int | None:
        """The row of `fine` that shows this view; None where the picture has no small region."""
        base = self._fine_base.get(item)
        return None if base is None else base + view

    def fine_maps(self, rows: Sequence[int]) -> Tensor:
        """Maps of views at the frame's full scale: (M, C, H, W)."""
        assert self.fine is not None
        return _rows(self.fine, rows)

    def window_maps(self, items: Sequence[int]) -> Tensor:
        """Each picture's window as a picture: (D, C, h, w)."""
        assert self.windows is not None
        return _rows(self.windows, items)

    def crop_maps(self, regions: Sequence[tuple[int, int]]) -> Tensor:
        """The crops of (example, region number in its record): (N, C, h, w)."""
        assert self.crops is not None
        return _rows(self.crops, [self._crop_base[item] + number for item, number in regions])

    def placement(self, item: int, view: int) -> Placement:
        """The way from the picture's file frame into the view."""
        example = self._items[item]
        letterbox = self._pictures[example.corpus].placement(example.row)
        return letterbox.then(self.drawn[item][view].placement)

    def window_box(self, item: int, view: int) -> Box:
        """Where a picture's window lies in a view of it."""
        x0, y0, x1, y1 = (edge * self._frame.width for edge in self.window_edges[item])
        return self.drawn[item][view].placement.box(Box(x0, y0, x1, y1, self._frame))

    def mirrored(self, item: int, view: int) -> bool:
        """Whether words of place do not hold in this view."""
        return self.drawn[item][view].mirrored

    def _boxes(self, item: int) -> NDArray[np.float32]:
        example = self._items[item]
        letterbox = self._pictures[example.corpus].placement(example.row)
        return unit_boxes(example.record, letterbox)

    def _has_small(self, item: int) -> bool:
        boxes_R4 = self._boxes(item)
        # a view may shrink a region below the limit
        return bool((np.sqrt((boxes_R4[:, 2:] - boxes_R4[:, :2]).prod(1)) < 1.2 * SMALL).any())

    def _window(self, item: int) -> tuple[float, float, float, float]:
        """A random square of the frame, centred somewhere on the placed picture."""
        generator = np.random.default_rng((11, item))
        example = self._items[item]
        placed = self._pictures[example.corpus].placement(example.row)
        shift = np.array((placed.x_shift, placed.y_shift)) / self._frame.width
        side = generator.uniform(*WINDOW)
        centre = shift + generator.random(2) * (1 - 2 * shift)
        low = (centre - side / 2).clip(0, 1 - side)
        return (float(low[0]), float(low[1]), float(low[0] + side), float(low[1] + side))


class _Kept:
    """Arrays of what the stem gives for lists of views, in files named by all that decides them."""

    def __init__(
        self,
        items: Sequence[Example],
        pictures: Sequence[PictureCache],
        model: RegionClip,
        folder: Path,
        track: Track,
    ) -> None:
        self._items, self._pictures, self._model = items, pictures, model
        self._folder, self._track = folder, track

    def of(self, name: str, shown: Sequence[Shown], stem: Callable[[Tensor], Tensor]) -> Kept:
        """The array for these views, read from disk or made now, a row a view."""
        path = self._folder / f"{name}-{self._key(name, shown)}.npy"
        if not path.is_file() and shown:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._build(path, name, shown, stem)
        return np.load(path, mmap_mode="r") if shown else np.zeros((0, 1, 1, 1), np.float16)

    def _key(self, name: str, shown: Sequence[Shown]) -> str:
        model, digest = self._model, hashlib.sha256()
        for number, view in shown:  # a changed draw or mirror rule is another cache
            digest.update(repr((self._items[number].record.sha256, view)).encode())
        digest.update(f"{name} {model.config.image_tower} {model.config.detail}".encode())
        if not model.image_tower.stem_is_frozen:
            digest.update(b"pixels")
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def _build(
        self, path: Path, name: str, shown: Sequence[Shown], stem: Callable[[Tensor], Tensor]
    ) -> None:
        keep_pixels = not self._model.image_tower.stem_is_frozen
        aside = path.with_suffix(f".{os.getpid()}.part")
        array = None
        for start in self._track(range(0, len(shown), CHUNK), f"reading {name}"):
            some = shown[start : start + CHUNK]
            items = [self._items[number] for number, _ in some]
            pixels = [self._pictures[item.corpus].pixels_NHWC[item.row] for item in items]
            images = apply_views(np.stack(pixels), [view for _, view in some])
            kept = images.numpy() if keep_pixels else stem(images).half().numpy()
            if array is None:
                shape = (len(shown), *kept.shape[1:])
                array = np.lib.format.open_memmap(aside, mode="w+", dtype=kept.dtype, shape=shape)
            array[start : start + len(kept)] = kept
        assert array is not None
        array.flush()
        os.replace(aside, path)


def _rows(kept: Kept, rows: Sequence[int]) -> Tensor:
    return torch.from_numpy(kept[list(rows)])


def _draw(item: Example, number: int, views: int, size: int) -> list[View]:
    frame = model_frame(size)
    generator = np.random.default_rng((7, number))
    others = [draw_view(frame, generator, item.mirror_x, item.mirror_y) for _ in range(views - 1)]
    return [plain_view(frame), *others]
