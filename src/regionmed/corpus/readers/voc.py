"""Pascal VOC: one XML file a picture, boxes as xmin ymin xmax ymax."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.pairing import Pictures
from regionmed.corpus.readers.places import placed_box
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame
from regionmed.record import Record, Region


def looks_like_voc(source: Source) -> bool:
    """Whether one of the first XML files is a VOC annotation."""
    return any(_parse(source, path) is not None for path in source.with_suffix(".xml")[:5])


def read_voc(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture that has an XML file; pictures without one are in the ledger."""
    pictures = Pictures(source.pictures())
    seen: set[str] = set()
    for path in source.with_suffix(".xml"):
        root = _parse(source, path)
        if root is None:
            yield Loss("the XML file is no VOC annotation", path)
            continue
        image = pictures.find(root.findtext("filename") or "", path)
        image = image or pictures.find(PurePosixPath(path).stem, path)
        if image is None:
            yield Loss("no picture in the source has this annotation's name", path)
        elif image in seen:
            yield Loss("a second annotation of the same picture", path)
        else:
            seen.add(image)
            yield from assemble(source, image, "voc", partial(_regions, root, image))
    for image in pictures.paths:
        if image not in seen:
            yield Loss("the picture has no VOC annotation", image)


def _regions(root: Element, image: str, frame: Frame) -> Iterator[Region | Loss]:
    for number, element in enumerate(root.iter("object"), start=1):
        label = (element.findtext("name") or "").strip()
        if label:
            yield _region(root, element, label, frame, image, number)
        else:
            yield Loss("the object has no name", image, f"region {number}")


def _region(
    root: Element,
    element: Element,
    label: str,
    frame: Frame,
    image: str,
    number: int,
) -> Region | Loss:
    try:
        tags = ("xmin", "ymin", "xmax", "ymax")
        x0, y0, x1, y1 = (float(element.findtext(f"bndbox/{tag}") or "") for tag in tags)
    except ValueError:
        return Loss("the object has no complete bndbox", image, f"region {number} ('{label}')")
    if "VOC20" in (root.findtext("source/database") or ""):
        # VOC's own files count from 1 and xmax is the last pixel inside; other writers (bccd: 0
        # never occurs but xmax = width does; tbx11k) give outer edges counted from 0
        x0, y0 = x0 - 1, y0 - 1
    # boxes are in pixels of <size>, which need not be those of the picture beside it: tbx11k states
    # the original radiograph (1833 x 2022) of a picture that was scaled down
    x_scale = frame.width / (_number(root, "size/width") or frame.width)
    y_scale = frame.height / (_number(root, "size/height") or frame.height)
    edges = (x0 * x_scale, y0 * y_scale, x1 * x_scale, y1 * y_scale)
    return placed_box(label, edges, frame, image=image, number=number)


def _number(root: Element, tag: str) -> float:
    try:
        return float(root.findtext(tag) or 0)
    except ValueError:
        return 0.0


def _parse(source: Source, path: str) -> Element | None:
    try:
        root = fromstring(source.read(path))
    except DefusedXmlException:  # itself a ValueError, so it comes first
        raise CorpusError(
            f"{source.name}: '{path}' declares XML entities, which no VOC file needs; it is refused"
        ) from None
    except (ParseError, ValueError):
        return None
    if root.tag != "annotation":
        return None
    return root if root.find("size") is not None or root.find("object") is not None else None
