"""COCO: JSON files of images, categories and annotations; bbox is x y width height in pixels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import placed_box, placed_mask, polygon_edges, stated_scale
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame
from regionmed.record import Record, Region, Texts


def looks_like_coco(source: Source) -> bool:
    """Whether a JSON file holds both `images` and `annotations`."""
    return any(_load(source, path) is not None for path in source.with_suffix(".json"))


def read_coco(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture that a COCO file lists; other pictures are in the ledger."""
    pictures = Pictures(source.pictures())
    seen: set[str] = set()
    for path in source.with_suffix(".json"):
        content = _load(source, path)
        if content is None:
            continue
        names = _names(source, path, content.get("categories"))
        by_image, losses = _by_image(source, path, content["images"], content["annotations"])
        yield from losses
        for number, entry in enumerate(content["images"], start=1):
            if not isinstance(entry, Mapping):
                yield Loss(f"entry {number} of `images` is no object", path)
                continue
            image = pictures.find(str(entry.get("file_name", "")), path)
            if image is None:
                yield Loss(f"listed in {path}, but no such picture", str(entry.get("file_name")))
            elif image in seen:
                yield Loss(f"listed a second time, in {path}", image)
            else:
                seen.add(image)
                found = by_image[_id(entry, "id")]
                yield from _read_picture(source, path, image, entry, found, names)
    for image in pictures.paths:
        if image not in seen:
            yield Loss("no COCO file lists the picture", image)


def _names(source: Source, path: str, categories: Any) -> dict[Any, str]:
    """Category id -> name."""
    names = {}
    for entry in categories if isinstance(categories, list) else ():
        number = _id(entry, "id")
        if number is None or entry.get("name") is None:
            raise CorpusError(
                f"{source.name}: '{path}' has a category without id or name; write both"
            )
        names[number] = str(entry["name"])
    return names


def _by_image(
    source: Source, path: str, images: list[Any], annotations: list[Any]
) -> tuple[dict[Any, list[Mapping[str, Any]]], list[Loss]]:
    """Image id -> its annotations; and a Loss for each annotation of a picture that is not listed.

    Raises CorpusError where there are annotations and all of them are left over.
    """
    listed = {_id(entry, "id") for entry in images} - {None}
    by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    losses = []
    for number, annotation in enumerate(annotations, start=1):
        key = _id(annotation, "image_id")
        if key in listed:
            by_image[key].append(annotation)
        else:
            reason = "the annotation's image_id is that of no picture in the file"
            losses.append(Loss(reason, path, f"annotation {number}"))
    if losses and not by_image:
        raise CorpusError(
            f"{source.name}: '{path}': none of its {len(losses)} annotations has the image_id of "
            f"one of its {len(images)} pictures; do they belong to another set?"
        )
    return by_image, losses


def _id(entry: Any, key: str) -> int | float | str | None:
    """An id of a JSON object; None where the object or the id is none."""
    value = entry.get(key) if isinstance(entry, Mapping) else None
    return value if isinstance(value, int | float | str) else None


def _read_picture(
    source: Source,
    path: str,
    image: str,
    entry: Mapping[str, Any],
    annotations: list[Mapping[str, Any]],
    names: dict[Any, str],
) -> Iterator[Record | Loss]:
    # a size of 0 is written by exporters that do not know it
    if any(stated_scale(1, entry.get(side) or None) is None for side in ("width", "height")):
        yield Loss(f"{path} states no usable width and height of the picture", image)
        return
    captions = [str(found["caption"]) for found in annotations if "caption" in found]
    if len(captions) > 1:
        yield Loss(f"{len(captions) - 1} further captions of the picture", image)
    marked = [found for found in annotations if "caption" not in found]
    for annotation in marked:
        if _id(annotation, "category_id") not in names:
            raise CorpusError(
                f"{source.name}: '{path}', annotation {annotation.get('id')}: category "
                f"{annotation.get('category_id')} is none of its {len(names)} categories; "
                "is this the annotation file of another set?"
            )
    texts = Texts(caption=captions[0] if captions else None)
    found = partial(_all_regions, marked, names, entry, image)
    yield from assemble(source, image, "coco", found, texts=texts)


def _all_regions(
    annotations: list[Mapping[str, Any]],
    names: dict[Any, str],
    entry: Mapping[str, Any],
    image: str,
    frame: Frame,
) -> Iterator[Region | Loss]:
    # annotations count in the size that the file states; the picture may have been scaled since
    scale = (
        frame.width / float(entry.get("width") or frame.width),
        frame.height / float(entry.get("height") or frame.height),
    )
    for number, annotation in enumerate(annotations, start=1):
        label = names[annotation["category_id"]]
        yield from _regions(annotation, label, scale, frame, image, number)


def _regions(
    annotation: Mapping[str, Any],
    label: str,
    scale: tuple[float, float],
    frame: Frame,
    image: str,
    number: int,
) -> Iterator[Region | Loss]:
    segmentation, bbox = annotation.get("segmentation") or [], annotation.get("bbox")
    if isinstance(segmentation, Mapping):
        yield from _run_lengths(segmentation, label, frame, image, number)
        return
    name = f"region {number} ('{label}')"
    try:
        polygons = [
            [float(value) * scale[i % 2] for i, value in enumerate(corners)]
            for corners in segmentation
            if isinstance(corners, list) and len(corners) >= 6 and len(corners) % 2 == 0
        ]
        numbers = [float(value) for value in bbox] if isinstance(bbox, list) else []
    except (TypeError, ValueError, OverflowError):
        yield Loss("bbox or segmentation holds something that is no number", image, name)
        return
    if len(numbers) == 4:
        x, y, width, height = numbers
        x, width, y, height = x * scale[0], width * scale[0], y * scale[1], height * scale[1]
        edges = (x, y, x + width, y + height)
    elif polygons:
        edges = polygon_edges([value for corners in polygons for value in corners])
    else:
        yield Loss("neither bbox nor polygon", image, name)
        return
    yield placed_box(
        label,
        edges,
        frame,
        image=image,
        number=number,
        shape="polygon" if polygons else "box",
        polygons=polygons,
    )


def _run_lengths(
    segmentation: Mapping[str, Any], label: str, frame: Frame, image: str, number: int
) -> Iterator[Region | Loss]:
    name = f"region {number} ('{label}')"
    counts, size = segmentation.get("counts"), segmentation.get("size")
    if not isinstance(counts, list) or not isinstance(size, list):
        yield Loss(
            "a compressed run-length mask; export it as polygons or plain counts", image, name
        )
        return
    if not all(isinstance(length, int) and length >= 0 for length in (*counts, *size)):
        yield Loss("the run lengths or their size are no whole numbers", image, name)
        return
    if size != [frame.height, frame.width] or sum(counts) > frame.height * frame.width:
        reason = f"the run-length mask is not of its picture's {frame.width} x {frame.height} px"
        yield Loss(reason, image, name)
        return
    pixels = _unrolled(counts, frame.height, frame.width)
    found = placed_mask(label, pixels, frame, image=image, mask_path=None)
    yield Loss("the mask is empty", image, name) if found is None else found


def _unrolled(counts: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """COCO's plain run lengths, background first, column by column -> bool (H, W)."""
    values = np.arange(len(counts)) % 2 == 1
    flat = np.repeat(values, counts)[: height * width]
    flat = np.pad(flat, (0, height * width - len(flat)))
    return flat.reshape(width, height).T.copy()


def _load(source: Source, path: str) -> Mapping[str, Any] | None:
    try:
        content = json.loads(source.text(path))
    except ValueError:
        return None
    if not isinstance(content, Mapping):
        return None
    keys = ("images", "annotations")
    return content if all(isinstance(content.get(key), list) for key in keys) else None
