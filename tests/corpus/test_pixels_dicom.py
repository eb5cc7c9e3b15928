"""DICOM objects: real files of every encoding, against numbers worked out without pydicom."""

import io
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from regionmed.corpus.pixels import Picture, encode_picture, is_dicom, read_picture, replay
from regionmed.errors import CorpusError


def _folder(package: str, below: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, f"the tests read the files of {package}: pip install regionmed[dev]"
    assert spec.origin is not None
    return Path(spec.origin).parent / below


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if path.suffix not in (".py", ".pyc")]


DATA = _folder("data_store", "data")
OWN = _folder("pydicom", "data/test_files")
REFUSALS = (  # every refusal has one of these reasons
    "is a segmentation, not a picture",
    "is a radiotherapy dose grid, not a picture",
    "has no pixel data, so no picture",
    "the content is no picture",
    "photometric interpretation 'none stated' is not read",
    "no pixels came out of",
)


def picture_of(name: str) -> Picture:
    """The picture of one file of pydicom-data or of pydicom's own test files."""
    path = next(path for path in (DATA / name, OWN / name) if path.exists())
    return read_picture(path.read_bytes(), name)


def raw(name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The stored bytes of an uncompressed file as numbers."""
    pixels = pydicom.dcmread(DATA / name).PixelData
    return np.frombuffer(pixels, dtype)[: int(np.prod(shape))].reshape(shape)


@pytest.mark.parametrize(("folder", "read", "refused"), [(DATA, 65, 3), (OWN, 80, 96)])
def test_every_sample_file_is_read_and_replayed_or_refused_with_one_reason(
    folder: Path, read: int, refused: int
) -> None:
    pictures, reasons = 0, []
    for path in _files(folder):
        data = path.read_bytes()
        try:
            picture = read_picture(data, path.name)
        except CorpusError as error:
            reasons.append(str(error))
            continue
        pictures += 1
        applied = json.loads(json.dumps(picture.applied))
        assert np.array_equal(replay(data, path.name, applied).pixels, picture.pixels), path.name
        assert picture.pixels.dtype == np.uint8
        assert picture.frame.width == picture.pixels.shape[1]
    assert all(sum(reason in text for reason in REFUSALS) == 1 for text in reasons)
    assert (pictures, len(reasons)) == (read, refused)


def test_a_ct_is_rescaled_and_windowed_as_the_standard_says() -> None:
    hounsfield = raw("693_UNCR.dcm", (512, 512), "<i2").astype(float) - 1024
    # PS3.3 C.11.2.1.2.1 LINEAR, center 40, width 100: y = ((x - 39.5) / 99 + 0.5) * 255
    expected = np.clip(((hounsfield - 39.5) / 99 + 0.5) * 255, 0, 255)
    picture = picture_of("693_UNCR.dcm")
    assert np.abs(picture.pixels - expected).max() <= 0.5 + 1e-6
    assert picture.applied["window"] == {"center": 40.0, "width": 100.0, "function": "LINEAR"}
    assert picture.applied["rescale"] == {"slope": 1.0, "intercept": -1024.0}


def test_monochrome1_is_turned_so_that_air_is_dark() -> None:
    stored = raw("RG3_UNCR.dcm", (1760, 1760), "<u2").astype(float)
    expected = 255 - np.clip(((stored - 549.5) / 1023 + 0.5) * 255, 0, 255)
    picture = picture_of("RG3_UNCR.dcm")
    assert picture.applied["inverted"] is True
    assert np.abs(picture.pixels - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    "names",
    [
        ("RG1_UNCR.dcm", "RG1_J2KR.dcm"),
        ("MR2_UNCR.dcm", "MR2_J2KR.dcm"),
        ("US1_UNCR.dcm", "US1_J2KR.dcm", "examples_jpeg2k.dcm"),
        ("color-px.dcm", "color-pl.dcm"),
        ("OBXXXX1A.dcm", "OBXXXX1A_rle.dcm", "OBXXXX1A_expb.dcm"),
        ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
        ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_expb.dcm", "MR_small_jp2klossless.dcm"),
        ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_implicit.dcm"),
        ("emri_small.dcm", "emri_small_RLE.dcm", "emri_small_big_endian.dcm"),
        ("emri_small.dcm", "emri_small_jpeg_2k_lossless.dcm", "emri_small_jpeg_ls_lossless.dcm"),
        ("SC_rgb_16bit.dcm", "SC_rgb_expb_16bit.dcm", "SC_rgb_rle_16bit.dcm"),
        ("SC_rgb_32bit.dcm", "SC_rgb_expb_32bit.dcm", "SC_rgb_rle_32bit.dcm"),
    ],
)
def test_lossless_encodings_of_one_picture_give_the_same_pixels(names: tuple[str, ...]) -> None:
    first, *others = (picture_of(name).pixels for name in names)
    assert all(np.array_equal(first, other) for other in others)


def test_ybr_full_becomes_rgb_by_the_standards_matrix() -> None:
    stored = raw("SC_ybr_full_uncompressed.dcm", (100, 100, 3), "u1").astype(float)
    y, cb, cr = stored.transpose(2, 0, 1)
    # PS3.3 C.7.6.3.1.2 YBR_FULL, solved for red, green and blue
    red = y + 1.402 * (cr - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    blue = y + 1.772 * (cb - 128)
    expected = np.clip(np.stack([red, green, blue], -1), 0, 255)
    assert np.abs(picture_of("SC_ybr_full_uncompressed.dcm").pixels - expected).max() <= 1


def test_the_middle_frame_of_a_jpeg_series_is_what_pillow_decodes() -> None:
    ds = pydicom.dcmread(OWN / "examples_ybr_color.dcm")
    frames = list(generate_frames(ds.PixelData, number_of_frames=30))
    expected = np.asarray(Image.open(io.BytesIO(frames[15])).convert("RGB")).astype(int)
    picture = picture_of("examples_ybr_color.dcm")
    assert (picture.applied["frame"], picture.applied["frames"]) == (15, 30)
    assert np.abs(picture.pixels - expected).max() <= 3  # two roundings of the same matrix


def test_a_palette_gives_the_colours_of_its_table() -> None:
    ds = pydicom.dcmread(DATA / "OBXXXX1A.dcm")
    index = raw("OBXXXX1A.dcm", (600, 800), "u1")
    red = np.frombuffer(ds.RedPaletteColorLookupTableData, "<u2")
    expected = red[index] / 65535 * 255
    assert np.abs(picture_of("OBXXXX1A.dcm").pixels[..., 0] - expected).max() <= 0.5 + 1e-6


def test_an_enhanced_object_uses_the_window_of_its_own_frame() -> None:
    picture = picture_of("eCT_Supplemental.dcm")
    assert picture.applied["frame"] == 1
    assert picture.applied["rescale"]["intercept"] == -1024.0
    assert picture.applied["window"]["center"] == 49.0


def made(stored: np.ndarray, **header: object) -> bytes:
    """A small CT file with these stored values and header values; None leaves a value out."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * stored.dtype.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes()
    for key, value in header.items():
        setattr(ds, key, value)
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_window_functions_give_the_standards_numbers() -> None:
    stored = np.array([[-11, -10, 40, 89, 90]], np.int16)
    header = {"WindowCenter": 40, "WindowWidth": 100}
    linear = read_picture(made(stored, **header), "a").pixels
    exact = read_picture(made(stored, VOILUTFunction="LINEAR_EXACT", **header), "a").pixels
    sigmoid = read_picture(made(stored, VOILUTFunction="SIGMOID", **header), "a").pixels
    assert linear.tolist() == [[0, 0, 129, 255, 255]]  # ((40 - 39.5) / 99 + .5) * 255 = 128.8
    assert exact.tolist() == [[0, 0, 128, 252, 255]]  # ((89 - 40) / 100 + .5) * 255 = 252.45
    assert sigmoid.tolist() == [[29, 30, 128, 224, 225]]  # 255 / (1 + exp(-4 * 49 / 100)) = 223.6


def test_a_window_without_width_is_passed_over() -> None:
    stored = np.arange(201, dtype=np.int16).reshape(1, 201)
    picture = read_picture(made(stored, WindowCenter=40, WindowWidth=0), "a")
    assert picture.applied["range"]["rule"] == "percentiles 0.5 to 99.5"


def test_pixel_padding_does_not_widen_the_range() -> None:
    stored = np.full((10, 100), -2000, np.int16)
    stored[5] = np.arange(100)
    picture = read_picture(made(stored, PixelPaddingValue=-2000), "a")
    assert picture.applied["range"]["low"] == pytest.approx(0.495)
    assert picture.pixels[0, 0] == 0


def test_eight_bits_without_a_window_stay_as_they_are() -> None:
    stored = np.array([[0, 7, 255, 9]], np.uint8)
    picture = read_picture(made(stored), "a")
    assert picture.applied["range"] == {"rule": "all stored values", "low": 0, "high": 255}
    assert np.array_equal(picture.pixels, stored)


def test_a_header_that_claims_too_many_pixels_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"4294836225 pixels are more than"):
        read_picture(made(np.zeros((1, 2), np.int16), Rows=65535, Columns=65535), "a")


def test_dicom_is_told_by_content_with_and_without_the_preamble() -> None:
    assert is_dicom((OWN / "CT_small.dcm").read_bytes())
    assert is_dicom((OWN / "ExplVR_LitEndNoMeta.dcm").read_bytes())
    assert is_dicom((OWN / "ExplVR_BigEndNoMeta.dcm").read_bytes())
    assert is_dicom((OWN / "rtstruct.dcm").read_bytes())


def test_a_dicom_picture_is_stored_as_a_png_of_its_pixels() -> None:
    data = (OWN / "CT_small.dcm").read_bytes()
    picture = read_picture(data, "a")
    stored = Image.open(io.BytesIO(encode_picture(data, picture)))
    assert stored.format == "PNG"
    assert np.array_equal(np.asarray(stored), picture.pixels)
