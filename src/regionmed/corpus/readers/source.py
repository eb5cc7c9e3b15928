"""What a reader is given and what it gives back.

A Source is a folder, a tar or a zip seen as a list of member paths and their bytes. A reader is
a function `read(source) -> Iterator[Record | Loss]`: a Record for each picture (regions in file
pixels; `picture` and `sha256` may be left empty, build.py fills them), a Loss for each picture or
region that could not be kept.
"""

from __future__ import annotations

import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from regionmed.errors import CorpusError
from regionmed.record import Record

PICTURE_SUFFIXES = frozenset({
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".webp",
    ".gif", ".jp2", ".dcm", ".dicom", ".ima",
})  # fmt: skip
_ARCHIVES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
# Left behind by desktops and archivers; never part of a data set.
_LITTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Loss:
    """One line of the ledger: what was not kept, and why."""

    reason: str
    image: str | None = None  # member path of the picture or file
    region: str | None = None  # "region 3 ('RBC')"; None where the whole picture is lost

    def as_line(self, set_name: str) -> dict[str, str | None]:
        """The line as it stands in ledger.jsonl."""
        return {
            "set": set_name,
            "image": self.image,
            "region": self.region,
            "reason": self.reason,
        }


Reader = Callable[["Source"], Iterator[Record | Loss]]


@dataclass(frozen=True)
class Source:
    """Members of a folder or an archive, below its single top folder where an archive has one."""

    name: str
    paths: tuple[str, ...]  # sorted member paths, "/" separated
    fetch: Callable[[str], bytes] = field(repr=False, compare=False)
    hints: Mapping[str, Any] = field(default_factory=dict)  # from corpus/known, for the reader

    def read(self, path: str) -> bytes:
        """The bytes of a member; CorpusError where it cannot be read."""
        try:
            return self.fetch(path)
        # RuntimeError: a zip member under a password; NotImplementedError: an unknown compression
        except (
            OSError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            tarfile.TarError,
        ) as error:
            raise CorpusError(
                f"{self.name}: member '{path}' cannot be read ({type(error).__name__})"
            ) from None

    def text(self, path: str) -> str:
        """A member as text: UTF-8 with or without mark, else Latin-1."""
        data = self.read(path)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Member paths that end in one of the suffixes, case folded."""
        return [path for path in self.paths if PurePosixPath(path).suffix.lower() in suffixes]

    def pictures(self) -> list[str]:
        """Member paths that look like pictures by their suffix."""
        return self.with_suffix(*PICTURE_SUFFIXES)

    def hinted(self, hints: Mapping[str, Any]) -> Source:
        """The same members with a known set's hints for the reader."""
        return replace(self, hints=hints)


def open_source(path: Path) -> Source:
    """A folder, tar or zip as a Source.

    Raises CorpusError where there is nothing, where the file is no archive, or where a member would
    leave the archive's folder.
    """
    if path.is_dir():
        source = _open_folder(path)
    elif not path.exists():
        raise CorpusError(
            f"source '{path}' does not exist; give a folder, a .tar or a .zip of annotated pictures"
        )
    else:
        source = _open_archive(path)
    if not source.paths:
        raise CorpusError(f"source '{path}' is empty; it needs pictures and their annotations")
    return source


def _open_archive(path: Path) -> Source:
    try:
        if zipfile.is_zipfile(path):
            return _open_zip(path)
        if tarfile.is_tarfile(path):
            return _open_tar(path)
    # a compressed tar that is cut short ends in its decompressor's own error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        OSError,
    ) as e:
        reason = getattr(e, "strerror", None) or type(e).__name__
    else:
        if not path.name.lower().endswith(_ARCHIVES):
            raise CorpusError(f"source '{path}' is a single file; give a folder, a .tar or a .zip")
        reason = "no archive"
    raise CorpusError(
        f"source '{path}' cannot be unpacked ({reason}); if it was cut short, copy it again"
    )


def _open_folder(path: Path) -> Source:
    members = {
        file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()
    }
    paths = tuple(sorted(member for member in members if not _is_litter(member)))
    return Source(path.resolve().name, paths, lambda member: members[member].read_bytes())


def _open_zip(path: Path) -> Source:
    archive = zipfile.ZipFile(path)
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    inner = _inner_names(names, path)
    return Source(_stem(path), tuple(sorted(inner)), lambda member: archive.read(inner[member]))


def _open_tar(path: Path) -> Source:
    archive = tarfile.open(path)  # noqa: SIM115  (stays open as long as the Source lives)
    files = {info.name: info for info in archive.getmembers() if info.isfile()}
    inner = _inner_names(list(files), path)
    if not hasattr(archive.fileobj, "raw"):
        # A compressed tar cannot be read at random: every step back would unpack it from the start.
        folder = tempfile.TemporaryDirectory(prefix="regionmed-")
        archive.extractall(folder.name, members=list(files.values()), filter="data")

        def unpacked(member: str) -> bytes:
            return (Path(folder.name) / inner[member]).read_bytes()

        return Source(_stem(path), tuple(sorted(inner)), unpacked)

    def fetch(member: str) -> bytes:
        stream = archive.extractfile(files[inner[member]])
        if stream is None:
            raise KeyError(member)
        return stream.read()

    return Source(_stem(path), tuple(sorted(inner)), fetch)


def _inner_names(names: list[str], archive: Path) -> dict[str, str]:
    """Path below the single top folder -> name in the archive; litter left out."""
    clean: dict[str, str] = {}
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith("/") or ".." in parts or ":" in (parts[0] if parts else ""):
            raise CorpusError(
                f"{archive.name}: member '{name}' points outside the archive, which is refused"
            )
        member = "/".join(parts)
        if not _is_litter(member):
            clean[member] = name
    tops = {member.partition("/")[0] for member in clean}
    if len(tops) == 1 and all("/" in member for member in clean):
        return {member.partition("/")[2]: name for member, name in clean.items()}
    return clean


def _is_litter(member: str) -> bool:
    parts = PurePosixPath(member).parts
    return any(part.startswith(".") or part in _LITTER for part in parts)


def _stem(path: Path) -> str:
    name = path.name
    for suffix in _ARCHIVES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem
