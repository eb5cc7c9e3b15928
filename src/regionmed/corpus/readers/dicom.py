"""DICOM files, told by their content: one Record a picture, no header text in it.

Of the header three things are used: the modality, the encoding of the pixels, and which files
belong to one patient. The patient becomes a number within the source; no name, identifier, date
or description leaves this file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydicom.dataset import Dataset

from regionmed.corpus.dicom_pixels import read_dataset
from regionmed.corpus.pixels import encode_picture, is_dicom, read_picture
from regionmed.corpus.readers.source import Loss, Source
from regionmed.errors import CorpusError
from regionmed.record import Provenance, Record

MODALITIES = {  # PS3.3 C.7.3.1.1.1, the defined terms of (0008,0060)
    "CR": "xray",
    "DX": "xray",
    "RF": "xray",
    "RG": "xray",
    "XA": "xray",
    "IO": "xray",
    "PX": "xray",
    "MG": "mammography",
    "CT": "ct",
    "MR": "mri",
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "GM": "microscopy",
    "SM": "microscopy",
    "ES": "endoscopy",
    "DMS": "dermoscopy",
    "OP": "fundus",
    "XC": "photo",
}


def read_dicom(source: Source) -> Iterator[Record | Loss]:
    """A Record for each DICOM picture, of several frames the middle one; a Loss for all else."""
    patients: dict[tuple[str, str], int] = {}
    for path in source.paths:
        try:
            data = source.read(path)
            if not is_dicom(data):
                yield Loss("the content is no DICOM file", path)
                continue
            picture = read_picture(data, path)
            header = read_dataset(data, path)
        except CorpusError as error:
            yield Loss(str(error).removeprefix(f"{path}: "), path)
            continue
        yield Record(
            f"{source.name}/{path}",
            source.name,
            path,
            hashlib.sha256(data).hexdigest(),
            picture.frame,
            Provenance(source.name, "dicom", picture.applied),
            modality=MODALITIES.get(str(header.get("Modality") or "").strip().upper()),
            group=_group(header, source, patients),
            picture=encode_picture(data, picture),
        )


def _group(header: Dataset, source: Source, patients: dict[tuple[str, str], int]) -> str | None:
    """The patient's number in the order met, else the study's; None where neither is stated.

    A number says nothing outside this corpus and is the same in every build, which no hash is at
    once: an unkeyed one can be guessed back from a list of identifiers, a random key changes it.
    """
    for kind in ("PatientID", "StudyInstanceUID"):
        value = str(header.get(kind) or "").strip()
        if value:
            number = patients.setdefault((kind, value), len(patients) + 1)
            return f"{source.name}:patient {number}"
    return None
