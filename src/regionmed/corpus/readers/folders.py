"""Class folders: the folder that a picture lies in is its label; nothing is marked in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from regionmed.corpus.readers.assemble import assemble
from regionmed.corpus.readers.source import Loss, Source
from regionmed.record import Record

# folders that say what kind of file or which split lies in them, not which class
_NEUTRAL = frozenset({"images", "image", "img", "imgs", "jpegimages", "pictures", "train", "val",
                      "valid", "validation", "test", "training", "testing", "data"})  # fmt: skip
_PICTURES_A_CLASS = 5  # folders with fewer on average hold a patient or a study each


def looks_like_folders(source: Source) -> bool:
    """Whether pictures lie in two or more folders that name a class."""
    return len({_label(path) for path in source.pictures()} - {None}) >= 2


def read_folders(source: Source) -> Iterator[Record | Loss]:
    """A Record a picture, labelled with its folder."""
    for image in source.pictures():
        label = _label(image)
        labels = (label,) if label else ()
        yield from assemble(source, image, "folders", labels=labels)


def class_folders(paths: Iterable[str]) -> dict[str, str]:
    """Picture -> its class folder, where two or more folders with several pictures name one."""
    labels = {path: label for path in paths if (label := _label(path)) is not None}
    kinds = len(set(labels.values()))
    return labels if kinds >= 2 and len(labels) >= _PICTURES_A_CLASS * kinds else {}


def _label(path: str) -> str | None:
    folders = reversed(PurePosixPath(path).parts[:-1])
    return next((folder for folder in folders if folder.casefold() not in _NEUTRAL), None)
