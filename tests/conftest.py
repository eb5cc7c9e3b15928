"""Shared by the tests: where the data kit lies, and how a test says that it is absent."""

from pathlib import Path

import pytest

KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kit() -> Path:
    """The folder of the data kit: one tar a set and reference_manifest.jsonl."""
    if not (KIT / "reference_manifest.jsonl").is_file():
        pytest.skip("the data kit is not beside this checkout (../shared/data)")
    return KIT
