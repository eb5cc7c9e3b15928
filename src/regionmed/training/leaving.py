"""A run that is asked to leave finishes its step first.

SIGTERM (a scheduler, a shutdown) and SIGINT (Ctrl-C) are noted; the loop looks after every step. A
second signal ends the process at once, as it would have without us.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

HEARD = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Leaving:
    """Whether, and by which signal, the run was asked to leave."""

    signal: str = ""


@contextmanager
def signals_noted() -> Iterator[Leaving]:
    """Signals are noted while this is open; in a thread that gets none, nothing is changed."""
    leaving = Leaving()
    if threading.current_thread() is not threading.main_thread():
        yield leaving
        return
    before = {number: signal.getsignal(number) for number in HEARD}

    def note(number: int, frame: FrameType | None) -> None:
        leaving.signal = signal.Signals(number).name
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in HEARD:
        signal.signal(number, note)
    try:
        yield leaving
    finally:
        restore()
