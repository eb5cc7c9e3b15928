"""Vectors that some other model gave beforehand, scored like a model: "embeddings:FOLDER".

    FOLDER/
      images.parquet    id (record id, "set/path"), embedding (list of floats)
      texts.parquet     text, embedding
      regions.parquet   id, region (number in the record, from 0), embedding; may be missing
      about.json        {"name": ..., "training_pictures": [sha256 of files] or null,
                        "phrases": [sentences of its training]}; may be missing

Rows need not have length 1: they are brought to it. N rows, E embedding.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regionmed.errors import CheckpointError, UsageError
from regionmed.evaluation.subject import Scored
from regionmed.record import Record

Floats = NDArray[np.float32]

IMAGES, TEXTS, REGIONS, ABOUT = "images.parquet", "texts.parquet", "regions.parquet", "about.json"
_PREFIX = "embeddings:"
_KEYS = {"name": str, "training_pictures": list, "phrases": list}


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The rows of one file: unit rows (N, E), and the row of each key."""

    rows_NE: Floats
    row_of: Mapping[Hashable, int]

    def of(self, keys: Sequence[Hashable]) -> Floats:
        """The rows of some keys, (len(keys), E); KeyError where one has none."""
        return self.rows_NE[[self.row_of[key] for key in keys]]

    def without(self, keys: Iterable[Hashable]) -> list[Hashable]:
        """Those of the keys that have no row, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self.row_of]


@dataclass(slots=True, eq=False)
class StoredEmbeddings:
    """A folder of vectors as a StoredSubject; open_embeddings makes one."""

    name: str
    fingerprint: str  # sha256 over the files
    embedding_dim: int
    images: Vectors  # by record id
    texts: Vectors
    regions: Vectors | None  # by record id and region number
    phrases: tuple[str, ...] = ()
    training_pictures: frozenset[str] | None = None

    def stored_images(self, records: Sequence[Record]) -> Floats:
        """Unit rows (N, E); UsageError with the number of records without one, and the first."""
        ids = [record.id for record in records]
        if missing := self.images.without(ids):
            raise UsageError(
                f"{self.name}: {len(missing)} of {len(ids)} records have no row in {IMAGES}, "
                f"'{missing[0]}' first; write_asked, given the same training_pictures, lists "
                "all that are asked"
            )
        return self.images.of(ids)

    def stored_regions(self, places: Sequence[tuple[str, int]]) -> Floats | None:
        """Unit rows (R, E) of (record id, region number); None without regions.parquet.

        UsageError with the number of regions without a row, and the first.
        """
        if self.regions is None:
            return None
        if missing := self.regions.without(places):
            raise UsageError(
                f"{self.name}: {len(missing)} of {len(places)} regions have no row in {REGIONS}, "
                f"{missing[0]} first; write_asked, given the same training_pictures, lists "
                "all that are asked"
            )
        return self.regions.of(places)

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Unit rows (T, E); UsageError with the number of texts without one."""
        if missing := self.texts.without(texts):
            raise UsageError(
                f"{self.name}: {len(missing)} of {len(set(texts))} texts asked together have no "
                f"row in {TEXTS}; write_asked, given the same training_pictures, "
                "lists all texts of an evaluation"
            )
        return self.texts.of(texts)


def open_scored(name: str | Path, device: str = "cpu") -> Scored:
    """What is to be scored, by name: "embeddings:FOLDER", or anything that regionmed.load takes.

    CheckpointError says what is wrong with a folder or a name.
    """
    from regionmed.model.checkpoint import load

    if str(name).startswith(_PREFIX):
        return open_embeddings(Path(str(name).removeprefix(_PREFIX)))
    return load(name, device)


def open_embeddings(folder: Path) -> StoredEmbeddings:
    """The vectors of a folder (see the head of this file), checked.

    CheckpointError, one sentence, for a file or column that is missing, numbers that are not
    finite, rows of another length, rows of zeros, keys that come twice.
    """
    for file in (IMAGES, TEXTS):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{folder} has no {file}; a folder of vectors needs {IMAGES} (id, embedding) and "
                f"{TEXTS} (text, embedding)"
            )
    about = _about(folder)
    images = _read(folder / IMAGES, ("id",))
    texts = _read(folder / TEXTS, ("text",))
    regions = _read(folder / REGIONS, ("id", "region")) if (folder / REGIONS).exists() else None
    width = images.rows_NE.shape[1]
    for file, vectors in ((TEXTS, texts), (REGIONS, regions)):
        if vectors is not None and vectors.rows_NE.shape[1] != width:
            raise CheckpointError(
                f"{folder}: vectors of {file} have {vectors.rows_NE.shape[1]} numbers, those of "
                f"{IMAGES} {width}; all must lie in one space"
            )
    trained = about.get("training_pictures")
    return StoredEmbeddings(
        name=about.get("name", f"{_PREFIX}{folder}"),
        fingerprint=_digest(folder),
        embedding_dim=width,
        images=images,
        texts=texts,
        regions=regions,
        phrases=tuple(about.get("phrases", ())),
        training_pictures=None if trained is None else frozenset(trained),
    )


def write_embeddings(
    folder: Path,
    images: tuple[Sequence[str], Floats],
    texts: tuple[Sequence[str], Floats],
    regions: tuple[Sequence[tuple[str, int]], Floats] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write a new folder of vectors, complete or not at all: keys and rows (N, E) of each file.

    images   record ids
    texts    texts, word for word as they are asked
    regions  (record id, region number); left out where there are none
    about    name, training_pictures, phrases
    CheckpointError if the folder exists, or as open_embeddings, which checks what was written.
    """
    if folder.exists():
        raise CheckpointError(f"{folder} exists; vectors are written to a new folder")
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _write(aside / IMAGES, {"id": list(images[0])}, images[1])
    _write(aside / TEXTS, {"text": list(texts[0])}, texts[1])
    if regions is not None:
        ids, numbers = [place[0] for place in regions[0]], [place[1] for place in regions[0]]
        _write(aside / REGIONS, {"id": ids, "region": numbers}, regions[1])
    (aside / ABOUT).write_text(json.dumps(dict(about or {}), indent=1, sort_keys=True), "utf-8")
    try:
        open_embeddings(aside)
    except CheckpointError:
        shutil.rmtree(aside)
        raise
    os.replace(aside, folder)
    return folder


def _write(path: Path, keys: dict[str, list[Any]], rows_NE: Floats) -> None:
    flat = pa.array(np.ascontiguousarray(rows_NE, np.float32).reshape(-1))
    offsets = np.arange(0, rows_NE.size + 1, rows_NE.shape[1], dtype=np.int32)
    column = pa.ListArray.from_arrays(offsets, flat)
    pq.write_table(pa.table({**keys, "embedding": column}), path)


def _read(path: Path, keys: tuple[str, ...]) -> Vectors:
    needed = [*keys, "embedding"]
    try:
        with pq.ParquetFile(path) as file:
            if absent := [name for name in needed if name not in file.schema_arrow.names]:
                raise CheckpointError(
                    f"{path} has no column '{absent[0]}'; it needs {' and '.join(needed)}"
                )
            table = file.read(columns=needed)
    except (OSError, pa.ArrowException) as error:
        raise CheckpointError(f"{path} is no Parquet file that can be read ({error})") from error
    columns = [table[name].to_pylist() for name in keys]
    names: list[Hashable] = columns[0] if len(keys) == 1 else list(zip(*columns, strict=True))
    row_of = {name: row for row, name in enumerate(names)}
    if len(row_of) < len(names):
        twice = next(row for row, name in enumerate(names) if row_of[name] != row)
        shown = "" if keys == ("text",) else f" ({names[twice]})"  # texts may be patients' words
        raise CheckpointError(
            f"{path}: {len(names) - len(row_of)} of {len(names)} rows have a {' and '.join(keys)} "
            f"that another row has too, row {twice}{shown} first; each may come once"
        )
    return Vectors(_unit_rows(table["embedding"].combine_chunks(), path), row_of)


def _unit_rows(column: Any, path: Path) -> Floats:
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (lists or pa.types.is_fixed_size_list(kind)) or not pa.types.is_floating(
        kind.value_type
    ):
        raise CheckpointError(f"{path}: embedding must be lists of floats, got {kind}")
    if len(column) == 0:
        raise CheckpointError(f"{path} has no row")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    if lengths.min() != lengths.max() or lengths.min() == 0:
        odd = int(np.flatnonzero(lengths != lengths[0])[0]) if np.ptp(lengths) else 0
        raise CheckpointError(
            f"{path}: vectors have {lengths.min()} to {lengths.max()} numbers, row {odd} is the "
            "first that differs; all must have the same number, above 0"
        )
    flat = pc.fill_null(column.flatten(), float("nan")).to_numpy(zero_copy_only=False)
    rows_NE = flat.astype(np.float64).reshape(len(column), -1)
    norms_N = np.linalg.norm(rows_NE, axis=1)
    for wrong_N, what in ((~np.isfinite(norms_N), "not finite"), (norms_N == 0, "all 0")):
        if wrong_N.any():
            raise CheckpointError(
                f"{path}: {wrong_N.sum()} of {len(wrong_N)} vectors hold numbers that are {what}, "
                f"row {wrong_N.argmax()} first; leave such rows out or compute them again"
            )
    return (rows_NE / norms_N[:, None]).astype(np.float32)


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    if not path.exists():
        return {}
    try:
        about = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON ({error})") from error
    if not isinstance(about, dict) or (unknown := sorted(set(about) - set(_KEYS))):
        wrong = f"'{unknown[0]}'" if isinstance(about, dict) else "no object"
        raise CheckpointError(f"{path} may say {', '.join(_KEYS)}, got {wrong}")
    given = {key: value for key, value in about.items() if value is not None}
    for key, value in given.items():
        right = isinstance(value, _KEYS[key])
        if not right or (key != "name" and not all(isinstance(item, str) for item in value)):
            raise CheckpointError(
                f"{path}: name is a text, training_pictures and phrases are lists of texts; "
                f"'{key}' is not"
            )
    return given


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (IMAGES, TEXTS, REGIONS, ABOUT):
        if (folder / name).is_file():
            with (folder / name).open("rb") as stream:
                digest.update(name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
