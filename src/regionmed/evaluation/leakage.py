"""Has the model seen these pictures? Compared by sha256 of the source files and by known twins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from regionmed.record import Record


def pictures_seen(
    records: Sequence[Record], everything: Iterable[Record], trained_on: frozenset[str] | None
) -> frozenset[str]:
    """The ids among `records` that were trained on, themselves or as a known twin.

    everything  all records that may share a family of twins with them
    trained_on  sha256 of the training pictures; None where the training data is unknown
    """
    if trained_on is None:
        return frozenset()
    families = {record.twins for record in everything if record.sha256 in trained_on} - {None}
    return frozenset(
        record.id
        for record in records
        if record.sha256 in trained_on or (record.twins is not None and record.twins in families)
    )


def remark(pictures: int, seen: int, trained_on: frozenset[str] | None) -> str:
    """The words beside a score: how many of its pictures the model was trained on.

    pictures  in the split before any was dropped; seen  those dropped from the score
    """
    if trained_on is None:
        return "unknown training data"
    if not seen:
        return f"none: 0 of {pictures}"
    return f"{seen} of {pictures} pictures were trained on, themselves or a twin, and are dropped"
