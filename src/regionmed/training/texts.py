"""All texts of a run, each encoded once by the frozen text tower and addressed by number."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from regionmed.model.region_clip import RegionClip
from regionmed.progress import Track, silent

CHUNK = 64  # texts a forward


class TextBank:
    """Texts by number, in the order they were first met."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The text's number."""
        return self.numbers.setdefault(text, len(self.numbers))

    def add_all(self, texts: Iterable[str]) -> list[int]:
        """The texts' numbers."""
        return [self.add(text) for text in texts]

    @torch.inference_mode()
    def features(self, model: RegionClip, track: Track = silent) -> Tensor:
        """What the frozen text tower says of every text: float32 (texts, width).

        Texts are encoded in the order of their length, so that little is spent on padding.
        """
        texts = list(self.numbers)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        features = torch.zeros(len(texts), model.text_tower.width)
        for start in track(range(0, len(order), CHUNK), "encoding texts"):
            some = order[start : start + CHUNK]
            features[some] = model.text_features([texts[number] for number in some]).float().cpu()
        return features.clone()
