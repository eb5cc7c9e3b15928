"""What one step sees: pictures, views, regions and texts, drawn from (seed, step) alone.

Nothing is remembered from step to step, so a resumed run draws what the undisturbed one would.
Sets are drawn by the square root of pictures times labels, pictures of a set evenly, regions of
a picture by the square root of their label's rarity.
B pictures · R regions · Q texts a picture · M text columns
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regionmed.batches.batch import boxes_to_unit, cell_coverage, pad_boxes
from regionmed.geometry import Box, Placement
from regionmed.model.roi_zoom import are_small
from regionmed.training.examples import Example, Examples, Pair, RegionExample
from regionmed.training.stages import LOSSES, REGION_TERMS, TEXT_TERMS
from regionmed.training.views import ViewCache

QUERIES = 3  # texts a picture that are asked for their place: two it has, one it has not
TWINS = 3  # false twins a text
WRITTEN_NEGATIVES = 256  # captions of other pictures that join the text columns
VISIBLE = 0.3  # a region with less of its area inside the view is not asked there
MASK_SHARE = 0.3  # of the regions with a mask are read by it
UNZOOMED = 0.25  # of the pictures are not read again, so that the pooled read stays good by itself
WINDOWED = 0.5  # of the pictures show the `distil` term their window


@dataclass(frozen=True)
class Step:
    """One step's inputs; text fields are numbers of the text bank.

    early_BCHW     as cached          boxes_BR4, present_BR, cover_BRHW   regions, padded
    labels, weights, captions, twins, denials  one entry a present region, in row order
    fine_MCHW, fine_pictures, zoomed_BR   maps at the frame's full scale, the pictures (rows of the
                   batch) they belong to, and the regions to be read there; M may be 0
    crops_NCHW     early maps of each present region's crop, None unless the model is shown crops
    windows_DCHW, window_pictures, window_boxes_D4   parts of pictures, as pictures and as boxes
    """

    early_BCHW: Tensor
    boxes_BR4: Tensor
    present_BR: Tensor
    cover_BRHW: Tensor
    picture_texts: list[int | None]  # one a picture, None where it has no text
    text_columns: list[int]  # unique texts: first those of the batch, then others' captions
    own_columns: int  # how many of them are the batch's
    positive_BM: Tensor  # bool
    picture_twins: list[tuple[int, ...]]
    labels: list[int]
    weights: Tensor
    captions: list[int | None]
    twins: list[tuple[int, ...]]
    denials: list[tuple[Pair, ...]]
    queries_BQ: Tensor  # int64 text numbers
    query_cover_BQHW: Tensor
    query_present_BQ: Tensor
    fine_MCHW: Tensor | None = None
    fine_pictures: tuple[int, ...] = ()
    zoomed_BR: Tensor | None = None
    crops_NCHW: Tensor | None = None
    windows_DCHW: Tensor | None = None
    window_pictures: tuple[int, ...] = ()
    window_boxes_D4: Tensor | None = None


class Drawer:
    """Draws steps from examples and their views."""

    def __init__(
        self, examples: Examples, views: ViewCache, batch: int, regions: int, seed: int, grid: int
    ) -> None:
        self.examples, self.views, self.grid = examples, views, grid
        self.batch, self.regions, self.seed = batch, regions, seed
        named: dict[str, set[int]] = {}
        for item in examples.items:
            named.setdefault(item.record.set, set()).update(r.label for r in item.regions)
        self._labels_of_sets = {name: max(1, len(labels)) for name, labels in named.items()}
        self._urns: dict[Any, tuple[list[int], NDArray[np.float64]]] = {}
        self._captions = [i for i, item in enumerate(examples.items) if item.written]

    def step(
        self,
        number: int,
        terms: Collection[str] = tuple(LOSSES),
        shares: Mapping[str, float] | None = None,
    ) -> Step:
        """The inputs of a step; what could feed none of the terms is not drawn.

        terms   names of losses
        shares  set -> its share of the draws, others are not drawn; None: all, by root of size
        """
        chance = np.random.default_rng((self.seed, 7, number))
        needs_regions = not REGION_TERMS.isdisjoint(terms)
        needs_texts = not needs_regions or not TEXT_TERMS.isdisjoint(terms)
        picks = self._pick(chance, needs_regions, needs_texts, shares)
        items = [self.examples.items[pick] for pick in picks]
        seen = [int(chance.integers(self.views.count)) for _ in picks]
        mirrored = [self.views.mirrored(p, v) for p, v in zip(picks, seen, strict=True)]
        placements = [self.views.placement(p, v) for p, v in zip(picks, seen, strict=True)]
        chosen = [
            self._regions(item, placement, chance) if needs_regions else []
            for item, placement in zip(items, placements, strict=True)
        ]
        boxes = [
            boxes_to_unit([item.record.regions[r.row].box for r in few], placement)
            for item, few, placement in zip(items, chosen, placements, strict=True)
        ]
        boxes_BR4, present_BR = pad_boxes(boxes)
        flat = [(r, bad) for few, bad in zip(chosen, mirrored, strict=True) for r in few]
        return Step(
            early_BCHW=self.views.early(list(zip(picks, seen, strict=True))),
            boxes_BR4=boxes_BR4,
            present_BR=present_BR,
            cover_BRHW=self._masks(items, chosen, placements, present_BR.shape[1], chance),
            **self._texts(items, chance),
            picture_twins=[_some(item.twins, TWINS, chance) for item in items],
            labels=[region.label for region, _ in flat],
            # a picture with many regions counts more than one with few, but not by their number
            weights=torch.tensor(
                [(region.weight / len(few)) ** 0.5 for few in chosen for region in few]
            ),
            captions=[None if bad else region.text for region, bad in flat],
            twins=[() if bad else _some(region.twins, TWINS, chance) for region, bad in flat],
            # what a picture lacks is lacking in its mirror image as well, what is there has a place
            denials=[
                (*_one(() if bad else region.stated, chance), *_one(region.denied, chance))
                for region, bad in flat
            ],
            **self._queries(items, placements, chance, "ground" in terms),
            **self._finer(picks, seen, boxes_BR4, present_BR, chance),
            **(self._windows(picks, seen, chance) if "distil" in terms else {}),
            crops_NCHW=self._crops(picks, chosen) if needs_regions else None,
        )

    def _pick(
        self,
        chance: np.random.Generator,
        needs_regions: bool,
        needs_texts: bool,
        shares: Mapping[str, float] | None,
    ) -> list[int]:
        # the same for every step of a stage: told anew each time it is half of the drawing
        key = (needs_regions, needs_texts, None if shares is None else tuple(shares.items()))
        if key not in self._urns:
            self._urns[key] = self._urn(needs_regions, needs_texts, shares)
        usable, odds = self._urns[key]
        size = min(self.batch, len(usable))
        return chance.choice(usable, size, replace=False, p=odds).tolist()

    def _urn(
        self, needs_regions: bool, needs_texts: bool, shares: Mapping[str, float] | None
    ) -> tuple[list[int], NDArray[np.float64]]:
        """The pictures that may be drawn, and how likely each is."""
        usable = [
            row
            for row, item in enumerate(self.examples.items)
            if (needs_regions and item.regions) or (needs_texts and item.texts)
            if shares is None or item.record.set in shares
        ]
        sets = [self.examples.items[row].record.set for row in usable]
        size_of = Counter(sets)
        if shares is None:
            labels = self._labels_of_sets
            weight = np.array([(labels[name] / size_of[name]) ** 0.5 for name in sets])
        else:
            weight = np.array([shares[name] / size_of[name] for name in sets])
        return usable, weight / weight.sum()

    def _regions(
        self, item: Example, placement: Placement, chance: np.random.Generator
    ) -> list[RegionExample]:
        seen = [
            region
            for region in item.regions
            if _visible(placement.box(item.record.regions[region.row].box)) >= VISIBLE
        ]
        if len(seen) <= self.regions:
            return seen
        weight = np.array([region.weight**0.5 for region in seen])
        rows = chance.choice(len(seen), self.regions, replace=False, p=weight / weight.sum())
        return [seen[row] for row in sorted(rows)]

    def _masks(
        self,
        items: list[Example],
        chosen: list[list[RegionExample]],
        placements: list[Placement],
        most: int,
        chance: np.random.Generator,
    ) -> Tensor:
        cover = np.zeros((len(items), most, self.grid, self.grid), np.float32)
        for b, (item, few, placement) in enumerate(zip(items, chosen, placements, strict=True)):
            for r, example in enumerate(few):
                region = item.record.regions[example.row]
                if region.mask is not None and chance.random() < MASK_SHARE:
                    cover[b, r] = cell_coverage(region, placement, self.grid)
        return torch.from_numpy(cover)

    def _finer(
        self,
        picks: list[int],
        seen: list[int],
        boxes_BR4: Tensor,
        present_BR: Tensor,
        chance: np.random.Generator,
    ) -> dict[str, Any]:
        if self.views.fine is None:
            return {}
        small_BR = present_BR & are_small(boxes_BR4)
        rows, pictures = [], []
        for b, (item, view) in enumerate(zip(picks, seen, strict=True)):
            row = self.views.fine_row(item, view)
            if row is None or chance.random() < UNZOOMED:
                small_BR[b] = False
            elif small_BR[b].any():
                rows.append(row)
                pictures.append(b)
        return {
            "fine_MCHW": self.views.fine_maps(rows) if rows else None,
            "fine_pictures": tuple(pictures),
            "zoomed_BR": small_BR,
        }

    def _windows(
        self, picks: list[int], seen: list[int], chance: np.random.Generator
    ) -> dict[str, Any]:
        if self.views.windows is None:
            return {}
        asked, boxes = [], []
        for b, (item, view) in enumerate(zip(picks, seen, strict=True)):
            box = self.views.window_box(item, view)
            if chance.random() < WINDOWED and _visible(box) > 1 - 1e-6:
                asked.append(b)
                boxes.append(box.unit())
        if not asked:
            return {}
        return {
            "windows_DCHW": self.views.window_maps([picks[b] for b in asked]),
            "window_pictures": tuple(asked),
            "window_boxes_D4": torch.tensor(boxes, dtype=torch.float32),
        }

    def _crops(self, picks: list[int], chosen: list[list[RegionExample]]) -> Tensor | None:
        if self.views.crops is None:
            return None
        return self.views.crop_maps(
            [(item, region.row) for item, few in zip(picks, chosen, strict=True) for region in few]
        )

    def _texts(self, items: list[Example], chance: np.random.Generator) -> dict[str, Any]:
        texts = [
            item.texts[int(chance.integers(len(item.texts)))] if item.texts else None
            for item in items
        ]
        meanings: dict[int, set[str]] = {}
        for item, text in zip(items, texts, strict=True):
            if text is not None:
                meanings.setdefault(text, set()).add(item.meaning)
        own = len(meanings)
        if self._captions and any(item.written for item in items):
            count = min(WRITTEN_NEGATIVES, len(self._captions))
            for row in chance.choice(self._captions, count, replace=False):
                other = self.examples.items[row]
                meanings.setdefault(other.texts[0], set()).add(other.meaning)
        positive = [
            [
                # true is what was said of this picture, or of one that means the same
                text is not None and (column in item.texts or item.meaning in meaning)
                for column, meaning in meanings.items()
            ]
            for item, text in zip(items, texts, strict=True)
        ]
        return {
            "picture_texts": texts,
            "text_columns": list(meanings),
            "own_columns": own,
            "positive_BM": torch.tensor(positive, dtype=torch.bool).view(len(items), -1),
        }

    def _queries(
        self,
        items: list[Example],
        placements: list[Placement],
        chance: np.random.Generator,
        asked_for: bool,
    ) -> dict[str, Any]:
        numbers = np.zeros((len(items), QUERIES), np.int64)
        present = np.zeros((len(items), QUERIES), bool)
        cover = np.zeros((len(items), QUERIES, self.grid, self.grid), np.float32)
        for b, (item, placement) in enumerate(zip(items, placements, strict=True)):
            labels = sorted({region.label for region in item.regions})
            if not labels or not asked_for:
                continue
            asked = chance.permutation(labels)[: QUERIES - 1].tolist()
            for q, label in enumerate(asked):
                for region in item.regions:
                    if region.label == label:
                        shown = cell_coverage(item.record.regions[region.row], placement, self.grid)
                        np.maximum(cover[b, q], shown, out=cover[b, q])
            absent = [label for label in self.examples.vocabulary if label not in labels]
            if absent:
                asked.append(int(chance.choice(absent)))
            numbers[b, : len(asked)] = asked
            present[b, : len(asked)] = True
        return {
            "queries_BQ": torch.from_numpy(numbers),
            "query_cover_BQHW": torch.from_numpy(cover),
            "query_present_BQ": torch.from_numpy(present),
        }


def _visible(box: Box) -> float:
    inside = box.clipped()
    return 0.0 if inside is None else inside.area / box.area


def _one(pairs: tuple[Pair, ...], chance: np.random.Generator) -> tuple[Pair, ...]:
    return (pairs[chance.integers(len(pairs))],) if pairs else ()


def _some(twins: tuple[int, ...], count: int, chance: np.random.Generator) -> tuple[int, ...]:
    if len(twins) <= count:
        return twins
    return tuple(twins[row] for row in chance.choice(len(twins), count, replace=False))
