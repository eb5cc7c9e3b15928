"""What is scored: a RegionClip, or vectors that some other model gave beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeIs

from regionmed.record import Record

if TYPE_CHECKING:
    from regionmed.model.reading import Embedded

Floats = NDArray[np.float32]


class Subject(Protocol):
    """A model that may be shown any picture, altered ones too; RegionClip is one."""

    name: str
    fingerprint: str  # sha256 of the weights
    image_size: int  # pixels a side of the model frame
    embedding_dim: int
    phrases: tuple[str, ...]  # sentences of its training; () where unknown
    training_pictures: frozenset[str] | None  # sha256 of the files; None where unknown

    @property
    def reads_regions(self) -> bool:
        """Whether a region is read in its picture; else it is scored by its crop."""
        ...

    @property
    def one_forward(self) -> bool:
        """Whether all regions of a picture cost one forward; else what is asked is drawn."""
        ...

    def embed(
        self, pixels_NHWC: NDArray[np.uint8], boxes: Sequence[Floats] | None = None
    ) -> Embedded:
        """As RegionClip.embed."""
        ...

    def heat(
        self, pixels_NHWC: NDArray[np.uint8], texts: Sequence[Sequence[str]]
    ) -> list[Floats] | None:
        """As RegionClip.heat; None from a model that does not point."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Unit rows (T, E)."""
        ...


class StoredSubject(Protocol):
    """Vectors by record, region and text: no control that alters pixels can be asked of them."""

    name: str
    fingerprint: str
    embedding_dim: int
    phrases: tuple[str, ...]
    training_pictures: frozenset[str] | None

    def stored_images(self, records: Sequence[Record]) -> Floats:
        """Unit rows (N, E); UsageError where a record has none."""
        ...

    def stored_regions(self, places: Sequence[tuple[str, int]]) -> Floats | None:
        """Unit rows (R, E) of (record id, region number); None where no region is stored at all."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Floats:
        """Unit rows (T, E); UsageError where a text has none."""
        ...


Scored = Subject | StoredSubject


def is_stored(model: Scored) -> TypeIs[StoredSubject]:
    """Whether only stored vectors can be asked."""
    return not hasattr(model, "embed")
