"""A benchmark from the user's own copy: its layout checked, its rows read, its split known.

`open_benchmark` takes a name, and a folder or archive with the publisher's files, or a corpus that
was built from them. What is missing is named, all of it in one sentence.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regionmed.corpus.build import build_corpus
from regionmed.corpus.readers.source import Source, open_source
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.errors import CorpusError, UsageError
from regionmed.evaluation.benchmark_card import Card, Need, load_card
from regionmed.evaluation.benchmark_copy import (
    lay_out,
    placed_splits,
    shipped_splits,
    without_ending,
)
from regionmed.evaluation.published import benchmark_page
from regionmed.progress import Track, silent

PAGE = "benchmark.md"
_MOST_NAMED = 20  # missing files named in one message


@dataclass(frozen=True)
class Benchmark:
    """A card, the corpora with its rows, the split that is scored, and what is odd of this copy."""

    card: Card
    corpora: tuple[Corpus, ...]
    split: str
    remarks: tuple[str, ...]  # sentences for the report


def open_benchmark(name: str, copy: Path, work: Path, track: Track = silent) -> Benchmark:
    """The benchmark `name` on the user's copy.

    copy   the publisher's files as a folder, tar or zip, or a corpus folder built from them
    work   where a corpus is built from files, as `work`/NAME; an older one there is replaced

    UsageError where there is no such benchmark or no reader for its files; CorpusError where files
    are missing (each is named) or the corpus is not this benchmark's.
    """
    card = load_card(name)
    if (copy / "manifest.json").is_file():
        return _from_corpus(card, open_corpus(copy))
    if card.reading.format is None:
        raise UsageError(f"{name}: no reader takes the publisher's files yet: {card.reading.note}")
    source = open_source(copy)
    missing = tuple(missing_files(card, source))
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise CorpusError(
            f"'{copy}' lacks files of {name}: {'; '.join(missing[:_MOST_NAMED])}{more}. "
            f"To obtain them: {card.how_to_obtain}"
        )
    corpus = _build(card, copy, source, work, track)
    return Benchmark(card, (corpus,), card.split, tuple(_other_versions(card, source)))


def open_copy(
    name: str, copies: Sequence[Path], out: Path, split: str, track: Track = silent
) -> list[Corpus]:
    """The corpora of a benchmark for `regionmed evaluate`, and `out`/benchmark.md on it.

    A corpus built from files stays in `out`/corpora, to be given the next time. UsageError where
    there is not exactly one copy, or where `out` is a file; else as `open_benchmark`.
    """
    if len(copies) != 1:
        raise UsageError(f"--benchmark {name} takes one --corpus, your copy; {len(copies)} came")
    if any(path.is_file() for path in (out, *out.parents)):
        raise UsageError(f"--out {out} is a file or lies below one; give a folder")
    found = open_benchmark(name, copies[0], out / "corpora", track)
    out.mkdir(parents=True, exist_ok=True)
    aside = out / f".{PAGE}"
    aside.write_text(benchmark_page(found.card, split, found.remarks), encoding="utf-8")
    os.replace(aside, out / PAGE)
    return list(found.corpora)


def missing_files(card: Card, source: Source) -> Iterator[str]:
    """What the copy lacks, a phrase a file or pattern; nothing where it is complete."""
    members = set(source.paths)
    placed, missing = placed_splits(card, source)
    for path in missing:
        yield f"'{path}' (a picture)"
    for need in card.layout:
        if "{" in need.pattern:
            for row in placed:
                path = _beside(need.pattern, row["image"])
                if not row["exclude"] and path not in members:
                    yield f"'{path}' ({need.what})"
            continue
        found = len(_matching(need, source))
        if found < need.count:
            counted = f", {need.count} needed, {found} found" if need.count > 1 else ""
            yield f"'{need.pattern}' ({need.what}{counted})"


def _beside(pattern: str, image: str) -> str:
    folder = PurePosixPath(image).parent
    return pattern.format(
        stem=PurePosixPath(image).stem, folder=folder, last=folder.name, above=folder.parent
    )


def _matching(need: Need, source: Source) -> list[str]:
    return fnmatch.filter(source.paths, need.pattern)


def _other_versions(card: Card, source: Source) -> Iterator[str]:
    """A remark on each file that is not the one the card was written from."""
    for need in card.layout:
        for path in _matching(need, source) if need.sha256 else ():
            if hashlib.sha256(source.read(path)).hexdigest() != need.sha256:
                yield (
                    f"'{path}' of this copy is not the file that the card describes; "
                    f"versions: {card.version}"
                )


def _build(card: Card, copy: Path, source: Source, work: Path, track: Track) -> Corpus:
    """The corpus `work`/NAME of the copy, built anew."""
    out = work / card.name
    if out.exists():
        open_corpus(out)  # nothing but an older corpus is ever replaced
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{card.name}-", dir=work) as aside:
        root = copy if copy.is_dir() else None
        laid_out, splits = lay_out(card, source, root, Path(aside), track)
        built = Path(aside) / "corpus"
        build_corpus([laid_out], built, format=card.reading.format, splits=splits, track=track)
        if out.exists():
            shutil.rmtree(out)
        built.rename(out)
    return open_corpus(out)


def _from_corpus(card: Card, whole: Corpus) -> Benchmark:
    """The benchmark's set in a corpus that holds it; its splits have to be the card's."""
    corpus = whole.only(card.name)
    shipped = {without_ending(row["image"]): row for row in shipped_splits(card)}
    splits = {without_ending(record.image or ""): record.split for record in corpus}
    moved = sum(splits.get(image, row["split"]) != row["split"] for image, row in shipped.items())
    if moved:
        raise CorpusError(
            f"'{whole.folder}': {moved} of {len(corpus)} pictures of {card.name} are in another "
            "split than the benchmark's; give the publisher's files, which are then split as it is"
        )
    lacking = sum(image not in splits and not row["exclude"] for image, row in shipped.items())
    remarks = (f"{lacking} of the benchmark's pictures are not in this corpus",) if lacking else ()
    return Benchmark(card, (corpus,), card.split, remarks)
