"""Writes shards and, last of all, the manifest that makes a folder of them a corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from regionmed.corpus.rows import SCHEMA, to_columns
from regionmed.record import Record

FORMAT = "regionmed-corpus"
VERSION = 1
GROUP_ROWS = 16  # records a row group: what one random read has to pass
SHARD_ROWS = 2048
SHARD_BYTES = 256 * 2**20


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[str]:
    name = prefix + field.name
    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{name}.")
    elif pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{name}.list.")
    else:
        yield name


# pictures and masks are compressed already
_COMPRESSION = {
    leaf: "none" if leaf.startswith(("image.", "masks.")) else "zstd"
    for field in SCHEMA
    for leaf in _leaves(field)
}


class ShardWriter:
    """Writes rows into shards of a folder; `close` gives what the manifest says of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.files: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[dict[str, Any]] = []
        self._rows = 0
        self._bytes = 0

    def add(self, record: Record) -> None:
        """One record, its picture's bytes in `picture`."""
        self._pending.append(to_columns(record))
        if len(self._pending) == GROUP_ROWS:
            self._flush()

    def add_group(self, group: pa.Table) -> None:
        """A whole row group of rows that are in columns already."""
        self._flush()
        self._write(group)

    def close(self) -> list[dict[str, Any]]:
        """Finish the last shard; file, rows and sha256 of each."""
        self._flush()
        self._finish()
        return self.files

    def _flush(self) -> None:
        if self._pending:
            self._write(pa.Table.from_pylist(self._pending, schema=SCHEMA))
            self._pending = []

    def _write(self, group: pa.Table) -> None:
        if self._writer is None:
            path = self.folder / f"{len(self.files):05d}.parquet"
            self._writer = pq.ParquetWriter(
                path, SCHEMA, compression=_COMPRESSION, use_dictionary=False, write_statistics=False
            )
            self.files.append({"file": path.name})
            self._rows = self._bytes = 0
        self._writer.write_table(group, row_group_size=max(group.num_rows, 1))
        self._rows += group.num_rows
        self._bytes += group.nbytes
        if self._rows >= SHARD_ROWS or self._bytes >= SHARD_BYTES:
            self._finish()

    def _finish(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        path = self.folder / self.files[-1]["file"]
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.files[-1] |= {"rows": self._rows, "sha256": digest}


def row_groups(folder: Path) -> Iterator[pa.Table]:
    """The row groups of a folder of shards, in order."""
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as shard:
            for number in range(shard.num_row_groups):
                yield shard.read_row_group(number)


def fingerprint_of(files: Sequence[Mapping[str, Any]]) -> str:
    """sha256 over the shards' digests, in order."""
    return hashlib.sha256("\n".join(file["sha256"] for file in files).encode()).hexdigest()


def write_manifest(
    folder: Path, files: list[dict[str, Any]], content: Mapping[str, Any]
) -> dict[str, Any]:
    """manifest.json of a folder of finished shards, written aside and renamed."""
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": fingerprint_of(files),
        "records": sum(file["rows"] for file in files),
        **content,
        "shards": files,
    }
    aside = folder / "manifest.json.part"
    aside.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    aside.replace(folder / "manifest.json")
    return manifest
