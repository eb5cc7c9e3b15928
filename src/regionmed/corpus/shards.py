"""A corpus on disk: Parquet shards with the pictures' bytes, and manifest.json, written last.

    corpus/
      shards/00000.parquet ...   one row a record; opens as it is in Hugging Face `datasets`
      ledger.jsonl               one line a loss
      manifest.json              counts, licences, phrases, fingerprint; its presence means complete
      contact-sheet.html

Row groups are small, so that one picture costs one short read. A region's mask is stored as a
PNG of its foreground's tight crop and the crop's corner, and comes back exactly.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from regionmed.corpus.rows import SCHEMA, from_columns
from regionmed.corpus.shard_writer import FORMAT, VERSION, ShardWriter, write_manifest
from regionmed.errors import CorpusError
from regionmed.record import SPLITS, Record

_KEPT_GROUPS = 4  # row groups of pictures held in memory


def write_corpus(records: Iterable[Record], out: Path, content: Mapping[str, Any]) -> Corpus:
    """A corpus folder from finished records; `content` is what the manifest says beyond the shards.

    build_corpus is the usual way; this one writes records that exist already. `out` must not exist.
    """
    writer = ShardWriter(out / "shards")
    for record in records:
        writer.add(record)
    write_manifest(out, writer.close(), content)
    return open_corpus(out)


def open_corpus(folder: Path | str) -> Corpus:
    """The corpus in a folder that `regionmed corpus build` wrote; CorpusError where it is none."""
    path = Path(folder)
    try:
        manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise CorpusError(
            f"'{path}' is no finished corpus: it has no readable manifest.json; "
            "build one with `regionmed corpus build`"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CorpusError(
            f"'{path}' holds a manifest.json of something else; a corpus folder is needed"
        )
    if manifest.get("version") != VERSION:
        raise CorpusError(
            f"'{path}' is a corpus of version {manifest.get('version')}, this program reads "
            f"version {VERSION}; build it again"
        )
    store = _Store(path, manifest)
    return Corpus(path, manifest, store, np.arange(len(store.group_of_row)))


class Corpus:
    """Records of a corpus folder, or a view of some (`split`); pictures are read when asked for."""

    def __init__(
        self, folder: Path, manifest: dict[str, Any], store: _Store, rows: NDArray[np.int64]
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self._store = store
        self._rows = rows

    @property
    def fingerprint(self) -> str:
        """sha256 over the shards' digests; a view has the fingerprint of its corpus."""
        return str(self.manifest["fingerprint"])

    @property
    def phrases(self) -> dict[str, dict[str, str]]:
        """Set -> label -> the phrase that prompts use."""
        return dict(self.manifest.get("phrases", {}))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Which rows of the whole corpus this one holds, in order: int64 (len,)."""
        return self._rows

    @property
    def whole(self) -> Corpus:
        """The corpus that this one is a view of, or one equal to itself."""
        count = len(self._store.group_of_row)
        return Corpus(self.folder, self.manifest, self._store, np.arange(count))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Record]:
        """Records in order, without the pictures' bytes."""
        for row in self._rows:
            yield self._store.record(int(row))

    def __getitem__(self, index: int) -> Record:
        return self._store.record(int(self._rows[index]))

    def split(self, name: str) -> Corpus:
        """A view of one split; records with a reason to exclude are left out."""
        if name not in SPLITS:
            raise CorpusError(f"split '{name}' is none of {', '.join(SPLITS)}")
        usable = [
            row
            for row in self._rows
            if self._store.value("split", row) == name and self._store.value("exclude", row) is None
        ]
        return Corpus(self.folder, self.manifest, self._store, np.array(usable, dtype=np.int64))

    def only(self, set_name: str) -> Corpus:
        """A view of one set, all splits; CorpusError where the corpus does not hold it."""
        of_set = [row for row in self._rows if self._store.value("set", row) == set_name]
        if not of_set:
            sets = ", ".join(sorted({self._store.value("set", row) for row in self._rows}))
            raise CorpusError(f"'{self.folder}' holds no set '{set_name}'; it has {sets}")
        return Corpus(self.folder, self.manifest, self._store, np.array(of_set, dtype=np.int64))

    def picture_bytes(self, index: int) -> bytes:
        """The encoded PNG or JPEG of a record; CorpusError where it has no picture."""
        row = int(self._rows[index])
        data = self._store.picture(row)
        if data is None:
            raise CorpusError(f"record '{self._store.value('id', row)}' has no picture")
        return data

    def picture(self, index: int) -> Image.Image:
        """The picture, mode L or RGB, in the record's frame 'file'."""
        image = Image.open(io.BytesIO(self.picture_bytes(index)))
        return image if image.mode in ("L", "RGB") else image.convert("RGB")


class _Store:
    """The shards of a folder: everything but pictures and masks in memory, those by row group."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self.paths = [folder / "shards" / entry["file"] for entry in manifest["shards"]]
        missing = [path.name for path in self.paths if not path.is_file()]
        if missing:
            raise CorpusError(f"'{folder}' lacks its shard {missing[0]}; build the corpus again")
        self._open: dict[int, pq.ParquetFile] = {}
        self._groups: OrderedDict[tuple[int, int, str], pa.ChunkedArray] = OrderedDict()
        places: list[tuple[int, int, int]] = []  # shard, row group, row in it
        for shard in range(len(self.paths)):
            metadata = self._file(shard).metadata
            for group in range(metadata.num_row_groups):
                places += [(shard, group, row) for row in range(metadata.row_group(group).num_rows)]
        self.group_of_row = np.array(places, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def table(self) -> pa.Table:
        """All columns but the bytes of pictures and masks."""
        columns = [name for name in SCHEMA.names if name not in ("image", "masks")]
        columns.append("image.path")
        tables = [self._file(shard).read(columns=columns) for shard in range(len(self.paths))]
        return pa.concat_tables(tables).combine_chunks()

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return {}

    def value(self, column: str, row: int) -> Any:
        """One cell of a plain column."""
        if column not in self._columns:
            self._columns[column] = self.table.column(column).to_pylist()
        return self._columns[column][row]

    def record(self, row: int) -> Record:
        """A record without its picture's bytes."""
        (cells,) = self.table.slice(row, 1).to_pylist()
        has_masks = any(region["has_mask"] for region in cells["regions"])
        return from_columns(cells, self._bytes("masks", row) if has_masks else [])

    def picture(self, row: int) -> bytes | None:
        """The encoded picture of a record."""
        cell = self._bytes("image", row)
        return cell["bytes"] if cell else None

    def _bytes(self, column: str, row: int) -> Any:
        shard, group, place = (int(number) for number in self.group_of_row[row])
        key = (shard, group, column)
        if key not in self._groups:
            if len(self._groups) >= _KEPT_GROUPS:
                self._groups.popitem(last=False)
            table = self._file(shard).read_row_group(group, columns=[column])
            self._groups[key] = table.column(column)
        return self._groups[key][place].as_py()

    def _file(self, shard: int) -> pq.ParquetFile:
        if shard not in self._open:
            try:
                self._open[shard] = pq.ParquetFile(self.paths[shard], memory_map=True)
            except (OSError, pa.ArrowInvalid):
                raise CorpusError(
                    f"shard '{self.paths[shard]}' is damaged; build the corpus again"
                ) from None
        return self._open[shard]
