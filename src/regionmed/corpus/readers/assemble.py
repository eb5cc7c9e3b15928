"""One picture with what was found in it -> a Record and the losses on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from regionmed.corpus.readers.places import picture_frame
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.geometry import Frame
from regionmed.record import Provenance, Record, Region


def nothing(frame: Frame) -> Iterable[Region | Loss]:
    """The regions of a picture in which nothing is marked."""
    return ()


def assemble(
    source: Source,
    image: str,
    format: str,
    regions_in: Callable[[Frame], Iterable[Region | Loss]] = nothing,
    **fields: Any,
) -> Iterator[Record | Loss]:
    """The losses among the regions, then the Record; one Loss where the picture cannot be read.

    regions_in   finds the regions once the picture's frame is known
    fields       further fields of the Record: labels, texts, questions
    """
    try:
        frame = picture_frame(source, image)
    except CorpusError as error:
        yield Loss(str(error), image)
        return
    regions: list[Region] = []
    for found in regions_in(frame):
        if isinstance(found, Loss):
            yield found
        else:
            regions.append(found)
    yield Record(
        f"{source.name}/{image}",
        source.name,
        image,
        None,
        frame,
        Provenance(source.name, format),
        regions=tuple(regions),
        **fields,
    )
