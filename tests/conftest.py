"""Shared by the tests: tensor shapes are checked, the data kit is found, a small run is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# before anything imports them: jaxtyping annotations are enforced by beartype under test
install_import_hook(
    [
        "regionmed.model.dense",
        "regionmed.model.roi_pool",
        "regionmed.model.roi_processor",
        "regionmed.training.losses",
    ],
    "beartype.beartype",
)

KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kit() -> Path:
    """The folder of the data kit: one tar a set and reference_manifest.jsonl."""
    if not (KIT / "reference_manifest.jsonl").is_file():
        pytest.skip("the data kit is not beside this checkout (../shared/data)")
    return KIT
