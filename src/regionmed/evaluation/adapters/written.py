"""Folders written for other programs: complete or absent, and never over what is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regionmed.errors import UsageError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when the block ends well and vanishes otherwise.

    UsageError where `out` is there already.
    """
    if out.exists():
        raise UsageError(f"{out} is there already; remove it or choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=out.parent) as aside:
        folder = Path(aside) / out.name
        folder.mkdir()
        yield folder
        os.replace(folder, out)
