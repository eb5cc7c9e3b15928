"""RegionClip: pictures, regions and texts as vectors of one space.

Tensor methods (`read_early`, `read_regions`, `heat_logits`, `text_features`, `project_texts`)
serve training; `embed` and `heat` serve whole corpora; the door (`encode_image`, `encode_regions`,
`encode_text`) takes what people have and gives numpy.
B images · R regions · N texts · E embedding · S pixels a side of the model frame
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from regionmed.model.alpha import AlphaChannel
from regionmed.model.config import ModelConfig
from regionmed.model.dense import DenseHead
from regionmed.model.given import Picture, Places, file_boxes, mask_cover, open_picture
from regionmed.model.pyramid import Pyramid
from regionmed.model.reading import Embedded, Floats, Reading
from regionmed.model.roi_processor import RegionReading, RoiProcessor
from regionmed.model.roi_zoom import (
    CutOuts,
    Window,
    are_small,
    choose_window,
    cut_out_regions,
    look_again,
)
from regionmed.model.tower import TowerReading
from regionmed.model.towers import build_towers


class RegionClip(nn.Module):
    """A CLIP whose image side can be asked about regions; without a region it is the plain CLIP."""

    pixel_mean: Tensor  # float32 (1, 3, 1, 1), of 0..255
    pixel_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.image_size: int  # pixels a side of the model frame
        self.embedding_dim: int
        self.zoom_budget = 1.0  # what may be spent on a picture's small regions, in forwards
        self.config = config
        self.name = "untrained"
        self.fingerprint = ""
        self.stage = ""
        self.phrases: tuple[str, ...] = ()  # what it may answer
        self.region_phrases: tuple[str, ...] = ()  # of these, what a region is called
        self.training_pictures: frozenset[str] | None = None
        self.base = ""  # digest of what its adapters stand beside; "" where it has none
        image_tower, text_tower = build_towers(config)
        self.image_tower: Any = image_tower
        self.text_tower: Any = text_tower
        self.image_size = image_tower.image_size * config.detail
        if image_tower.joint:  # a CLIP brings its own common space
            self.embedding_dim = image_tower.pooled_dim
            self.image_projection: nn.Module = nn.Identity()
            self.text_projection: nn.Module = nn.Identity()
        else:
            self.embedding_dim = config.embedding_dim
            self.image_projection = nn.Linear(image_tower.pooled_dim, self.embedding_dim)
            self.text_projection = nn.Linear(text_tower.width, self.embedding_dim)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # exp -> 14.3, CLIP's start
        self.region_log_scale = nn.Parameter(torch.tensor(2.66))
        if config.sigmoid:  # SigLIP's start, arXiv 2303.15343: nearly every pair is a no
            self.sigmoid_log_scale = nn.Parameter(torch.tensor(math.log(10)))
            self.sigmoid_bias = nn.Parameter(torch.tensor(-10.0))
        mean, std = torch.tensor(image_tower.mean), torch.tensor(image_tower.std)
        self.register_buffer("pixel_mean", 255 * mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", 255 * std.view(1, 3, 1, 1), persistent=False)
        if config.roi:
            channels = image_tower.level_channels
            self.pyramid: Any = Pyramid(channels, config.pyramid_width)
            self.roi_processor: Any = RoiProcessor(
                config, len(channels), image_tower.pooled_dim, self.embedding_dim, channels[0]
            )
            self.dense: Any = DenseHead(config.pyramid_width, self.embedding_dim)
        if config.regions == "alpha":
            self.alpha: Any = AlphaChannel(image_tower)
        self.to(memory_format=torch.channels_last)  # twice as fast for Lite0 on a CPU
        self.eval()

    # ---- tensors

    def stem(self, frames_BCHW: Tensor) -> Tensor:
        """Pictures in the model frame, 0..255, (B, 3, S, S) -> the early maps of the image tower.

        The tower sees the mean of each `detail` x `detail` pixels.
        """
        return self.fine_stem(F.avg_pool2d(frames_BCHW.float(), self.config.detail))

    def fine_stem(self, pixels_BCHW: Tensor) -> Tensor:
        """The early maps of pixels as they are, 0..255, of any height and width."""
        images = (pixels_BCHW.float() - self.pixel_mean) / self.pixel_std
        return self.image_tower.stem(images.contiguous(memory_format=torch.channels_last))

    def read_early(self, early_BCHW: Tensor) -> Reading:
        """Early maps -> pyramid, pooled feature and picture embeddings."""
        early = early_BCHW.contiguous(memory_format=torch.channels_last)
        tower: TowerReading = self.image_tower.trunk(early)
        images_BE = F.normalize(self.image_projection(tower.pooled_BD), dim=-1)
        levels = self.pyramid(tower.levels) if self.config.roi else ()
        return Reading(tower.levels[0], levels, tower.pooled_BD, images_BE)

    def read_regions(
        self,
        reading: Reading,
        boxes_BR4: Tensor,
        present_BR: Tensor,
        cover_BRHW: Tensor | None = None,
        zoomed: CutOuts | None = None,
    ) -> RegionReading:
        """The regions of pictures already read (see RoiProcessor.forward).

        zoomed  cut-outs of finer pixels; other small regions are cut out of the tower's finest map
        """
        if boxes_BR4.shape[1] == 0:
            empty = boxes_BR4.new_zeros(len(boxes_BR4), 0, self.embedding_dim)
            return RegionReading(empty, empty[..., :2], reading.images_BE)
        small_BR, cutouts = present_BR & are_small(boxes_BR4), None
        # in training always: processes that share a batch must use the same weights
        if self.training or small_BR.any():
            maps_BRCHW = cut_out_regions(reading.fine_BCHW, boxes_BR4)
            if zoomed is not None:
                finer_BR = zoomed.rows_BR[..., None, None, None]
                maps_BRCHW = torch.where(finer_BR, zoomed.maps_BRCHW, maps_BRCHW)
            cutouts = CutOuts(maps_BRCHW, small_BR)
        return self.roi_processor(
            reading.levels,
            reading.pooled_BD,
            reading.images_BE,
            boxes_BR4,
            present_BR,
            cover_BRHW,
            cutouts,
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
        frames = self._frames(pixels_NHWC)
        early = self.stem(frames)
        reading = self.read_early(early)
        images = reading.images_BE.cpu().numpy()
        if boxes is None:
            return Embedded(images)
        gates = [np.zeros((len(rows), 2), np.float32) for rows in boxes]
        if not self.reads_regions:
            pairs = zip(pixels_NHWC, boxes, strict=True)
            return Embedded(images, [self._crops(*pair) for pair in pairs], gates)
        if self.config.regions == "alpha":
            pairs = zip(early, boxes, strict=True)
            return Embedded(images, [self._by_alpha(*pair) for pair in pairs], gates)
        windows = [self._window(rows) for rows in boxes]
        read = self._read_places(frames, reading, boxes, windows)
        counts = [len(rows) for rows in boxes]
        regions, gates_BR2 = read.regions_BRE.cpu().numpy(), read.gates_BR2.cpu().numpy()
        return Embedded(
            images,
            [rows[:count] for rows, count in zip(regions, counts, strict=True)],
            [rows[:count] for rows, count in zip(gates_BR2, counts, strict=True)],
            windows,
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
        reading = self.read_early(self.stem(self._frames(pixels_NHWC)))
        maps = torch.sigmoid(self.heat_logits(reading, embedded_NE[index]))
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
            unit = boxes_to_unit(file_boxes(boxes, placement.source), placement)
            return self.embed(pixels[None], [unit]).regions[0]
        return self._read_one(image, boxes)[1].regions_BRE[0].cpu().numpy()

    @property
    def reads_regions(self) -> bool:
        """Whether regions are read in the picture; others are shown their crops instead."""
        return self.config.regions not in ("none", "crop")

    @property
    def one_forward(self) -> bool:
        """Whether all regions of a picture cost one forward; with crops or alpha each costs one."""
        return self.config.roi

    # ---- inside

    @property
    def _device(self) -> torch.device:
        return self.log_scale.device

    def _frames(self, pixels_NHWC: NDArray[np.uint8]) -> Tensor:
        images = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).permute(0, 3, 1, 2)
        return images.to(self._device)

    def _window(self, boxes_R4: Floats, finer: float = math.inf) -> Window | None:
        if self.config.regions != "zoom":
            return None
        whole = self.config.detail**2 * self.image_tower.stem_share
        boxes_R4 = np.asarray(boxes_R4, np.float32).reshape(-1, 4)
        return choose_window(boxes_R4, self.image_size, self.zoom_budget, whole, finer)

    def _read_places(
        self,
        frames_BCHW: Tensor,
        reading: Reading,
        boxes: Sequence[Floats],
        windows: Sequence[Window | None],
        cover_BRHW: Tensor | None = None,
    ) -> RegionReading:
        boxes_BR4, present_BR = (tensor.to(self._device) for tensor in pad_boxes(boxes))
        zoomed = look_again(frames_BCHW, boxes_BR4, windows, self.fine_stem)
        return self.read_regions(reading, boxes_BR4, present_BR, cover_BRHW, zoomed)

    @torch.inference_mode()
    def _read_one(self, image: Picture, boxes: Places) -> tuple[Reading, RegionReading]:
        if not self.config.roi:
            raise UsageError(
                "a plain CLIP has no way to move a picture by its regions; call encode_image "
                "without regions, or load a trained RegionMed run"
            )
        pixels, placement = open_picture(image, self.image_size)
        unit = boxes_to_unit(file_boxes(boxes, placement.source), placement)
        frames = self._frames(pixels[None])
        reading = self.read_early(self.stem(frames))
        cover_RHW = mask_cover(boxes, placement, reading.levels[0].shape[-1])
        cover = None if cover_RHW is None else torch.from_numpy(cover_RHW)[None].to(self._device)
        finer = self.config.detail / abs(placement.x_scale)
        read = self._read_places(frames, reading, [unit], [self._window(unit, finer)], cover)
        return reading, read

    @torch.inference_mode()
    def _crops(self, pixels_HWC: NDArray[np.uint8], boxes: Floats) -> Floats:
        if len(boxes) == 0:
            return np.zeros((0, self.embedding_dim), np.float32)
        frames = self._frames(cut_out(pixels_HWC, boxes))
        return self.read_early(self.stem(frames)).images_BE.cpu().numpy()

    def _by_alpha(self, early_CHW: Tensor, boxes: Floats) -> Floats:
        if len(boxes) == 0:
            return np.zeros((0, self.embedding_dim), np.float32)
        boxes_R4 = torch.from_numpy(np.asarray(boxes)).to(self._device)
        marked = self.alpha(early_CHW, boxes_R4)
        return self.read_early(marked).images_BE.cpu().numpy()
