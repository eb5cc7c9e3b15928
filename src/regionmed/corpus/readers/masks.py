"""Pictures with mask files: one region a mask, its box the tight box of the foreground.

Three layouts, told from each other by names alone:
  beside     `scan.jpg` with `scan_mask.png`, `scan_mask_1.png` ... in one folder
  parallel   `images/7.jpg` with `masks/7.png` (or labels/, gt/ ...), or `id/images/x.png` with any
             number of files in `id/masks/`
  twin       `001.bmp` with `001.png` in one folder: the masks are the ones with few grey levels
The label is the picture's class folder (`benign/`), or what corpus/known says.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.folders import class_folders
from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import foreground, placed_mask
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame
from regionmed.record import Record, Region

_SUFFIX = re.compile(
    r"(?P<stem>.+?)[_-](mask|masks|seg|segmentation|gt|groundtruth)(_?\d+)?", re.IGNORECASE
)
_FOLDERS = frozenset({"mask", "masks", "labels", "label", "gt", "groundtruth", "ground_truth",
                      "annotations", "seg", "segmentation", "segmentations"})  # fmt: skip
_FEW_LEVELS = 8  # a mask file has at most so many distinct values


def looks_like_masks(source: Source) -> bool:
    """Whether pictures and masks can be paired by their names."""
    return bool(mask_pairs(source))


def read_masks(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture; a picture whose masks are empty or absent has no regions."""
    pairs = mask_pairs(source)
    masks = {path for paths in pairs.values() for path in paths}
    folders = class_folders(pairs)
    for image in source.pictures():
        if image in masks:
            continue
        if image not in pairs:
            yield Loss("the picture has no mask file", image)
            continue
        folder = folders.get(image)
        label = folder or str(source.hints.get("label", "region"))
        found = partial(_regions, source, image, pairs[image], label)
        labels = (folder,) if folder else ()
        yield from assemble(source, image, "masks", found, labels=labels)


def _regions(
    source: Source, image: str, masks: list[str], label: str, frame: Frame
) -> Iterator[Region | Loss]:
    for path in masks:
        try:
            pixels = foreground(source.read(path), path)
        except CorpusError as error:
            yield Loss(str(error), image, f"mask '{path}'")
            continue
        found = placed_mask(label, pixels, frame, image=image, mask_path=path)
        if found is not None:
            yield found


def mask_pairs(source: Source) -> dict[str, list[str]]:
    """Picture -> its mask files, both in the order of their names; empty where none belong."""
    paths = source.pictures()
    return _beside(paths) or _parallel(paths) or _twins(source, paths)


def _beside(paths: list[str]) -> dict[str, list[str]]:
    names = set(paths)
    by_stem = {str(PurePosixPath(path).with_suffix("")): path for path in paths}
    pairs: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        pure = PurePosixPath(path)
        match = _SUFFIX.fullmatch(pure.stem)
        image = by_stem.get(str(pure.with_name(match["stem"]))) if match else None
        if image is not None and image in names:
            pairs[image].append(path)
    return dict(pairs)


def _parallel(paths: list[str]) -> dict[str, list[str]]:
    masks = [path for path in paths if _mask_folder(path) is not None]
    pictures = Pictures(path for path in paths if _mask_folder(path) is None)
    alone = defaultdict(list)
    for path in pictures.paths:
        alone[PurePosixPath(path).parent.parent.as_posix()].append(path)
    pairs: dict[str, list[str]] = defaultdict(list)
    for path in masks:
        stem = PurePosixPath(path).stem
        match = _SUFFIX.fullmatch(stem)
        image = pictures.find(stem, path)
        if image is None and match:
            image = pictures.find(match["stem"], path)
        beside = alone.get(PurePosixPath(path).parent.parent.as_posix(), [])
        if image is None and len(beside) == 1:
            image = beside[0]
        if image is not None:
            pairs[image].append(path)
    return dict(pairs)


def is_mask_name(path: str) -> bool:
    """Whether a member is a mask by its name or its folder alone."""
    return bool(_mask_folder(path) or _SUFFIX.fullmatch(PurePosixPath(path).stem))


def _mask_folder(path: str) -> str | None:
    folders = PurePosixPath(path).parts[:-1]
    return next((folder for folder in reversed(folders) if folder.casefold() in _FOLDERS), None)


def _twins(source: Source, paths: list[str]) -> dict[str, list[str]]:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_stem[str(PurePosixPath(path).with_suffix(""))].append(path)
    couples = [couple for couple in by_stem.values() if len(couple) == 2]
    if not couples:
        return {}
    endings = sorted({PurePosixPath(path).suffix for path in couples[0]})
    levels = {
        ending: max(
            _levels(source, path)
            for couple in couples[:5]
            for path in couple
            if path.endswith(ending)
        )
        for ending in endings
        if any(path.endswith(ending) for couple in couples[:5] for path in couple)
    }
    mask_ending = min(levels, key=lambda ending: levels[ending])
    if len(levels) != 2 or levels[mask_ending] > _FEW_LEVELS:
        return {}
    pairs = {}
    for couple in couples:
        mask = [path for path in couple if path.endswith(mask_ending)]
        picture = [path for path in couple if not path.endswith(mask_ending)]
        if mask and picture:
            pairs[picture[0]] = mask
    return pairs


def _levels(source: Source, path: str) -> int:
    """Distinct grey levels of a picture file; many where it cannot be read."""
    try:
        with Image.open(io.BytesIO(source.read(path))) as image:
            return len(np.unique(np.asarray(image.convert("L"))))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return 256
