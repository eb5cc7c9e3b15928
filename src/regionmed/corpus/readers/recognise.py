"""Which format a source is in, from its layout and the first lines of its files."""

from __future__ import annotations

from regionmed.corpus.pixels import is_dicom
from regionmed.corpus.readers.boxes import looks_like_boxes
from regionmed.corpus.readers.coco import looks_like_coco
from regionmed.corpus.readers.folders import looks_like_folders
from regionmed.corpus.readers.masks import looks_like_masks
from regionmed.corpus.readers.points import looks_like_points
from regionmed.corpus.readers.source import Source
from regionmed.corpus.readers.tables import read_tables
from regionmed.corpus.readers.texts import looks_like_texts
from regionmed.corpus.readers.voc import looks_like_voc
from regionmed.corpus.readers.yolo import looks_like_yolo
from regionmed.errors import CorpusError

# formats that say something of their pictures: of two in one source only a person can choose
_MARKED = {
    "coco": looks_like_coco,
    "voc": looks_like_voc,
    "yolo": looks_like_yolo,
    "points": looks_like_points,
    "boxes": looks_like_boxes,
    "texts": looks_like_texts,
    "masks": looks_like_masks,
}


def recognise(source: Source) -> str:
    """The name in READERS of the source's format.

    Raises CorpusError where several formats lie side by side, and where none is found.
    """
    found = [name for name, looks_like in _MARKED.items() if looks_like(source)]
    if len(found) > 1:
        raise CorpusError(
            f"{source.name} holds several formats, {' and '.join(found)}; say which to read: "
            + " or ".join(f"--format {name}" for name in found)
        )
    if found:
        return found[0]
    if any(is_dicom(source.read(path)) for path in source.paths[:20]):
        return "dicom"
    if looks_like_folders(source):
        return "folders"
    if not source.pictures():
        raise CorpusError(
            f"{source.name} holds {len(source.paths)} files but no picture and no table of texts"
        )
    for table in read_tables(source):
        if table.column("image"):
            raise CorpusError(
                f"{source.name}: {table.path} has the columns {', '.join(table.columns[:12])}; a "
                "table of boxes needs a label and xmin, ymin, xmax, ymax or x, y, width, height, "
                "a table of texts caption, or question and answer"
            )
    raise CorpusError(
        f"{source.name} holds {len(source.pictures())} pictures, but no annotations that are "
        "recognised; give --format if you know theirs, or sort the pictures into class folders"
    )
