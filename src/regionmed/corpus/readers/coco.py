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
from regionmed.corpus.readers.places import placed_box, placed_mask, polygon_edges
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
        by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation.get("image_id")].append(annotation)
        names = {entry["id"]: str(entry["name"]) for entry in content.get("categories", ())}
        for entry in content["images"]:
            image = pictures.find(str(entry.get("file_name", "")), path)
            if image is None:
                yield Loss(f"listed in {path}, but no such picture", str(entry.get("file_name")))
            elif image in seen:
                yield Loss(f"listed a second time, in {path}", image)
            else:
                seen.add(image)
                yield from _read_picture(
                    source, path, image, entry, by_image[entry.get("id")], names
                )
    for image in pictures.paths:
        if image not in seen:
            yield Loss("no COCO file lists the picture", image)


def _read_picture(
    source: Source,
    path: str,
    image: str,
    entry: Mapping[str, Any],
    annotations: list[Mapping[str, Any]],
    names: dict[Any, str],
) -> Iterator[Record | Loss]:
    captions = [str(found["caption"]) for found in annotations if "caption" in found]
    if len(captions) > 1:
        yield Loss(f"{len(captions) - 1} further captions of the picture", image)
    marked = [found for found in annotations if "caption" not in found]
    for annotation in marked:
        if annotation.get("category_id") not in names:
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
        frame.width / (entry.get("width") or frame.width),
        frame.height / (entry.get("height") or frame.height),
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
    segmentation = annotation.get("segmentation") or []
    bbox = annotation.get("bbox") or []
    if isinstance(segmentation, Mapping):
        yield from _run_lengths(segmentation, label, frame, image, number)
        return
    polygons = [
        [float(value) * scale[i % 2] for i, value in enumerate(corners)]
        for corners in segmentation
        if isinstance(corners, list) and len(corners) >= 6 and len(corners) % 2 == 0
    ]
    if len(bbox) == 4:
        x, y, width, height = (float(value) for value in bbox)
        x, width, y, height = x * scale[0], width * scale[0], y * scale[1], height * scale[1]
        edges = (x, y, x + width, y + height)
    elif polygons:
        edges = polygon_edges([value for corners in polygons for value in corners])
    else:
        yield Loss("neither bbox nor polygon", image, f"region {number} ('{label}')")
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
    height, width = size
    found = placed_mask(label, _unrolled(counts, height, width), frame, image=image, mask_path=None)
    if found is None:
        yield Loss("the mask is empty", image, name)
    else:
        yield found


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
