"""Which part of a set a number speaks of: scored labels, sizes, modalities, crowds, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from regionmed.geometry import SIZE_STRATA, size_stratum
from regionmed.record import Record, Region

SIZES = tuple(name for name, _ in SIZE_STRATA)
LEAST_PER_LABEL = 5  # a label with fewer in the split is read and kept, not scored
NO_KIND = "uncategorised"  # chula_rbc12's word for "none of the twelve": not a kind to be named
LEAST_IN_STRATUM = 5  # below this a stratum says nothing

# Only left and right lung are marked there: place alone tells them apart (shared/data/README.md).
DECIDED_BY_PLACE = ("covid_cxr", "covid_cxr_nc")


def scored_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels that occur at least LEAST_PER_LABEL times, sorted; never `uncategorised`."""
    counts = Counter(labels)
    frequent = (label for label, count in counts.items() if count >= LEAST_PER_LABEL)
    return tuple(sorted(label for label in frequent if label != NO_KIND))


def group_of(record: Record) -> str:
    """The unit that is resampled: patient or case, else family of twins, else the picture."""
    if record.group is not None:
        return f"group {record.group}"
    return f"twins {record.twins}" if record.twins is not None else f"picture {record.id}"


def region_strata(record: Record, region: Region) -> tuple[str, ...]:
    """The strata a region belongs to: its size, its picture's modality and number of regions."""
    crowd = len(record.regions)
    crowd_name = "1" if crowd == 1 else "2-5" if crowd <= 5 else "6+"
    modality = (f"modality:{record.modality}",) if record.modality else ()
    return (size_stratum(region.box), *modality, f"regions:{crowd_name}")


def has_several_labels(records: Sequence[Record]) -> bool:
    """Whether most pictures with regions hold regions of two labels or more.

    There a region must be read; where a picture has one label, its whole is enough to answer.
    """
    kinds = [len({region.label for region in record.regions}) for record in records]
    marked = [kind for kind in kinds if kind]
    return bool(marked) and sum(kind >= 2 for kind in marked) / len(marked) > 0.5


def regions_a_picture(records: Sequence[Record]) -> float:
    """The median number of regions among pictures that have any; 0 where none has."""
    counts = [len(record.regions) for record in records if record.regions]
    return float(np.median(counts)) if counts else 0.0
