"""Boxes, the frames they live in, and the way from one frame to another.

A Frame is a named pixel grid. A Box is four edges in one Frame: x right, y down, in pixels,
(0, 0) at the outer corner of the first pixel, so that column c covers [c, c + 1).
A Placement maps one frame onto another, axis by axis, and back. Mixing frames raises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.errors import FrameError

POINT_SIDE = (
    70.0  # file pixels: the square a point stands for wherever a box is needed (method.md, 5)
)
SIZE_STRATA = (("tiny", 0.06), ("small", 0.15), ("medium", 0.35), ("large", math.inf))


@dataclass(frozen=True, slots=True)
class Frame:
    """A named pixel grid: `width` columns by `height` rows."""

    name: str
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise FrameError(
                f"frame '{self.name}' needs at least one pixel a side, "
                f"got {self.width} x {self.height}"
            )


@dataclass(frozen=True, slots=True)
class Box:
    """Four edges in one frame, in pixels, outer corners; x0 < x1 and y0 < y1."""

    x0: float
    y0: float
    x1: float
    y1: float
    frame: Frame

    def __post_init__(self) -> None:
        edges = (self.x0, self.y0, self.x1, self.y1)
        if (
            not all(math.isfinite(edge) for edge in edges)
            or self.x0 >= self.x1
            or self.y0 >= self.y1
        ):
            raise FrameError(f"a box needs finite edges with x0 < x1 and y0 < y1, got {edges}")

    @classmethod
    def from_unit(cls, unit: Sequence[float], frame: Frame) -> Box:
        """The box whose edges are x0 y0 x1 y1 in 0..1 of the frame."""
        x0, y0, x1, y1 = unit
        return cls(x0 * frame.width, y0 * frame.height, x1 * frame.width, y1 * frame.height, frame)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in pixels of the frame."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def width(self) -> float:
        """Pixels of the frame."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Pixels of the frame."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Square pixels of the frame."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """x, y in pixels of the frame."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def unit(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in 0..1 of the frame."""
        w, h = self.frame.width, self.frame.height
        return self.x0 / w, self.y0 / h, self.x1 / w, self.y1 / h

    def is_inside(self, tolerance: float = 0.0) -> bool:
        """Whether no edge reaches further than `tolerance` pixels past the frame."""
        return (
            self.x0 >= -tolerance
            and self.y0 >= -tolerance
            and self.x1 <= self.frame.width + tolerance
            and self.y1 <= self.frame.height + tolerance
        )

    def clipped(self) -> Box | None:
        """The part inside the frame, or None where nothing is left."""
        x0, x1 = max(self.x0, 0.0), min(self.x1, float(self.frame.width))
        y0, y1 = max(self.y0, 0.0), min(self.y1, float(self.frame.height))
        return Box(x0, y0, x1, y1, self.frame) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True, slots=True)
class Point:
    """One place in one frame, in pixels from the outer corner of the first pixel."""

    x: float
    y: float
    frame: Frame

    def __post_init__(self) -> None:
        if not (math.isfinite(self.x) and math.isfinite(self.y)):
            raise FrameError(f"a point needs finite coordinates, got ({self.x}, {self.y})")

    def square(self, side: float = POINT_SIDE) -> Box:
        """The box of `side` pixels around the point, cut at the frame."""
        half = side / 2
        box = Box(self.x - half, self.y - half, self.x + half, self.y + half, self.frame).clipped()
        if box is None:
            raise FrameError(
                f"the point ({self.x}, {self.y}) lies outside its frame '{self.frame.name}'"
            )
        return box


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Foreground pixels of a region: `pixels` is bool (height, width) of the whole frame."""

    pixels: NDArray[np.bool_]
    frame: Frame

    def __post_init__(self) -> None:
        expected = (self.frame.height, self.frame.width)
        if self.pixels.shape != expected or self.pixels.dtype != np.bool_:
            raise FrameError(
                f"a mask of frame '{self.frame.name}' needs bool pixels of shape {expected}, "
                f"got {self.pixels.dtype} {self.pixels.shape}"
            )

    def box(self) -> Box | None:
        """The tight box of the foreground, outer edges; None where the mask is empty."""
        columns, rows = np.flatnonzero(self.pixels.any(0)), np.flatnonzero(self.pixels.any(1))
        if not len(columns):
            return None
        x0, x1 = float(columns[0]), float(columns[-1] + 1)
        return Box(x0, float(rows[0]), x1, float(rows[-1] + 1), self.frame)


@dataclass(frozen=True, slots=True)
class Placement:
    """An axis-aligned map from `source` to `target`: x' = x * x_scale + x_shift, y likewise.

    Scales are not 0; a negative one mirrors. Lengths are pixels of the two frames.
    """

    source: Frame
    target: Frame
    x_scale: float
    y_scale: float
    x_shift: float
    y_shift: float

    def __post_init__(self) -> None:
        values = (self.x_scale, self.y_scale, self.x_shift, self.y_shift)
        if not all(math.isfinite(value) for value in values) or 0 in (self.x_scale, self.y_scale):
            raise FrameError(
                f"a placement needs finite numbers and scales other than 0, got {values}"
            )

    @classmethod
    def letterbox(cls, source: Frame, target: Frame) -> Placement:
        """Scale to fit, aspect kept, centred.

        A 1024 x 768 film in 224 x 224 has scale 0.21875 and 28 px above.
        """
        scale = min(target.width / source.width, target.height / source.height)
        return cls(
            source,
            target,
            scale,
            scale,
            (target.width - scale * source.width) / 2,
            (target.height - scale * source.height) / 2,
        )

    def then(self, following: Placement) -> Placement:
        """This placement followed by another that starts in this one's target."""
        if following.source != self.target:
            raise FrameError(
                f"cannot chain a placement into '{self.target.name}' "
                f"with one from '{following.source.name}'"
            )
        return Placement(
            self.source,
            following.target,
            self.x_scale * following.x_scale,
            self.y_scale * following.y_scale,
            self.x_shift * following.x_scale + following.x_shift,
            self.y_shift * following.y_scale + following.y_shift,
        )

    def inverse(self) -> Placement:
        """The way back, from target to source."""
        return Placement(
            self.target,
            self.source,
            1 / self.x_scale,
            1 / self.y_scale,
            -self.x_shift / self.x_scale,
            -self.y_shift / self.y_scale,
        )

    def point(self, point: Point) -> Point:
        """The point in the target frame."""
        self._check(point.frame)
        x, y = point.x * self.x_scale + self.x_shift, point.y * self.y_scale + self.y_shift
        return Point(x, y, self.target)

    def box(self, box: Box) -> Box:
        """The box in the target frame; a mirrored axis swaps its edges."""
        self._check(box.frame)
        xs = sorted((box.x0 * self.x_scale + self.x_shift, box.x1 * self.x_scale + self.x_shift))
        ys = sorted((box.y0 * self.y_scale + self.y_shift, box.y1 * self.y_scale + self.y_shift))
        return Box(xs[0], ys[0], xs[1], ys[1], self.target)

    def _check(self, frame: Frame) -> None:
        if frame != self.source:
            raise FrameError(
                f"a place in frame '{frame.name}' ({frame.width} x {frame.height}) was given "
                f"to a placement from '{self.source.name}' "
                f"({self.source.width} x {self.source.height})"
            )


def intersection_over_union(a: Box, b: Box) -> float:
    """Shared area over joint area of two boxes of one frame, 0 to 1."""
    if a.frame != b.frame:
        raise FrameError(
            f"boxes of two frames, '{a.frame.name}' and '{b.frame.name}', do not overlap"
        )
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (a.area + b.area - shared)


def area_share(box: Box) -> float:
    """The part of its frame that a box covers, 0 to 1."""
    return box.area / (box.frame.width * box.frame.height)


def size_stratum(box: Box) -> str:
    """tiny, small, medium or large: sqrt(area share) below .06, .15, .35, or more."""
    side = math.sqrt(area_share(box))
    return next(name for name, bound in SIZE_STRATA if side < bound)
