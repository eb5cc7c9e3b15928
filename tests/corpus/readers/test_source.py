"""Folders, tars and zips are seen alike, and none may reach outside itself."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from regionmed.corpus.readers.source import open_source
from regionmed.errors import CorpusError


def make_tar(path: Path, names: list[str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return path


def make_zip(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_an_archive_is_named_by_its_stem_and_loses_its_top_folder(tmp_path: Path, ending: str):
    names = ["films/images/b.png", "films/a.txt"]
    path = tmp_path / f"films.{ending}"
    if ending == "zip":
        make_zip(path, names)
    else:
        make_tar(path, names, "w:gz" if ending == "tar.gz" else "w")
    source = open_source(path)
    assert source.name == "films"
    assert source.paths == ("a.txt", "images/b.png")
    assert source.read("images/b.png") == b"films/images/b.png"


def test_two_top_folders_stay(tmp_path: Path):
    source = open_source(make_tar(tmp_path / "x.tar", ["train/a.png", "val/b.png"]))
    assert source.paths == ("train/a.png", "val/b.png")


def test_a_folder_keeps_all_its_folders(tmp_path: Path):
    (tmp_path / "set" / "only").mkdir(parents=True)
    (tmp_path / "set" / "only" / "a.txt").write_text("a")
    assert open_source(tmp_path / "set").paths == ("only/a.txt",)


def test_litter_of_desktops_is_not_seen(tmp_path: Path):
    names = ["s/a.png", "s/.DS_Store", "__MACOSX/s/._a.png", "s/Thumbs.db"]
    assert open_source(make_zip(tmp_path / "s.zip", names)).paths == ("a.png",)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "s/../../evil.txt", "/etc/evil.txt", "C:/evil.txt"]
)
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_a_member_that_leaves_the_archive_is_refused(tmp_path: Path, name: str, kind: str):
    path = tmp_path / f"s.{kind}"
    if kind == "zip":
        make_zip(path, ["s/a.txt", name])
    else:
        make_tar(path, ["s/a.txt", name], "w:gz" if kind == "tar.gz" else "w")
    with pytest.raises(CorpusError, match="points outside"):
        open_source(path)


def test_links_in_a_tar_are_not_followed(tmp_path: Path):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("s/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("s/a.txt"), io.BytesIO())
    assert open_source(path).paths == ("a.txt",)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "is empty"),
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("a"), "is a single file"),
    ],
)
def test_what_is_no_source_is_told_in_one_sentence(tmp_path: Path, make, sentence: str):
    path = tmp_path / "source"
    make(path)
    with pytest.raises(CorpusError, match=sentence):
        open_source(path)


def test_a_zip_under_a_password_cannot_be_read_and_says_so(tmp_path: Path):
    path = make_zip(tmp_path / "s.zip", ["s/a.txt"])
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + flags] |= 1  # the bit that says "encrypted"
    path.write_bytes(bytes(data))
    with pytest.raises(CorpusError, match=r"'a\.txt' cannot be read"):
        open_source(path).read("a.txt")


def test_text_of_unknown_encoding_is_still_text(tmp_path: Path):
    (tmp_path / "latin.txt").write_bytes("größer".encode("latin-1"))
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfimage,label")
    source = open_source(tmp_path)
    assert source.text("latin.txt") == "größer"
    assert source.text("marked.txt") == "image,label"


@pytest.mark.parametrize(("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")])
def test_an_archive_that_was_cut_short_says_so(tmp_path: Path, ending: str, mode: str):
    noise = random.Random(0).randbytes(30_000)  # nothing that compression could shorten
    path = tmp_path / f"s.{ending}"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in ("s/a.bin", "s/b.bin"):
            info = tarfile.TarInfo(name)
            info.size = len(noise)
            archive.addfile(info, io.BytesIO(noise))
    path.write_bytes(path.read_bytes()[:25_000])
    with pytest.raises(CorpusError, match=r"cannot be unpacked .* copy it again"):
        open_source(path)


def test_a_zip_without_its_end_says_so(tmp_path: Path):
    path = make_zip(tmp_path / "s.zip", ["s/a.txt"])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorpusError, match=r"cannot be unpacked \(no archive\)"):
        open_source(path)
