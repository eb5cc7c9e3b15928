"""How long work tells that it goes on: the caller hands in a `Track`, the library stays quiet.

cli/progress.py draws a bar; a caller who hands in nothing gets `silent`.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes items through and reports how many went by; `total` is None where nobody knows."""

    def __call__(self, items: Iterable[T], title: str, total: int | None = None) -> Iterable[T]:
        """The same items in the same order."""
        ...


def silent(items: Iterable[T], title: str, total: int | None = None) -> Iterable[T]:
    """A Track that reports nothing."""
    return items
