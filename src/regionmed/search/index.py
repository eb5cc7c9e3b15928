"""An index: each picture and region of some corpora as one vector, with what it takes to show them.

    INDEX/
      vectors.safetensors   entries_NE, sentences_SE: float32, rows of length 1
      entries.parquet       a row for each row of entries_NE: record, label, box in file pixels
      sentences.parquet     a text for each row of sentences_SE, what it is about, and whether that
                            is a finding: the phrase of a region's label
      thumbnails.arrow      a JPEG for each row of entries_NE (thumbnails.py)
      manifest.json         written last: the checkpoint's fingerprint, the corpora, the counts, and
                            from when on answers are unsure (certainty.py)

Search is exact: one matrix product. 20,000 regions by 384 numbers are 30 MB and take milliseconds
on one core, so a search library would bring a dependency and approximate answers for nothing.

N indexed entries · S sentences · E embedding
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

from regionmed.errors import StaleIndexError, UsageError
from regionmed.geometry import Box, Frame
from regionmed.search.certainty import Calibration, Certainty, Familiar, Findings, findings_of

if TYPE_CHECKING:
    from regionmed.model.region_clip import RegionClip

LAYOUT = 2  # of the index folder; raised when the files above change their meaning
ENTRIES = pa.schema(
    [
        ("picture", pa.int64()),
        ("record", pa.string()),
        ("set", pa.string()),
        ("split", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("region", pa.int32()),
        ("label", pa.string()),
        ("phrase", pa.string()),
        ("box", pa.list_(pa.float64())),
    ]
)
SENTENCES = pa.schema([("text", pa.string()), ("about", pa.string()), ("finding", pa.bool_())])


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of an index: a region of a record, or the whole picture where `region` is None."""

    number: int  # row of entries_NE and of the thumbnails
    picture: int  # number of the entry that is this record's whole picture
    record: str  # record id, "<set>/<image>"
    set: str
    split: str | None
    sha256: str | None  # of the source file's bytes
    frame: Frame  # 'file'
    region: int | None = None  # place in Record.regions, from 0
    label: str | None = None
    phrase: str | None = None
    box: Box | None = None  # file pixels


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """An index folder in memory; thumbnails stay on disk until asked for.

    `about` says for each sentence which finding's phrase it words, or repeats the sentence.
    `findings` are those of regions, None where no region has a label.
    """

    folder: Path
    manifest: dict[str, Any]
    entries: tuple[Entry, ...]
    entries_NE: NDArray[np.float32]
    sentences: tuple[str, ...]
    about: tuple[str, ...]
    sentences_SE: NDArray[np.float32]
    thumbnails: pa.Table
    findings: Findings | None
    certainty: Certainty

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the checkpoint whose embeddings these are."""
        return str(self.manifest["model"]["fingerprint"])

    @property
    def model_path(self) -> str:
        """Where the checkpoint lay, seen from here: a path, or a name such as "open_clip:NAME"."""
        source = str(self.manifest["model"]["source"])
        return str((self.folder / source).resolve()) if source.startswith(".") else source

    def known(self, *, regions: bool) -> NDArray[np.float32]:
        """Vectors (K, E) of the regions, or of the whole pictures, of the split train."""
        rows = [
            entry.number
            for entry in self.entries
            if entry.split == "train" and (entry.region is not None) == regions
        ]
        return self.entries_NE[rows]

    def thumbnail(self, number: int) -> bytes:
        """JPEG of entry `number`: the whole picture, or the region's view (thumbnails.view)."""
        return bytes(self.thumbnails["jpeg"][number].as_py())

    def check_model(self, model: RegionClip) -> None:
        """Raise StaleIndexError unless this index was made with exactly this checkpoint."""
        if model.fingerprint != self.fingerprint:
            raise StaleIndexError(
                f"index '{self.folder}' was made with checkpoint {self.fingerprint[:12]}, "
                f"but '{model.name}' is {model.fingerprint[:12]}; give the checkpoint it was made "
                "with, or run 'regionmed index' again with this one"
            )


def open_index(folder: Path) -> Index:
    """Read an index folder; UsageError where it is none or was never finished."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        layout = manifest["index_layout"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"'{folder}' is not a finished index (no readable manifest.json of one); "
            "make it with 'regionmed index MODEL --corpus DIR --out INDEX'"
        ) from error
    if layout != LAYOUT:
        raise UsageError(
            f"index '{folder}' has layout {layout}, this version reads {LAYOUT}, in which an index "
            "also knows how sure its answers are; make it anew with 'regionmed index'"
        )
    vectors = load_file(folder / "vectors.safetensors")
    rows = pq.read_table(folder / "entries.parquet").to_pylist()
    sentences = pq.read_table(folder / "sentences.parquet").to_pydict()
    about = tuple(sentences["about"])
    named = [row for row, finding in enumerate(sentences["finding"]) if finding]
    with pa.memory_map(str(folder / "thumbnails.arrow")) as mapped:
        thumbnails = pa.ipc.open_file(mapped).read_all()
    return Index(
        folder,
        manifest,
        tuple(_entry(number, row) for number, row in enumerate(rows)),
        vectors["entries_NE"],
        tuple(sentences["text"]),
        about,
        vectors["sentences_SE"],
        thumbnails,
        findings_of(about, named, vectors["sentences_SE"]),
        _certainty(manifest["certainty"]),
    )


def _entry(number: int, row: dict[str, Any]) -> Entry:
    frame = Frame("file", row.pop("width"), row.pop("height"))
    box = None
    if edges := row.pop("box"):
        x0, y0, x1, y1 = edges
        box = Box(x0, y0, x1, y1, frame)
    return Entry(number=number, frame=frame, box=box, **row)


def _certainty(row: dict[str, Any]) -> Certainty:
    regions, pictures, findings = (row[name] for name in ("regions", "pictures", "findings"))
    return Certainty(
        Familiar(**regions) if regions else None,
        Familiar(**pictures) if pictures else None,
        Calibration(**findings) if findings else None,
    )
