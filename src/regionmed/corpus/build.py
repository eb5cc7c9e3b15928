"""build_corpus: annotated files in, a corpus folder out, every loss in its ledger.

    readers -> pixels -> stage -> twins, splits, texts -> shards

Records stream through a first set of shards on disk, so that memory holds no pictures; splits are
known only when all twins are, and are written in a second pass. Everything happens in a folder
beside `out`, which takes its name at the very end.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regionmed.corpus.describe import region_phrase
from regionmed.corpus.inside import Outside, inside
from regionmed.corpus.known import Completion, Known, find_known
from regionmed.corpus.ledger import Ledger
from regionmed.corpus.misread import refuse_misread
from regionmed.corpus.pixels import encode_picture, read_picture
from regionmed.corpus.readers import READERS
from regionmed.corpus.readers.masks import is_mask_name, mask_pairs
from regionmed.corpus.readers.recognise import recognise
from regionmed.corpus.readers.source import Loss, Source, open_source
from regionmed.corpus.settle import Draft, rulings, settle
from regionmed.corpus.shard_writer import ShardWriter, write_manifest
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.corpus.sheet import write_sheet
from regionmed.corpus.splits import SplitsTable
from regionmed.corpus.summary import Counts
from regionmed.corpus.twins import Look, look_at
from regionmed.errors import CorpusError
from regionmed.progress import Track, silent
from regionmed.record import Record


@dataclass(frozen=True)
class Plan:
    """One source, the format it will be read in, and the known set that it is, if any."""

    source: Source
    format: str
    known: Known | None

    @property
    def sentence(self) -> str:
        """What is said aloud: "busi: read as masks, the known set busi"."""
        known = f", the known set {self.known.name}" if self.known else ""
        return f"{self.source.name}: read as {self.format}{known}"

    @property
    def expected(self) -> int | None:
        """About how many records there will be, for the progress bar."""
        if self.format == "masks":
            return len(mask_pairs(self.source)) or None
        return sum(not is_mask_name(path) for path in self.source.pictures()) or None


def build_corpus(
    sources: Sequence[Path],
    out: Path,
    *,
    format: str | Mapping[str, str] | None = None,
    splits: Path | None = None,
    outside: Outside = "refuse",
    track: Track = silent,
    say: Callable[[str], None] = lambda sentence: None,
) -> Corpus:
    """Read annotated sources (folders, tars, zips) into the corpus folder `out`.

    format    a name in READERS for all sources, or source name -> name in READERS for some of them;
              the others are recognised by their layout
    splits    a table of picture, split and reason to exclude; None draws 70/10/20 by family
    outside   what to do with a box that reaches past its picture: refuse the build or clip the box
    say       is told each source's format before it is read

    Raises CorpusError with one sentence for whatever a person has to put right; nothing is left
    of a build that did not finish.
    """
    _refuse_taken(out)
    table = SplitsTable(splits) if splits else None
    plans = [_plan(open_source(Path(path)), format) for path in sources]
    names = [plan.source.name for plan in plans]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled or not plans:
        raise CorpusError(
            f"two sources are called '{doubled}'; rename one" if doubled else "no source was given"
        )
    if isinstance(format, Mapping) and not format.keys() <= set(names):
        raise CorpusError(
            f"a format was given for {', '.join(sorted(format.keys() - set(names)))}, "
            f"but the sources are {', '.join(names)}"
        )
    for plan in plans:
        say(plan.sentence)
    with _folder_beside(out) as folder:
        ledger = Ledger(folder / "ledger.jsonl")
        stage = ShardWriter(folder / "stage")
        drafts: list[Draft] = []
        for plan in plans:
            records = _records(plan, table, outside, ledger)
            before = len(drafts)
            title = f"{plan.source.name} as {plan.format}"
            for record, draft in track(records, title, plan.expected):
                stage.add(record)
                drafts.append(draft)
            _refuse_empty(plan, table, len(drafts) - before, ledger)
        stage.close()
        ledger.close()
        counts = Counts()
        phrases = {plan.source.name: _phrases(plan, drafts) for plan in plans}
        files = settle(folder, rulings(drafts, table), phrases, counts, track)
        content = counts.manifest() | {
            "sources": [
                _source_entry(plan, path) for plan, path in zip(plans, sources, strict=True)
            ],
            "phrases": phrases,
            "ledger": ledger.summary(),
        }
        write_manifest(folder, files, content)
        write_sheet(open_corpus(folder), folder / "contact-sheet.html")
        folder.chmod(0o755)
        if out.is_dir():
            out.rmdir()
        folder.rename(out)
    return open_corpus(out)


def _plan(source: Source, format: str | Mapping[str, str] | None) -> Plan:
    asked = format.get(source.name) if isinstance(format, Mapping) else format
    if asked is not None and asked not in READERS:
        raise CorpusError(f"format '{asked}' is none of {', '.join(READERS)}")
    known = find_known(source)
    chosen = asked or (known.format if known and known.format else recognise(source))
    return Plan(source.hinted(known.hints) if known else source, chosen, known)


def _phrases(plan: Plan, drafts: list[Draft]) -> dict[str, str]:
    """Label -> phrase for every label that occurs in a set."""
    labels = {label for draft in drafts if draft.set == plan.source.name for label in draft.labels}
    stated = plan.known.phrases if plan.known else {}
    modality = plan.known.modality if plan.known else None
    return {label: region_phrase(label, modality, stated.get(label)) for label in sorted(labels)}


def _records(
    plan: Plan, table: SplitsTable | None, outside: Outside, ledger: Ledger
) -> Iterator[tuple[Record, Draft]]:
    """A source's finished records, all but their splits."""
    name = plan.source.name
    completion = Completion(plan.known, plan.source) if plan.known else None
    read = READERS[plan.format](plan.source)
    for found in refuse_misread(read, name, plan.format):
        if isinstance(found, Loss):
            ledger.note(name, found)
            continue
        record = completion.complete(found) if completion else found
        ruling = table.find(name, record.image or record.id) if table else None
        if table and ruling is None:
            ledger.note(name, Loss(f"{table.name} does not name the picture", record.image))
            continue
        record = inside(record, outside, lambda loss: ledger.note(name, loss))
        labels = record.labels or tuple(sorted({region.label for region in record.regions}))
        record = replace(record, labels=labels, group=record.group or _roboflow_group(record.image))
        try:
            record, look = _with_picture(plan.source, record)
        except CorpusError as error:
            ledger.note(name, Loss(str(error), record.image))
            continue
        named = frozenset(record.labels) | {region.label for region in record.regions}
        yield record, Draft(record.id, name, named, record.group, look, ruling)


def _with_picture(source: Source, record: Record) -> tuple[Record, Look | None]:
    """The record with its encoded picture, sha256 and what was done to the pixels; and its look."""
    if record.image is None or record.frame is None:
        return record, None
    if record.picture is not None and record.sha256 is not None:
        pixels = read_picture(record.picture, record.image).pixels  # the reader made them
        return record, look_at(pixels, record.sha256)
    data = source.read(record.image)
    picture = read_picture(data, record.image)
    if picture.frame != record.frame:
        raise CorpusError(
            f"the annotations count in {record.frame.width} x {record.frame.height} px, "
            f"the pixels in {picture.frame.width} x {picture.frame.height}"
        )
    digest = hashlib.sha256(data).hexdigest()
    finished = replace(
        record,
        sha256=digest,
        picture=encode_picture(data, picture),
        provenance=replace(record.provenance, pixels=picture.applied),
    )
    return finished, look_at(picture.pixels, digest)


def _roboflow_group(image: str | None) -> str | None:
    """Roboflow's augmented copies of one picture are named source.rf.HASH: they stay together."""
    name, mark, _ = (image or "").rpartition("/")[2].partition(".rf.")
    return name if mark else None


def _source_entry(plan: Plan, path: Path) -> dict[str, Any]:
    known = plan.known
    return {
        "set": plan.source.name,
        "format": plan.format,
        "known": known.name if known else None,
        "card": known.card if known else None,
        "licence": known.licence if known else None,
        "sha256": _digest(plan.source, Path(path)),
    }


def _digest(source: Source, path: Path) -> str:
    """sha256 of an archive's bytes, or over the members' paths and bytes of a folder."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for member in source.paths:
        data = source.read(member)
        digest.update(f"{member}\n{len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _refuse_taken(out: Path) -> None:
    if out.is_file():
        raise CorpusError(f"--out '{out}' is a file; give a folder that does not exist yet")
    if out.is_dir() and any(out.iterdir()):
        raise CorpusError(
            f"--out '{out}' is a folder with something in it; give one that does not exist yet"
        )
    parent = out.absolute().parent
    if next((p for p in (parent, *parent.parents) if p.exists()), parent).is_file():
        raise CorpusError(f"--out '{out}' lies below a file; give a folder that does not exist yet")


def _refuse_empty(plan: Plan, table: SplitsTable | None, kept: int, ledger: Ledger) -> None:
    if kept:
        return
    reasons = ledger.summary().get(plan.source.name, {}).get("reasons", {})
    reason = next(iter(reasons), "there is none")
    if table and any("does not name" in each for each in reasons):
        raise CorpusError(
            f"{table.name} names no picture of {plan.source.name}; its columns set and image "
            f"have to say '{plan.source.name}' and paths below the source's top folder"
        )
    raise CorpusError(
        f"{plan.source.name}: read as {plan.format}, no picture could be kept; mostly: {reason}"
    )


@contextmanager
def _folder_beside(out: Path) -> Iterator[Path]:
    """A new folder on the same disk as `out`, removed if anything fails."""
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
