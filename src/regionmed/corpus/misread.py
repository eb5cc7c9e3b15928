"""Numbers read in another meaning than they were written: noticed once a source is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regionmed.corpus.readers.places import BACKWARDS
from regionmed.corpus.readers.source import Loss
from regionmed.errors import CorpusError
from regionmed.record import Record

MANY = 0.1  # share of backward boxes from which they are misread rather than a few rows wrong
FEW = 3  # so many backward boxes happen in good files, unless no region at all is left
_READ_AS = {
    "boxes": "x0, y0, x1, y1; if the numbers are x, y, width, height, name the columns so",
    "voc": "xmin, ymin, xmax, ymax; if the numbers are x, y, width, height, write the edges, or "
    "make it a table with these columns",
}
_SIZES = "a place and a size; a width or height below 0 is none, so correct the file"


def refuse_misread(
    found: Iterable[Record | Loss], name: str, format: str
) -> Iterator[Record | Loss]:
    """What a reader found, passed through; at its end a CorpusError where the boxes were misread.

    That is where more than MANY of them end before they begin, or where all regions are lost so.
    """
    kept, backward, first = 0, 0, ""
    for entry in found:
        if isinstance(entry, Record):
            kept += len(entry.regions)
        elif entry.reason == BACKWARDS:
            first = first or f"'{entry.image}', {entry.region}"
            backward += 1
        yield entry
    written = kept + backward
    if backward and (kept == 0 or (backward >= FEW and backward > MANY * written)):
        raise CorpusError(
            f"{name}: {backward} of {written} boxes end before they begin (the first: {first}) "
            f"when read as {_READ_AS.get(format, _SIZES)}"
        )
