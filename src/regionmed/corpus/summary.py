"""What a corpus holds, in numbers: the part of manifest.json that people read."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa

from regionmed.geometry import Box, Frame, size_stratum


class Counts:
    """Counts rows as they are written; everything is a plain dict in `manifest`."""

    def __init__(self) -> None:
        self._sets: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._splits: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._picture_labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sizes: Counter[str] = Counter()
        self._shapes: Counter[str] = Counter()
        self._modalities: Counter[str] = Counter()
        self._licences: Counter[str] = Counter()
        self._excluded: Counter[str] = Counter()

    def add(self, group: pa.Table) -> None:
        """A row group of the final shards."""
        names = [name for name in group.column_names if name not in ("image", "masks")]
        for row in group.select(names).to_pylist():
            name = row["set"]
            self._sets[name].update(
                records=1,
                pictures=int(row["width"] is not None),
                regions=len(row["regions"]),
                captions=int(bool(row["caption"])),
                questions=len(row["questions"]),
                open=int(row["open"]),
            )
            self._splits[name][row["split"] or "none"] += 1
            self._picture_labels[name].update(set(row["labels"]))
            self._modalities[row["modality"] or "unknown"] += 1
            self._licences[row["licence"] or "unknown"] += 1
            if row["exclude"]:
                self._excluded[row["exclude"]] += 1
            for region in row["regions"]:
                frame = Frame("file", row["width"], row["height"])
                self._labels[name][region["label"]] += 1
                self._shapes[region["shape"]] += 1
                x0, y0, x1, y1 = region["box"]
                self._sizes[size_stratum(Box(x0, y0, x1, y1, frame))] += 1

    def manifest(self) -> dict[str, Any]:
        """sets, splits, region_labels, picture_labels (each by set), and totals of the rest."""
        return {
            "sets": {name: dict(counts) for name, counts in self._sets.items()},
            "splits": {name: dict(counts) for name, counts in self._splits.items()},
            "region_labels": _sorted(self._labels),
            "picture_labels": _sorted(self._picture_labels),
            "sizes": dict(self._sizes),
            "shapes": dict(self._shapes),
            "modalities": dict(self._modalities),
            "licences": dict(self._licences),
            "excluded": dict(self._excluded),
        }


def _sorted(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {name: dict(counter.most_common()) for name, counter in counts.items()}
