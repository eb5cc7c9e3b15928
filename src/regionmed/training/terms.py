"""From a step's inputs to the loss terms of a stage: the model is read once, each term judged."""

from __future__ import annotations

import torch
from torch import Tensor

from regionmed.model.reading import Reading
from regionmed.model.region_clip import RegionClip
from regionmed.model.roi_zoom import CutOuts, cut_out_regions
from regionmed.training.draw import Step
from regionmed.training.losses import (
    contrast,
    distil_loss,
    ground_losses,
    label_loss,
    sigmoid_contrast,
    twin_loss,
    two_way_contrast,
)
from regionmed.training.parallel import ALONE, Share

Judged = tuple[Tensor, int, tuple[int, ...]]  # what was seen, a true text, false ones


@torch.no_grad()
def teach(model: RegionClip, step: Step, average: dict[str, Tensor]) -> Tensor | None:
    """What the running average of the model sees in the windows of a step: (D, E), unit rows.

    The average takes the place of the moving weights while it looks.
    """
    if step.windows_DCHW is None:
        return None
    moving = {n: p for n, p in model.named_parameters() if n in average}
    kept = {name: parameter.data for name, parameter in moving.items()}
    try:
        for name, parameter in moving.items():
            parameter.data = average[name]
        return read_pictures(model, step.windows_DCHW)
    finally:
        for name, parameter in moving.items():
            parameter.data = kept[name]


def read_pictures(model: RegionClip, kept_BCHW: Tensor) -> Tensor:
    """Vectors (B, E) of some of a step's pictures, as cached: `early_BCHW` of the step."""
    return model.read_early(_early(model, kept_BCHW)).images_BE


def _early(model: RegionClip, kept_BCHW: Tensor) -> Tensor:
    """Cached early maps as numbers; pixels through the stem of a tower without cached maps."""
    return kept_BCHW.float() if model.image_tower.stem_is_frozen else model.stem(kept_BCHW)


class Terms:
    """The terms of one step; `features_ND` are the cached outputs of the frozen text tower.

    With several processes each reads its part of the step, `here`, and judges the vectors of all.
    """

    def __init__(
        self,
        model: RegionClip,
        features_ND: Tensor,
        vocabulary: list[int],
        step: Step,
        taught_DE: Tensor | None = None,
        share: Share = ALONE,
        images_BE: Tensor | None = None,
    ) -> None:
        """Read the step's pictures and regions; `taught_DE` is what `teach` gave for these.

        images_BE  the pictures' vectors where they were read already: terms of whole pictures alone
        """
        self.model, self.step, self.share = model, step, share
        self.here = here = share.part(step)
        self.features_ND = features_ND
        self.vocabulary = vocabulary
        self.taught_DE = taught_DE
        if images_BE is not None:
            self.images_BE = images_BE
            return
        early = _early(model, here.early_BCHW)
        self.reading: Reading = model.read_early(early)
        one_B = torch.ones(len(step.present_BR), dtype=torch.long)
        self.images_BE = share.gather(self.reading.images_BE, one_B)
        if model.config.roi:
            read = model.read_regions(
                self.reading, here.boxes_BR4, here.present_BR, here.cover_BRHW, self._zoomed()
            )
            self.joined_BE = share.gather(read.images_BE, one_B)
            regions_RE = read.regions_BRE[here.present_BR]
        elif model.config.regions == "crop" and here.crops_NCHW is not None:
            regions_RE = read_pictures(model, here.crops_NCHW)
        elif model.config.regions == "alpha":
            picture_R = here.present_BR.nonzero()[:, 0]
            marked = model.alpha(early[picture_R], here.boxes_BR4[here.present_BR])
            regions_RE = model.read_early(marked).images_BE
        else:
            return
        self.flat_RE = share.gather(regions_RE, step.present_BR.sum(1))

    def compute(self, names: list[str]) -> dict[str, Tensor | None]:
        """Loss by name; None where the batch holds nothing that feeds it."""
        every = {
            "global": lambda: self._pictures(self.images_BE),
            "global-sigmoid": self._pairs,
            "joined": self._joined,
            "region": self._region,
            "caption": self._caption,
            "hard": self._hard,
            "ground": self._ground,
            "distil": self._distil,
        }
        return {name: every[name]() for name in names}

    def _zoomed(self) -> CutOuts | None:
        step = self.here
        if step.fine_MCHW is None or step.zoomed_BR is None:
            return None
        pictures = list(step.fine_pictures)
        found = cut_out_regions(_early(self.model, step.fine_MCHW), step.boxes_BR4[pictures])
        cutouts = found.new_zeros(*step.zoomed_BR.shape, *found.shape[2:])
        cutouts[pictures] = found
        return CutOuts(cutouts, step.zoomed_BR)

    def _distil(self) -> Tensor | None:
        step = self.here
        if self.taught_DE is None or step.window_boxes_D4 is None:
            return None
        rows = list(step.window_pictures)
        reading = self.reading
        seen = Reading(
            reading.fine_BCHW[rows],
            tuple(level[rows] for level in reading.levels),
            reading.pooled_BD[rows],
            reading.images_BE[rows],
        )
        boxes_D14 = step.window_boxes_D4[:, None]
        present_D1 = torch.ones(len(rows), 1, dtype=torch.bool)
        read_DE = self.model.read_regions(seen, boxes_D14, present_D1).regions_BRE[:, 0]
        pictures = torch.tensor(self.step.window_pictures)
        each_B = torch.bincount(pictures, minlength=len(self.step.present_BR))
        return distil_loss(
            self.share.gather(read_DE, each_B), self.share.gather(self.taught_DE, each_B)
        )

    def _embed(self, numbers: list[int]) -> Tensor:
        return self.model.project_texts(self.features_ND[torch.tensor(numbers, dtype=torch.long)])

    def _pictures(self, images_BE: Tensor) -> Tensor | None:
        step = self.step
        if not step.text_columns:
            return None
        logits = self.model.log_scale.exp() * images_BE @ self._embed(step.text_columns).T
        return two_way_contrast(logits, step.positive_BM, step.own_columns)

    def _pairs(self) -> Tensor | None:
        step = self.step
        if not step.text_columns:
            return None
        cosines = self.images_BE @ self._embed(step.text_columns).T
        logits = self.model.sigmoid_log_scale.exp() * cosines + self.model.sigmoid_bias
        return sigmoid_contrast(logits, step.positive_BM)

    def _joined(self) -> Tensor | None:
        step = self.step
        rows = step.present_BR.any(1)
        if not step.text_columns or not rows.any():
            return None
        logits = self.model.log_scale.exp() * self.joined_BE @ self._embed(step.text_columns).T
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
        twins: list[Judged] = [
            (self.flat_RE[row], text, few)
            for row, (text, few) in enumerate(zip(step.captions, step.twins, strict=True))
            if text is not None and few
        ]
        twins += [
            (self.images_BE[row], text, few)
            for row, (text, few) in enumerate(
                zip(step.picture_texts, step.picture_twins, strict=True)
            )
            if text is not None and few
        ]
        denials: list[Judged] = [
            (self.flat_RE[row], true, (false,))
            for row, few in enumerate(step.denials)
            for true, false in few
        ]
        # apart, as there are more denials than texts with a side, and both shall be learnt
        kinds = [self._against_twins(twins), self._against_twins(denials)]
        fed = [loss for loss in kinds if loss is not None]
        return torch.stack(fed).sum() if fed else None

    def _against_twins(self, judged: list[Judged]) -> Tensor | None:
        if not judged:
            return None
        numbers = sorted({n for _, text, twins in judged for n in (text, *twins)})
        place = {number: row for row, number in enumerate(numbers)}
        texts_NE = self._embed(numbers)
        most = max(len(twins) for _, _, twins in judged)
        index = torch.zeros(len(judged), 1 + most, dtype=torch.long)
        present = torch.zeros(len(judged), most, dtype=torch.bool)
        for row, (_, text, twins) in enumerate(judged):
            index[row, : 1 + len(twins)] = torch.tensor([place[n] for n in (text, *twins)])
            present[row, : len(twins)] = True
        seen_NE = torch.stack([vector for vector, _, _ in judged])
        scale = self.model.region_log_scale.exp()
        logits = scale * torch.einsum("ne,nte->nt", seen_NE, texts_NE[index])
        return twin_loss(logits[:, 0], logits[:, 1:], present)

    def _ground(self) -> Tensor | None:
        here, present_BQ = self.here, self.step.query_present_BQ
        if not present_BQ.any():
            return None
        flat = self.model.project_texts(self.features_ND[here.queries_BQ.flatten()])
        texts_BQE = flat.view(*here.queries_BQ.shape, -1)
        logits = self.model.heat_logits(self.reading, texts_BQE)
        own_N = ground_losses(logits, here.query_cover_BQHW, here.query_present_BQ)
        return self.share.gather(own_N, present_BQ.sum(1)).mean()
