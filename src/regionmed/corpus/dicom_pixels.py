"""A DICOM object -> 8-bit pixels as a viewer would show them, and the list of what was done.

The grey way is that of PS3.4 N.2: stored value -> modality (rescale or LUT) -> values of interest
(window or LUT) -> polarity. Colour is brought to RGB. Which step was taken with which numbers is
`applied`, a JSON value; `render` with the same bytes and the same `applied` gives the same bits.
pydicom does the arithmetic, this file decides what is applied.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from regionmed.errors import CorpusError

RANGE = (0.5, 99.5)  # percentiles shown where a file states no window
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
NOT_PICTURES = {  # SOP classes that carry pixel data which nobody looks at as a picture
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose grid",
}
_VRS = {str(vr).encode() for vr in VR if len(str(vr)) == 2}


def is_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM file (PS3.10 7.1) or a bare data set without the preamble."""
    if data[128:132] == b"DICM":
        return True
    for order in ("little", "big"):
        group = int.from_bytes(data[:2], order)
        element = int.from_bytes(data[2:4], order)
        length = int.from_bytes(data[4:8], order)
        if group in (0x0002, 0x0008) and element <= 0x0020:
            # PS3.5 7.1.2 explicit VR, or 7.1.3 implicit: an even length that stays inside the file
            return data[4:6] in _VRS or (length % 2 == 0 and length <= len(data) - 8)
    return False


def read_dataset(data: bytes, name: str) -> FileDataset:
    """The data set of a DICOM file; CorpusError where it holds no picture.

    A data set without file meta information gets the transfer syntax that pydicom found it to be.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values elsewhere in a header are not our matter
            ds = pydicom.dcmread(io.BytesIO(data), force=True)
            kind = NOT_PICTURES.get(str(ds.get("SOPClassUID", "")))
            has_pixels = any(tag in ds for tag in (0x7FE00010, 0x7FE00008, 0x7FE00009))
    # pydicom raises most built-in exceptions on broken files; each is this file's fault, not ours
    except Exception as error:
        raise CorpusError(
            f"{name}: the DICOM data set cannot be read ({type(error).__name__}); "
            "repair or remove the file"
        ) from error
    if kind is not None:
        raise CorpusError(f"{name}: the DICOM object is {kind}, not a picture")
    if not has_pixels:
        what = ds["SOPClassUID"].value.name if "SOPClassUID" in ds else "no known kind"
        raise CorpusError(f"{name}: the DICOM object ({what}) has no pixel data, so no picture")
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit, little = ds.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    _little_endian_palette(ds)
    return ds


def _little_endian_palette(ds: FileDataset) -> None:
    """Turn 16-bit palettes of big-endian files: pydicom 3.0 reads them in the machine's order."""
    if ds.file_meta.TransferSyntaxUID != ExplicitVRBigEndian:
        return
    for channel in ("Red", "Green", "Blue"):
        element = ds.get(f"{channel}PaletteColorLookupTableData")
        descriptor = ds.get(f"{channel}PaletteColorLookupTableDescriptor")
        if element and descriptor and len(element) == 2 * (descriptor[0] or 2**16):
            turned = np.frombuffer(element, np.uint16).byteswap().tobytes()
            setattr(ds, f"{channel}PaletteColorLookupTableData", turned)


def read(data: bytes, name: str) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Pixels uint8 (H, W) or (H, W, 3) of the middle frame, and what was applied."""
    ds = read_dataset(data, name)
    try:
        return _shown(ds, name)
    # what odd values raise when pydicom converts them or a step works with them
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise CorpusError(
            f"{name}: a value of the header cannot be used ({type(error).__name__}); repair it"
        ) from error


def _shown(ds: FileDataset, name: str) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    colour = str(ds.get("PhotometricInterpretation") or "none stated")
    if colour not in (*GREY, *COLOUR, "PALETTE COLOR"):
        raise CorpusError(
            f"{name}: photometric interpretation '{colour}' is not read; needed is one of "
            f"{', '.join((*GREY, *COLOUR, 'PALETTE COLOR'))}"
        )
    if not (ds.get("Rows") and ds.get("Columns") and ds.get("BitsStored")):
        raise CorpusError(f"{name}: the header states no rows, columns or bits, so no picture")
    frames = _frame_count(ds, name)
    frame = frames // 2
    applied: dict[str, Any] = {
        "format": "DICOM",
        "transfer_syntax": ds.file_meta.TransferSyntaxUID.name,
        "colour": colour,
        "frame": frame,
        "frames": frames,
    }
    stored = _stored(ds, frame, name)
    if colour in GREY:
        applied |= _grey_steps(ds, stored, frame, name)
    return _render(ds, stored, applied, name), applied


def replay(data: bytes, name: str, applied: dict[str, Any]) -> NDArray[np.uint8]:
    """The pixels that `applied` describes, bit for bit as when it was written."""
    ds = read_dataset(data, name)
    return _render(ds, _stored(ds, int(applied["frame"]), name), applied, name)


def grey_values(data: bytes, name: str, applied: dict[str, Any]) -> NDArray[np.float64]:
    """Values (H, W) of a grey frame after rescale or modality LUT, before window and polarity."""
    ds = read_dataset(data, name)
    stored = _stored(ds, int(applied["frame"]), name)
    return _modality(ds, stored, applied, name).astype(np.float64)


def _frame_count(ds: Dataset, name: str) -> int:
    return max(1, int(_number(ds, "NumberOfFrames", name) or 1))


def _stored(ds: Dataset, frame: int, name: str) -> NDArray[Any]:
    """Stored values of one frame, (H, W) or (H, W, 3); YBR is RGB already (PS3.3 C.7.6.3.1.2)."""
    limit = Image.MAX_IMAGE_PIXELS
    pixels = int(ds.get("Rows") or 0) * int(ds.get("Columns") or 0)
    if limit is not None and pixels > limit:
        raise CorpusError(f"{name}: {pixels} pixels are more than the {limit} that are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pixel_array(ds, index=frame)
    # the decoders behind pydicom raise what they like; the reason is always the pixel data
    except Exception as error:
        syntax = ds.file_meta.TransferSyntaxUID.name
        wanted = (
            'no decoder here reads it (pip install "regionmed[dicom]" brings them) or it is damaged'
            if ds.file_meta.TransferSyntaxUID.is_compressed
            else "the header and the length of the pixel data do not agree, so it may be cut short"
        )
        raise CorpusError(f"{name}: no pixels came out of '{syntax}': {wanted}") from error


def _grey_steps(ds: Dataset, stored: NDArray[Any], frame: int, name: str) -> dict[str, Any]:
    """Which modality, window and polarity steps this frame asks for."""
    steps: dict[str, Any] = {"inverted": ds.PhotometricInterpretation == "MONOCHROME1"}
    # PS3.3 C.11.1: a modality LUT or a rescale, in enhanced objects by frame (C.7.6.16.2.9)
    rescale = _macro(ds, "PixelValueTransformationSequence", frame)
    if ds.get("ModalityLUTSequence"):
        steps["modality_lut"] = True
    elif "RescaleSlope" in rescale and "RescaleIntercept" in rescale:
        slope, intercept = (_number(rescale, f"Rescale{n}", name) for n in ("Slope", "Intercept"))
        if slope is None or intercept is None:
            raise CorpusError(
                f"{name}: RescaleSlope or RescaleIntercept is empty; repair the header"
            )
        steps["rescale"] = {"slope": slope, "intercept": intercept}
    # PS3.3 C.11.2.1: where both stand, either may be chosen: the LUT is the fuller statement
    if ds.get("VOILUTSequence"):
        return steps | {"voi_lut": 0}
    window = _window(_macro(ds, "FrameVOILUTSequence", frame), name)
    if window is not None:
        return steps | {"window": window}
    if int(ds.BitsStored) <= 8 and "rescale" not in steps and "modality_lut" not in steps:
        signed = bool(ds.get("PixelRepresentation"))
        low = -(2 ** (int(ds.BitsStored) - 1)) if signed else 0
        high = low + 2 ** int(ds.BitsStored) - 1
        return steps | {"range": {"rule": "all stored values", "low": low, "high": high}}
    padding = ds.get("PixelPaddingValue")
    shown = stored if padding is None else stored[stored != padding]
    return steps | {"range": shown_range(_modality(ds, shown, steps, name))}


def _macro(ds: Dataset, sequence: str, frame: int) -> Dataset:
    """Where a frame's values stand: its own functional group, the shared one, or the top level."""
    for groups, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = ds.get(groups) or []
        if index < len(items) and items[index].get(sequence):
            return items[index][sequence].value[0]
    return ds


def _window(ds: Dataset, name: str) -> dict[str, Any] | None:
    """The first window of a data set; None where none stands or its width cannot be used."""
    center, width = (_number(ds, key, name) for key in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    function = str(ds.get("VOILUTFunction") or "LINEAR").upper()
    # PS3.3 C.11.2.1.2.1: LINEAR needs a width of at least 1, C.11.2.1.3 the others more than 0
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID") or width <= 0:
        return None
    if function == "LINEAR" and width < 1:
        return None
    return {"center": center, "width": width, "function": function}


def _number(ds: Dataset, key: str, name: str) -> float | None:
    """An element's number; None where it is absent or empty, CorpusError where it is none."""
    try:
        value = ds.get(key)  # pydicom converts it here
        if isinstance(value, MultiValue):  # of several windows (PS3.3 C.11.2.1.2) the first
            value = value[0] if len(value) else None
        number = None if value in (None, "") else float(value)
    except (TypeError, ValueError, ArithmeticError):
        raise CorpusError(f"{name}: {key} is not a number; repair the header") from None
    if number is not None and not math.isfinite(number):
        raise CorpusError(f"{name}: {key} is not finite; repair the header")
    return number


def _modality(
    ds: Dataset, stored: NDArray[Any], applied: dict[str, Any], name: str
) -> NDArray[Any]:
    if applied.get("modality_lut"):
        return _lut(apply_modality_lut, stored, ds, name)
    if "rescale" in applied:
        step = applied["rescale"]
        return stored.astype(np.float64) * step["slope"] + step["intercept"]
    return stored


def _lut(apply: Any, values: NDArray[Any], ds: Dataset, name: str) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return apply(values, ds)
    except (ValueError, KeyError, AttributeError, TypeError, NotImplementedError) as error:
        raise CorpusError(f"{name}: the look-up table of the header cannot be applied") from error


def _render(
    ds: Dataset, stored: NDArray[Any], applied: dict[str, Any], name: str
) -> NDArray[np.uint8]:
    colour = applied["colour"]
    if colour == "PALETTE COLOR":
        # PS3.3 C.7.6.3.1.5: entries may be 8 or 16 bits deep; a fourth channel would be alpha
        entries = _lut(apply_color_lut, stored, ds, name)[..., :3]
        return _whole_range(entries, 8 * entries.dtype.itemsize)
    if colour in COLOUR:
        return _whole_range(stored, int(ds.BitsStored))
    values = _modality(ds, stored, applied, name)
    if "voi_lut" in applied:
        shown = _lut(apply_voi, np.rint(values).astype(np.int32), ds, name)
        pixels = _whole_range(shown, int(ds.VOILUTSequence[0].LUTDescriptor[2]))
    elif "window" in applied:
        pixels = _windowed(values, applied["window"])
    else:
        pixels = stretch(values, applied["range"]["low"], applied["range"]["high"])
    return 255 - pixels if applied["inverted"] else pixels


def _windowed(values: NDArray[Any], window: dict[str, Any]) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 on modality values, onto 0..255."""
    view = Dataset()  # a header of 16 unsigned bits, so that pydicom's output range is 0..65535
    view.PhotometricInterpretation, view.BitsStored, view.PixelRepresentation = "MONOCHROME2", 16, 0
    view.WindowCenter, view.WindowWidth = window["center"], window["width"]
    view.VOILUTFunction = window["function"]
    return stretch(apply_windowing(values, view), 0, 65535)


def _whole_range(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """All values of `bits` bits onto 0..255; 8 bits stay as they are."""
    if bits == 8 and values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    return stretch(values, 0, 2**bits - 1)


def shown_range(values: NDArray[Any]) -> dict[str, Any]:
    """The range to show where nothing states one: percentiles, or all where these coincide."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"rule": "no value", "low": 0.0, "high": 1.0}
    low, high = (float(value) for value in np.percentile(finite, RANGE))
    if low < high:
        return {"rule": f"percentiles {RANGE[0]} to {RANGE[1]}", "low": low, "high": high}
    return {"rule": "all values", "low": float(finite.min()), "high": float(finite.max())}


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Values from low to high onto 0..255, the rest cut; all equal or not a number gives 0."""
    if not low < high:
        return np.zeros(values.shape, np.uint8)
    unit = np.clip((values.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return np.floor(np.nan_to_num(unit) * 255 + 0.5).astype(np.uint8)
