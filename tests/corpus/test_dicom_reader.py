"""A folder of DICOM files becomes records that say nothing of the patient, and ledger lines."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from regionmed.corpus.readers.dicom import read_dicom
from regionmed.corpus.readers.source import Loss, Source
from regionmed.record import Record

SPEC = find_spec("pydicom")
assert SPEC is not None
assert SPEC.origin is not None
OWN = Path(SPEC.origin).parent / "data" / "test_files"


def source_of(**members: bytes) -> Source:
    """A source with these members in memory."""
    return Source("scans", tuple(sorted(members)), members.__getitem__)


@pytest.fixture(scope="module")
def everything() -> list[Record | Loss]:
    """What is read of all of pydicom's own test files that are DICOM by name."""
    names = sorted(path.name for path in OWN.glob("*.dcm"))
    return list(read_dicom(Source("scans", tuple(names), lambda name: (OWN / name).read_bytes())))


def test_each_file_is_one_record_or_one_line_of_the_ledger(everything: list[Record | Loss]) -> None:
    names = [entry.image for entry in everything]
    assert len(names) == len(set(names)) == len(list(OWN.glob("*.dcm")))
    assert all(entry.reason for entry in everything if isinstance(entry, Loss))


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CT_small.dcm", "ct"),
        ("MR_small.dcm", "mri"),
        ("examples_rgb_color.dcm", "ultrasound"),
        ("JPEG2000.dcm", None),  # nuclear medicine
    ],
)
def test_modality_follows_the_header(
    everything: list[Record | Loss], name: str, modality: str | None
) -> None:
    record = next(entry for entry in everything if entry.image == name)
    assert isinstance(record, Record)
    assert record.modality == modality
    assert record.provenance.pixels["format"] == "DICOM"
    assert record.picture is not None


def test_no_text_of_the_header_stands_in_a_record(everything: list[Record | Loss]) -> None:
    # PatientID 1CT1, PatientName CompressedSamples^CT1, StudyID 1CT1, InstitutionName JFK IMAGING
    data = (OWN / "CT_small.dcm").read_bytes()
    (record,) = read_dicom(source_of(a=data))
    assert isinstance(record, Record)
    assert b"CompressedSamples" in data
    for word in ("1CT1", "CompressedSamples", "JFK", "20040119"):
        assert word not in repr(record)
        assert record.picture is not None
        assert word.encode() not in record.picture
    assert record.texts.caption is None


def test_pictures_of_one_patient_share_a_number_in_every_build() -> None:
    ct, mr = (OWN / "CT_small.dcm").read_bytes(), (OWN / "MR_small.dcm").read_bytes()
    groups: Callable[[], list[str | None]] = lambda: [  # noqa: E731
        entry.group
        for entry in read_dicom(source_of(a=ct, b=mr, c=ct))
        if isinstance(entry, Record)
    ]
    assert groups() == ["scans:patient 1", "scans:patient 2", "scans:patient 1"]
    assert groups() == groups()


def test_files_are_told_by_content_not_by_name() -> None:
    data = (OWN / "CT_small.dcm").read_bytes()
    record, loss = read_dicom(source_of(**{"IM0001": data, "notes.dcm": b"not a picture"}))
    assert isinstance(record, Record)
    assert isinstance(loss, Loss)
    assert (record.image, loss.reason) == ("IM0001", "the content is no DICOM file")
