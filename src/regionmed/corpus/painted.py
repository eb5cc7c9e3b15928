"""Seeded synthetic studies with true regions: films, ultrasound pictures, blood smears.

They exist to try the whole way without anybody's data, and to know the truth. Nobody should learn
medicine from them. In films and smears several labels share a picture, at any place and in the same
sizes, so that neither the box nor the whole picture alone tells a label; an ultrasound picture
carries one label, so the whole picture does.

Pixels are uint8, marks are masks in the picture's own frame; chance comes in as a Generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey = NDArray[np.float64]
FILM_LABELS = ("nodule", "opacity", "cavity")
ULTRASOUND_LABELS = ("cyst", "solid mass", "normal")
SMEAR_LABELS = ("round cell", "elongated cell", "target cell", "nucleated cell", "platelet")


@dataclass(frozen=True, eq=False)
class Mark:
    """One painted finding: bool (H, W), true where its pixels lie."""

    label: str
    mask: NDArray[np.bool_]

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1: the tight box of the mask, outer edges, pixels."""
        columns, rows = np.flatnonzero(self.mask.any(0)), np.flatnonzero(self.mask.any(1))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class Study:
    """A painted picture, uint8 (H, W) or (H, W, 3), and what was painted into it."""

    pixels: NDArray[np.uint8]
    marks: tuple[Mark, ...]


def paint_film(generator: Generator) -> Study:
    """A chest-film-like picture with 1 to 4 of nodule, opacity and cavity in its lungs."""
    height, width = (int(side) for side in generator.integers(272, 369, 2))
    u, v = _posed(*_grid(width, height), generator)
    wobble = 0.08 * _cloud(generator, width, height, 4)
    lungs = np.zeros((height, width))
    for side in (-1, 1):
        wide, tall = generator.uniform(0.27, 0.37), generator.uniform(0.55, 0.75)
        edge = ((u - side * 0.44) / wide) ** 2 + ((v + 0.12) / tall) ** 2 + wobble
        base = generator.uniform(0.34, 0.54) + 0.18 * (u - side * 0.44) ** 2
        lungs = np.maximum(lungs, _ramp(1 - edge, 0.14) * _ramp(base - v, 0.05))
    body = _ramp(1.12 - (np.abs(u) ** 3 + 0.35 * np.maximum(-v, 0) ** 4), 0.25)
    film = 0.58 * body * (1 - generator.uniform(0.5, 0.7) * lungs)
    girth = generator.uniform(0.28, 0.42)
    heart = ((u - 0.14) / girth) ** 2 + ((v - 0.28) / girth) ** 2
    film += 0.17 * _ramp(1 - heart, 0.25) + 0.14 * np.exp(-((u / 0.13) ** 2))
    film -= 0.14 * np.exp(-((u / 0.035) ** 2)) * _ramp(-0.35 - v, 0.1)  # trachea
    film += 0.1 * _ribs(u, v, generator) * body
    film += lungs * (0.05 * _cloud(generator, width, height, 24)
                     + 0.05 * np.exp(-((np.abs(u) - 0.2) ** 2 + v**2) / 0.03))  # fmt: skip
    film *= 1 + 0.14 * _cloud(generator, width, height, 1)  # uneven exposure
    marks: list[Mark] = []
    taken = lungs < 0.6
    for _ in range(int(generator.integers(1, 5))):
        label = str(generator.choice(FILM_LABELS))
        radius = float(np.exp(generator.uniform(np.log(4.5), np.log(30))))
        blob = _place(generator, taken, radius, irregular=0.18)
        if blob is not None:
            film[blob.window] += _finding(label, blob.depth, radius, generator)
            marks.append(Mark(label, blob.mask))
    film = ndimage.gaussian_filter(film, 0.7) + 0.018 * generator.standard_normal(film.shape)
    contrast = generator.uniform(0.85, 1.2)
    return Study(_to_bytes(np.clip(film, 0, 1) ** contrast), tuple(marks))


def _finding(label: str, depth: Grey, radius: float, generator: Generator) -> Grey:
    """What a finding adds to the film; depth is 1 in its middle, 0 at its rim, below 0 outside."""
    strength = generator.uniform(0.2, 0.3)
    if label == "nodule":
        return strength * _ramp(depth, 0.12)
    if label == "cavity":
        return 1.15 * strength * _ramp(depth, 0.15) - 1.5 * strength * _ramp(depth - 0.42, 0.2)
    height, width = depth.shape
    grain = 0.75 + 0.5 * _cloud(generator, width, height, max(8, int(1.6 * width / radius)))
    return 1.05 * strength * np.clip(depth + 0.15, 0, 1) ** 0.8 * np.clip(grain, 0, 2)


def paint_ultrasound(generator: Generator, label: str) -> Study:
    """A breast-ultrasound-like picture: one cyst or one solid mass, or nothing where 'normal'."""
    height, width = int(generator.integers(256, 321)), int(generator.integers(300, 385))
    _, v = _grid(width, height)
    bend = v + 0.06 * _cloud(generator, width, height, 3)
    tissue = 0.42 + 0.16 * _cloud(generator, width, height, 9)
    tissue += 0.35 * np.exp(-(((bend + 0.93) / 0.04) ** 2))  # skin
    for level in (-0.55, 0.5 + 0.1 * generator.random(), 0.72):
        tissue += 0.22 * np.exp(-(((bend - level) / 0.025) ** 2))  # fascia
    tissue *= 1.1 - 0.35 * (v + 1) / 2
    marks: tuple[Mark, ...] = ()
    if label != "normal":
        blob = _lesion(label, v, generator)
        tissue = _with_lesion(tissue, label, blob, generator)
        marks = (Mark(label, blob.mask),)
    speckle = np.hypot(*generator.standard_normal((2, height, width)))
    speckle = ndimage.gaussian_filter(speckle, (0.7, 1.3))
    return Study(_to_bytes(np.clip(tissue * speckle / 1.05, 0, 1) ** 0.9), marks)


def _lesion(label: str, v: Grey, generator: Generator) -> _Blob:
    """Four of five cysts lie in the upper half, solid masses in the lower: here place tells too."""
    radius = float(np.exp(generator.uniform(np.log(9), np.log(62))))
    rough = 0.07 if label == "cyst" else 0.26
    upper = (label == "cyst") == (generator.random() < 0.8)
    taken = (np.abs(v) > 0.8) | ((v > 0) if upper else (v < 0))
    while (blob := _place(generator, taken, radius, irregular=rough, flat=0.7)) is None:
        radius *= 0.8  # a smaller one finds room
    return blob


def _with_lesion(tissue: Grey, label: str, blob: _Blob, generator: Generator) -> Grey:
    """Black with a bright ground below for a cyst, grey with a shadow below for a solid mass."""
    depth = np.full(tissue.shape, -9.0)
    depth[blob.window] = blob.depth
    inside = _ramp(depth, 0.1)
    below = np.maximum.accumulate(blob.mask, axis=0) & ~blob.mask
    behind = ndimage.gaussian_filter(below.astype(float), (1, 3))
    if label == "cyst":
        wall = 0.3 * np.exp(-((depth / 0.06) ** 2))
        return (tissue * (1 - 0.93 * inside) + wall) * (1 + 0.55 * behind)
    return tissue * (1 - generator.uniform(0.5, 0.7) * inside) * (1 - 0.5 * behind)


def paint_smear(generator: Generator) -> Study:
    """A blood-smear-like picture in colour: 8 to 22 cells of one size, and platelets."""
    height, width = (int(side) for side in generator.integers(256, 353, 2))
    light = 0.93 + 0.03 * _cloud(generator, width, height, 3)
    film = light[..., None] * np.array([1.0, 0.965, 0.955]) - 0.02 * generator.random(3)
    taken = np.zeros((height, width), bool)
    red = np.array([0.82, 0.5, 0.5]) + generator.uniform(-0.05, 0.05, 3)
    violet = np.array([0.42, 0.24, 0.56]) + generator.uniform(-0.05, 0.05, 3)
    marks: list[Mark] = []
    for _ in range(int(generator.integers(8, 23))):
        label = str(generator.choice(SMEAR_LABELS, p=(0.3, 0.2, 0.2, 0.15, 0.15)))
        radius = generator.uniform(3, 5.5) if label == "platelet" else generator.uniform(13, 19)
        flat = 0.55 if label == "elongated cell" else generator.uniform(0.88, 1.0)
        blob = _place(generator, taken, radius, irregular=0.06, flat=flat, turned=True)
        if blob is None:
            continue
        cover, colour = _cell(label, blob.depth)
        ground = film[blob.window]
        film[blob.window] = ground + cover * (red * (1 - colour) + violet * colour - ground)
        marks.append(Mark(label, blob.mask))
    film = ndimage.gaussian_filter(film, (0.8, 0.8, 0)) + 0.01 * generator.standard_normal(
        (height, width, 1)
    )
    return Study(_to_bytes(film), tuple(marks))


def _cell(label: str, depth: Grey) -> tuple[Grey, Grey]:
    """How much a cell covers the ground, (H, W, 1), and how violet it is, from its depth."""
    cover, violet = 0.9 * _ramp(depth, 0.12), np.zeros_like(depth)
    if label == "platelet":
        violet = np.ones_like(depth)
    elif label == "nucleated cell":
        violet = _ramp(depth - 0.38, 0.1)
    elif label == "target cell":
        cover *= 1 - 0.75 * np.exp(-(((depth - 0.5) / 0.14) ** 2))
    else:
        cover *= 1 - 0.6 * _ramp(depth - 0.55, 0.3)  # central pallor
    return cover[..., None], violet[..., None]


@dataclass(frozen=True, eq=False)
class _Blob:
    window: tuple[slice, slice]  # rows and columns of the picture around the blob
    depth: Grey  # in the window: 1 in the middle, 0 at the rim, below 0 outside
    mask: NDArray[np.bool_]  # of the whole picture


def _place(
    generator: Generator,
    taken: NDArray[np.bool_],
    radius: float,
    *,
    irregular: float,
    flat: float = 1.0,
    turned: bool = False,
) -> _Blob | None:
    """A blob on free ground, which is then marked as taken; None where no room is found.

    radius     pixels; `flat` is the short radius in parts of the long one
    irregular  how far the rim wanders, in parts of the radius
    """
    height, width = taken.shape
    reach = int(1.25 * radius * (1 + irregular)) + 3
    free = ~taken
    free[:reach] = free[-reach:] = False
    free[:, :reach] = free[:, -reach:] = False
    rows, columns = np.nonzero(free)
    turn = generator.uniform(0, np.pi) if turned else 0.0
    waves = generator.normal(0, irregular / 2, (2, 3))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = x * np.cos(turn) + y * np.sin(turn)
    across = (y * np.cos(turn) - x * np.sin(turn)) / flat
    angle = np.arctan2(across, along)
    rim = np.ones_like(angle)
    for k, (cosine, sine) in enumerate(waves.T, start=2):
        rim += (cosine * np.cos(k * angle) + sine * np.sin(k * angle)) / k
    depth = 1 - np.hypot(along, across) / (radius * np.maximum(rim, 0.5))
    inside = depth > 0
    for _ in range(12 if len(rows) else 0):
        pick = int(generator.integers(len(rows)))
        top, left = int(rows[pick]) - reach, int(columns[pick]) - reach
        window = slice(top, top + 2 * reach + 1), slice(left, left + 2 * reach + 1)
        if not (inside & taken[window]).any():
            taken[window] |= depth > -4 / radius
            mask = np.zeros((height, width), bool)
            mask[window] = inside
            return _Blob(window, depth, mask)
    return None


def _ribs(u: Grey, v: Grey, generator: Generator) -> Grey:
    shift = generator.uniform(-0.04, 0.04)
    arc = 0.35 * (np.abs(u) - 0.25) ** 2 + 0.12 * np.abs(u) + shift
    nearest = 0.19 * ((v - arc) / 0.19 - np.rint((v - arc) / 0.19))  # a rib each 0.19
    ribs = np.exp(-((nearest / 0.028) ** 2)) * (np.abs(u) > 0.1) * (np.abs(v) < 0.95)
    clavicle = -0.72 + shift - 0.12 * np.abs(u)
    return ribs + 1.4 * np.exp(-(((v - clavicle) / 0.03) ** 2)) * (np.abs(u) > 0.08)


def _posed(u: Grey, v: Grey, generator: Generator) -> tuple[Grey, Grey]:
    """The body's own coordinates: turned by up to 8 degrees, moved and scaled, no two alike."""
    turn = np.radians(generator.uniform(-8, 8))
    across = (u * np.cos(turn) - v * np.sin(turn)) * generator.uniform(0.85, 1.2)
    down = (v * np.cos(turn) + u * np.sin(turn)) * generator.uniform(0.85, 1.2)
    return across + generator.uniform(-0.16, 0.16), down + generator.uniform(-0.14, 0.14)


def _grid(width: int, height: int) -> tuple[Grey, Grey]:
    """Column and row of each pixel's centre, -1 to 1, each (H, W)."""
    across, down = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    u, v = np.meshgrid(2 * across - 1, 2 * down - 1)
    return u, v


def _cloud(generator: Generator, width: int, height: int, cells: int) -> Grey:
    """Smooth noise of about unit spread, (H, W), with `cells` knots along a side."""
    knots = Image.fromarray(generator.standard_normal((cells + 2, cells + 2)).astype(np.float32))
    return np.asarray(knots.resize((width, height), Image.Resampling.BICUBIC), np.float64)


def _ramp(value: Grey, softness: float) -> Grey:
    """0 below -softness, 1 above softness, straight between."""
    return np.clip(value / (2 * softness) + 0.5, 0, 1)


def _to_bytes(unit: Grey) -> NDArray[np.uint8]:
    return np.floor(np.clip(unit, 0, 1) * 255 + 0.5).astype(np.uint8)
