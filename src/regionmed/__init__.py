"""RegionMed: an open, region-aware medical CLIP. Research software, not for clinical use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regionmed.corpus.shards import open_corpus
    from regionmed.model.checkpoint import load

__all__ = ["load", "open_corpus"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # imported on first use, so that `import regionmed` and `regionmed --help` need no torch
    if name == "load":
        from regionmed.model.checkpoint import load

        return load
    if name == "open_corpus":
        from regionmed.corpus.shards import open_corpus

        return open_corpus
    raise AttributeError(f"module 'regionmed' has no attribute '{name}'")
