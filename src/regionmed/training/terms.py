"""From a step's inputs to the loss terms of a stage: the model is read once, each term judged."""

from __future__ import annotations

import torch
from torch import Tensor

from regionmed.model.region_clip import Reading, RegionClip
from regionmed.model.roi_processor import RegionReading
from regionmed.training.draw import Step
from regionmed.training.losses import contrast, ground_loss, label_loss, twin_loss, two_way_contrast


class Terms:
    """The terms of one step; `features_ND` are the cached outputs of the frozen text tower."""

    def __init__(
        self, model: RegionClip, features_ND: Tensor, vocabulary: list[int], step: Step
    ) -> None:
        self.model, self.step = model, step
        self.features_ND = features_ND
        self.vocabulary = vocabulary
        early = step.early_BCHW
        cached = model.image_tower.stem_is_frozen
        self.reading: Reading = model.read_early(early.float() if cached else model.stem(early))
        if model.config.roi:  # a plain CLIP has no region terms: train.py sees to it
            self.regions: RegionReading = model.read_regions(
                self.reading, step.boxes_BR4, step.present_BR, step.cover_BRHW
            )
            self.flat_RE = self.regions.regions_BRE[step.present_BR]

    def compute(self, names: list[str]) -> dict[str, Tensor | None]:
        """Loss by name; None where the batch holds nothing that feeds it."""
        every = {
            "global": lambda: self._pictures(self.reading.images_BE),
            "joined": self._joined,
            "region": self._region,
            "caption": self._caption,
            "hard": self._hard,
            "ground": self._ground,
        }
        return {name: every[name]() for name in names}

    def _embed(self, numbers: list[int]) -> Tensor:
        return self.model.project_texts(self.features_ND[torch.tensor(numbers, dtype=torch.long)])

    def _pictures(self, images_BE: Tensor) -> Tensor | None:
        step = self.step
        if not step.text_columns:
            return None
        logits = self.model.log_scale.exp() * images_BE @ self._embed(step.text_columns).T
        return two_way_contrast(logits, step.positive_BM, step.own_columns)

    def _joined(self) -> Tensor | None:
        step = self.step
        rows = step.present_BR.any(1)
        if not step.text_columns or not rows.any():
            return None
        logits = (
            self.model.log_scale.exp() * self.regions.images_BE @ self._embed(step.text_columns).T
        )
        return contrast(logits[rows], step.positive_BM[rows])

    def _region(self) -> Tensor | None:
        scale = self.model.region_log_scale.exp()
        logits = scale * self.flat_RE @ self._embed(self.vocabulary).T
        column = {label: place for place, label in enumerate(self.vocabulary)}
        labels = torch.tensor([column[label] for label in self.step.labels], dtype=torch.long)
        return label_loss(logits, labels, self.step.weights)

    def _caption(self) -> Tensor | None:
        rows = [r for r, text in enumerate(self.step.captions) if text is not None]
        if not rows:
            return None
        own = [text for text in self.step.captions if text is not None]
        columns = list(dict.fromkeys(own))
        positive = torch.tensor([[text == column for column in columns] for text in own])
        scale = self.model.region_log_scale.exp()
        return contrast(scale * self.flat_RE[rows] @ self._embed(columns).T, positive)

    def _hard(self) -> Tensor | None:
        step = self.step
        pairs: list[tuple[Tensor, int, tuple[int, ...]]] = [
            (self.flat_RE[row], text, twins)
            for row, (text, twins) in enumerate(zip(step.captions, step.twins, strict=True))
            if text is not None and twins
        ]
        pairs += [
            (self.reading.images_BE[row], text, twins)
            for row, (text, twins) in enumerate(
                zip(step.picture_texts, step.picture_twins, strict=True)
            )
            if text is not None and twins
        ]
        if not pairs:
            return None
        numbers = sorted({n for _, text, twins in pairs for n in (text, *twins)})
        place = {number: row for row, number in enumerate(numbers)}
        texts_NE = self._embed(numbers)
        most = max(len(twins) for _, _, twins in pairs)
        index = torch.zeros(len(pairs), 1 + most, dtype=torch.long)
        present = torch.zeros(len(pairs), most, dtype=torch.bool)
        for row, (_, text, twins) in enumerate(pairs):
            index[row, : 1 + len(twins)] = torch.tensor([place[n] for n in (text, *twins)])
            present[row, : len(twins)] = True
        seen_NE = torch.stack([vector for vector, _, _ in pairs])
        scale = self.model.region_log_scale.exp()
        logits = scale * torch.einsum("ne,nte->nt", seen_NE, texts_NE[index])
        return twin_loss(logits[:, 0], logits[:, 1:], present)

    def _ground(self) -> Tensor | None:
        step = self.step
        flat = self.model.project_texts(self.features_ND[step.queries_BQ.flatten()])
        texts_BQE = flat.view(*step.queries_BQ.shape, -1)
        logits = self.model.heat_logits(self.reading, texts_BQE)
        return ground_loss(logits, step.query_cover_BQHW, step.query_present_BQ)
