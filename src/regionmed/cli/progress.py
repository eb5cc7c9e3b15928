"""Progress bars on standard error, with an end in sight."""

from collections.abc import Iterable, Sized

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from regionmed.progress import T


def bar(items: Iterable[T], title: str, total: int | None = None) -> Iterable[T]:
    """A Track (regionmed.progress) that draws one bar; without a terminal it stays quiet."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(items, total=total, description=title)
