"""Which picture an annotation belongs to, by name and place in the folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError


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


def first_line(source: Source, path: str) -> str | None:
    """The first line of a member that is not blank; None where all are."""
    return next((line for line in source.text(path).splitlines() if line.strip()), None)


def pair_files(
    source: Source, suffix: str, kind: str, may_open: Callable[[str | None], bool]
) -> tuple[dict[str, str], list[Loss]]:
    """Picture -> the annotation file with its stem; and a Loss for each such file left over.

    kind       how messages call the files: "label file"
    may_open   whether such a file may open with this line; asked of files without a picture, which
               may as well be a licence or a list of names

    Raises CorpusError where there are such files and none belongs to a picture.
    """
    pictures = Pictures(source.pictures())
    files: dict[str, str] = {}
    losses: list[Loss] = []
    for path in source.with_suffix(suffix):
        image = pictures.find(PurePosixPath(path).stem, path)
        if image is None:
            if may_open(first_line(source, path)):
                losses.append(Loss(f"no single picture in the source has this {kind}'s name", path))
        elif image in files:
            losses.append(Loss(f"a second {kind} of the same picture", path))
        else:
            files[image] = path
    if losses and not files:
        raise CorpusError(
            f"{source.name}: none of its {len(losses)} {kind}s has the name of a picture (the "
            f"first: '{losses[0].image}'); are they those of another set?"
        )
    return files, losses


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
