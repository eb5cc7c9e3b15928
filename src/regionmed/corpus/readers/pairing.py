"""Which picture an annotation belongs to, by name and place in the folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from regionmed.corpus.readers.source import Source


class Pictures:
    """Member paths of pictures, found again by whatever name an annotation uses for them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(sorted(paths))
        self._by_path = {path.casefold(): path for path in self.paths}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            pure = PurePosixPath(path)
            self._by_name[pure.name.casefold()].append(path)
            self._by_stem[pure.stem.casefold()].append(path)

    def find(self, name: str, beside: str = "") -> str | None:
        """The picture meant by a path, a file name or a stem; `beside` is the annotation's path.

        Of several pictures with the same name the one whose folders are most like the annotation's
        is taken; None where there is none, or where two are equally like it.
        """
        name = name.strip().replace("\\", "/").removeprefix("./").casefold()
        if not name:
            return None
        folder = PurePosixPath(beside).parent.as_posix().casefold()
        for whole in (f"{folder}/{name}", name):
            if whole in self._by_path:
                return self._by_path[whole]
        last = name.rpartition("/")[2]
        candidates = self._by_name.get(last) or self._by_stem.get(last)
        if not candidates:
            # the annotation may know the picture under another ending: film.png for film.jpg
            candidates = self._by_stem.get(PurePosixPath(last).stem, [])
        where = f"{folder}/{name}" if "/" not in name else name
        return _most_alike(candidates, where)


def files_beside_pictures(source: Source, suffix: str) -> list[str]:
    """Members with this suffix that share their stem with a picture, wherever they lie."""
    stems = {PurePosixPath(path).stem for path in source.pictures()}
    return [path for path in source.with_suffix(suffix) if PurePosixPath(path).stem in stems]


def _most_alike(candidates: list[str], where: str) -> str | None:
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    wanted = PurePosixPath(where).parts[:-1]
    ranked = sorted(candidates, key=lambda path: _likeness(path, wanted), reverse=True)
    first, second = (_likeness(path, wanted) for path in ranked[:2])
    return ranked[0] if first > second else None


def _likeness(path: str, wanted: tuple[str, ...]) -> tuple[int, int]:
    """Folders of the same name (images/train, labels/train), then shared leading folders."""
    folders = PurePosixPath(path.casefold()).parts[:-1]
    leading = 0
    for mine, theirs in zip(folders, wanted, strict=False):
        if mine != theirs:
            break
        leading += 1
    return len(set(folders) & set(wanted)), leading
