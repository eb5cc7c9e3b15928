"""Slices of the MNI152 template that nilearn brings along, with regions from its tissue maps.

One brain, the average of 152 persons, so all of its slices belong to one group. What is left and
what is right is known here, from the template's coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from regionmed.corpus.painted import Mark, Study

BRAIN_LABELS = ("left hemisphere", "right hemisphere", "lateral ventricle", "white matter")
# plane, the axis across it, and voxels along that axis; the voxels are 1 mm apart
_PLANES = (
    ("axial", 2, range(45, 141, 3)),
    ("coronal", 1, range(45, 206, 6)),
    ("sagittal", 0, range(35, 163, 8)),
)


def brain_slices() -> Iterator[tuple[str, Study]]:
    """Plane and place, and the slice with its marks; about 75 of them, 1 mm a pixel."""
    from nilearn.datasets import (
        load_mni152_gm_template,
        load_mni152_template,
        load_mni152_wm_template,
    )

    brain = load_mni152_template(resolution=1)
    anatomy = brain.get_fdata()
    grey = load_mni152_gm_template(resolution=1).get_fdata()
    white = load_mni152_wm_template(resolution=1).get_fdata()
    volumes = _volumes(anatomy, grey, white, brain.affine)
    for plane, axis, places in _PLANES:
        for place in places:
            shown = np.clip(_as_shown(anatomy, axis, place) / anatomy.max(), 0, 1)
            marks = [
                Mark(label, piece)
                for label, volume in volumes.items()
                # a sagittal slice lies within one hemisphere
                if not (plane == "sagittal" and "hemisphere" in label)
                for piece in _pieces(_as_shown(volume, axis, place))
            ]
            pixels = np.floor(shown * 255 + 0.5).astype(np.uint8)
            yield f"{plane}_{place:03}", Study(pixels, tuple(marks))


def _volumes(
    anatomy: NDArray[Any], grey: NDArray[Any], white: NDArray[Any], affine: NDArray[Any]
) -> dict[str, NDArray[np.bool_]]:
    """Label -> voxels of the template, bool (x, y, z); MNI's x grows to the right of the person."""
    x, y, z = (
        affine[axis, axis] * index + affine[axis, 3]
        for axis, index in enumerate(np.ogrid[tuple(slice(side) for side in anatomy.shape)])
    )
    inside = anatomy > 0.02
    fluid = inside & (grey < 0.35) & (white < 0.35)
    middle = (np.abs(x) < 45) & (y > -60) & (y < 42) & (z > -18) & (z < 38)
    pieces, count = ndimage.label(fluid & middle)
    sizes = ndimage.sum_labels(fluid, pieces, range(1, count + 1))
    # the two lateral ventricles are the largest pieces that keep to one side of the midline
    sided = [
        number
        for number in np.argsort(-sizes)[:8] + 1
        if np.abs(ndimage.mean(np.broadcast_to(x, pieces.shape), pieces, number)) > 6
    ]
    volumes = (inside & (x < 0), inside & (x > 0), np.isin(pieces, sided[:2]), white > 0.6)
    return dict(zip(BRAIN_LABELS, volumes, strict=True))


def _as_shown(volume: NDArray[Any], axis: int, place: int) -> NDArray[Any]:
    """The plane at `place` of an axis as radiologists look at it.

    Up is up, and the person's left lies on the right of the picture; of a sagittal plane the front
    lies on the left.
    """
    plane = np.moveaxis(volume, axis, 0)[place]
    return np.ascontiguousarray(plane.T[::-1, ::-1])


def _pieces(mask: NDArray[np.bool_], at_least: int = 25, most: int = 4) -> list[NDArray[np.bool_]]:
    """The largest connected pieces of a mask, of `at_least` pixels, `most` of them."""
    numbered, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, numbered, range(1, count + 1)) if count else np.zeros(0)
    order = [number for number in np.argsort(-sizes)[:most] if sizes[number] >= at_least]
    return [numbered == number + 1 for number in order]
