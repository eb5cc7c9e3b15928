"""RegionClip: pictures, regions and texts as vectors of one space.

Tensor methods (`read_early`, `read_regions`, `heat_logits`, `text_features`, `project_texts`)
serve training; `embed` and `heat` serve whole corpora; the door (`encode_image`, `encode_regions`,
`encode_text`) takes what people have and gives numpy.
B images · R regions · N texts · E embedding · S pixels a side of the model frame
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from regionmed.batches.batch import boxes_to_unit, cut_out, pad_boxes
from regionmed.errors import UsageError
from regionmed.model.config import ModelConfig
from regionmed.model.dense import DenseHead
from regionmed.model.given import Picture, Places, file_boxes, mask_cover, open_picture
from regionmed.model.pyramid import Pyramid
from regionmed.model.roi_processor import RegionReading, RoiProcessor
from regionmed.model.tower import TowerReading
from regionmed.model.towers import Lite0Tower, build_towers

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One batch of pictures after the image tower: encoded once, asked often.

    levels     pyramid levels fine to coarse, each (B, C, h, w); () for a plain CLIP
    pooled_BD  the tower's own feature
    images_BE  float32, rows of length 1
    """

    levels: tuple[Tensor, ...]
    pooled_BD: Tensor
    images_BE: Tensor


@dataclass(frozen=True)
class Embedded:
    """A batch of pictures and their regions as numpy: unit rows, gates 0..2 (detail, context)."""

    images: Floats
    regions: list[Floats] = field(default_factory=list)
    gates: list[Floats] = field(default_factory=list)


class RegionClip(nn.Module):
    """A CLIP whose image side can be asked about regions; without a region it is the plain CLIP."""

    pixel_mean: Tensor  # float32 (1, 3, 1, 1), of 0..255
    pixel_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.image_size: int  # pixels a side of the model frame
        self.embedding_dim: int
        self.config = config
        self.name = "untrained"
        self.fingerprint = ""
        self.stage = ""
        self.phrases: tuple[str, ...] = ()
        self.training_pictures: frozenset[str] | None = None
        image_tower, text_tower = build_towers(config.image_tower, config.text_tower)
        self.image_tower: Any = image_tower
        self.text_tower: Any = text_tower
        if isinstance(image_tower, Lite0Tower):
            self.image_size, self.embedding_dim = config.image_size, config.embedding_dim
            self.image_projection: nn.Module = nn.Linear(image_tower.pooled_dim, self.embedding_dim)
            self.text_projection: nn.Module = nn.Linear(text_tower.width, self.embedding_dim)
        else:  # a CLIP brings its own frame and its own common space
            self.image_size, self.embedding_dim = image_tower.image_size, image_tower.pooled_dim
            self.image_projection, self.text_projection = nn.Identity(), nn.Identity()
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # exp -> 14.3, CLIP's start
        self.region_log_scale = nn.Parameter(torch.tensor(2.66))
        mean, std = torch.tensor(image_tower.mean), torch.tensor(image_tower.std)
        self.register_buffer("pixel_mean", 255 * mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * std.view(1, 3, 1, 1), persistent=False)
        if config.roi:
            channels = image_tower.level_channels
            self.pyramid: Any = Pyramid(channels, config.pyramid_width)
            self.roi_processor: Any = RoiProcessor(
                config.pyramid_width,
                len(channels),
                image_tower.pooled_dim,
                config.roi_width,
                self.embedding_dim,
                config.coordinates,
            )
            self.dense: Any = DenseHead(config.pyramid_width, self.embedding_dim)
        self.to(memory_format=torch.channels_last)  # twice as fast for Lite0 on a CPU
        self.eval()

    # ---- tensors

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """uint8 or float (B, 3, S, S) in 0..255 -> the early maps of the image tower."""
        images = (images_BCHW.float() - self.pixel_mean) / self.pixel_std
        return self.image_tower.stem(images.contiguous(memory_format=torch.channels_last))

    def read_early(self, early_BCHW: Tensor) -> Reading:
        """Early maps -> pyramid, pooled feature and picture embeddings."""
        early = early_BCHW.contiguous(memory_format=torch.channels_last)
        tower: TowerReading = self.image_tower.trunk(early)
        images_BE = F.normalize(self.image_projection(tower.pooled_BD), dim=-1)
        levels = self.pyramid(tower.levels) if self.config.roi else ()
        return Reading(levels, tower.pooled_BD, images_BE)

    def read_regions(
        self,
        reading: Reading,
        boxes_BR4: Tensor,
        present_BR: Tensor,
        cover_BRHW: Tensor | None = None,
    ) -> RegionReading:
        """The regions of pictures already read (see RoiProcessor.forward)."""
        if boxes_BR4.shape[1] == 0:
            empty = boxes_BR4.new_zeros(len(boxes_BR4), 0, self.embedding_dim)
            return RegionReading(empty, empty[..., :2], reading.images_BE)
        return self.roi_processor(
            reading.levels, reading.pooled_BD, reading.images_BE, boxes_BR4, present_BR, cover_BRHW
        )

    def heat_logits(self, reading: Reading, texts_BNE: Tensor) -> Tensor:
        """Logits (B, N, h, w) that text n of picture b has its finding in a cell."""
        return self.dense(reading.levels[0], texts_BNE)

    def text_features(self, texts: list[str]) -> Tensor:
        """What the text tower gives before projection, float32 (N, width); cached where frozen."""
        return self.text_tower(texts)

    def project_texts(self, features_ND: Tensor) -> Tensor:
        """Text features -> embeddings of length 1, float32 (N, E)."""
        return F.normalize(self.text_projection(features_ND), dim=-1)

    def train(self, mode: bool = True) -> RegionClip:
        """Training mode, for all but the text tower."""
        super().train(mode)
        self.text_tower.eval()
        return self

    # ---- whole corpora, numpy

    @torch.inference_mode()
    def embed(
        self, pixels_NHWC: NDArray[np.uint8], boxes: Sequence[Floats] | None = None
    ) -> Embedded:
        """Pictures in the model frame and, where given, their boxes.

        pixels_NHWC  uint8 (N, S, S, 3), letterboxed as by batches.cache
        boxes        float32 (R_i, 4) a picture, x0 y0 x1 y1 in 0..1 of the model frame
        A plain CLIP without an ROI processor encodes each box's crop.
        """
        reading = self._read(pixels_NHWC)
        images = reading.images_BE.cpu().numpy()
        if boxes is None:
            return Embedded(images)
        if not self.config.roi:
            crops = [
                self._crops(pixels, rows) for pixels, rows in zip(pixels_NHWC, boxes, strict=True)
            ]
            return Embedded(images, crops, [np.zeros((len(rows), 2), np.float32) for rows in boxes])
        boxes_BR4, present_BR = pad_boxes(boxes)
        read = self.read_regions(reading, boxes_BR4.to(self._device), present_BR.to(self._device))
        counts = [len(rows) for rows in boxes]
        regions, gates = read.regions_BRE.cpu().numpy(), read.gates_BR2.cpu().numpy()
        return Embedded(
            images,
            [rows[:count] for rows, count in zip(regions, counts, strict=True)],
            [rows[:count] for rows, count in zip(gates, counts, strict=True)],
        )

    @torch.inference_mode()
    def heat(
        self, pixels_NHWC: NDArray[np.uint8], texts: Sequence[Sequence[str]]
    ) -> list[Floats] | None:
        """Text-to-place maps over the model frame, 0..1: float32 (len(texts_i), h, w) a picture.

        None for a model without a dense head.
        """
        if not self.config.roi:
            return None
        every = sorted({text for row in texts for text in row})
        if not every:
            return [np.zeros((0, 1, 1), np.float32) for _ in texts]
        row_of = {text: row for row, text in enumerate(every)}
        embedded_NE = self.project_texts(self.text_features(every))
        most = max(len(row) for row in texts)
        index = torch.zeros(len(texts), most, dtype=torch.long)
        for picture, row in enumerate(texts):
            index[picture, : len(row)] = torch.tensor([row_of[text] for text in row])
        maps = torch.sigmoid(self.heat_logits(self._read(pixels_NHWC), embedded_NE[index]))
        return [rows[: len(row)].cpu().numpy() for rows, row in zip(maps, texts, strict=True)]

    # ---- the door

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Texts -> float32 (n, d), rows of length 1."""
        if isinstance(texts, str):
            texts = [texts]
        with torch.inference_mode():
            parts = [
                self.project_texts(self.text_features(list(texts[start : start + 64])))
                .cpu()
                .numpy()
                for start in range(0, len(texts), 64)
            ]
        return np.concatenate(parts) if parts else np.zeros((0, self.embedding_dim), np.float32)

    def encode_image(
        self,
        images: Sequence[Picture] | Picture,
        regions: Sequence[Places] | None = None,
    ) -> Floats:
        """Pictures -> float32 (n, d), rows of length 1.

        images   PIL images, uint8 arrays (h, w) or (h, w, 3), or paths (PNG, JPEG, DICOM, ...)
        regions  for each picture its Regions, or boxes (k, 4) x0 y0 x1 y1 in file pixels; the
                 picture's vector is then moved by them. Without regions: the plain CLIP's vector.
        """
        if isinstance(images, (Image.Image, np.ndarray, str, Path)):
            images = [images]
        if regions is None:
            rows = [
                self.embed(open_picture(image, self.image_size)[0][None]).images for image in images
            ]
        else:
            rows = [
                self._read_one(image, few)[1].images_BE.cpu().numpy()
                for image, few in zip(images, regions, strict=True)
            ]
        return np.concatenate(rows) if rows else np.zeros((0, self.embedding_dim), np.float32)

    def encode_regions(self, image: Picture, boxes: Places) -> Floats:
        """One picture and k regions -> float32 (k, d), rows of length 1.

        boxes  (k, 4) x0 y0 x1 y1 in file pixels, or Regions (masks are used where they have one)
        FrameError for a box outside the picture.
        """
        if len(boxes) == 0:
            return np.zeros((0, self.embedding_dim), np.float32)
        if not self.config.roi:
            pixels, placement = open_picture(image, self.image_size)
            return self._crops(
                pixels, boxes_to_unit(file_boxes(boxes, placement.source), placement)
            )
        return self._read_one(image, boxes)[1].regions_BRE[0].cpu().numpy()

    @property
    def reads_regions(self) -> bool:
        """Whether regions are read in the picture; a plain CLIP is shown their crops instead."""
        return self.config.roi

    # ---- inside

    @property
    def _device(self) -> torch.device:
        return self.log_scale.device

    def _read(self, pixels_NHWC: NDArray[np.uint8]) -> Reading:
        images = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).permute(0, 3, 1, 2)
        return self.read_early(self.stem(images.to(self._device)))

    @torch.inference_mode()
    def _read_one(self, image: Picture, boxes: Places) -> tuple[Reading, RegionReading]:
        if not self.config.roi:
            raise UsageError(
                "a plain CLIP has no way to move a picture by its regions; call encode_image "
                "without regions, or load a trained RegionMed run"
            )
        pixels, placement = open_picture(image, self.image_size)
        unit = boxes_to_unit(file_boxes(boxes, placement.source), placement)
        reading = self._read(pixels[None])
        boxes_BR4, present_BR = pad_boxes([unit])
        cover_RHW = mask_cover(boxes, placement, reading.levels[0].shape[-1])
        cover = None if cover_RHW is None else torch.from_numpy(cover_RHW)[None].to(self._device)
        read = self.read_regions(
            reading, boxes_BR4.to(self._device), present_BR.to(self._device), cover
        )
        return reading, read

    @torch.inference_mode()
    def _crops(self, pixels_HWC: NDArray[np.uint8], boxes: Floats) -> Floats:
        if len(boxes) == 0:
            return np.zeros((0, self.embedding_dim), np.float32)
        return self._read(cut_out(pixels_HWC, boxes)).images_BE.cpu().numpy()
