"""What a score must beat: answers made without looking at the region, or at the picture.

Places here are `edges` x0 y0 x1 y1 in unit coordinates of the model frame (0..1) and pixels are
uint8 (S, S, 3) in that frame, unless a name says otherwise. Legend: R regions, F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from regionmed.geometry import Box, Placement, area_share, intersection_over_union
from regionmed.record import Record, Region

Pixels = NDArray[np.uint8]

TREES = 300
TRIES = 60  # places drawn for a wrong region; the one that overlaps least is taken
SEED = 0


def picture_window(placement: Placement) -> tuple[slice, slice]:
    """Rows and columns of the model frame that the picture covers, as `place_picture` laid it."""
    target = placement.target
    left, top = round(placement.x_shift), round(placement.y_shift)
    # even a picture of 1000 x 3 px is one row high
    bottom, right = max(target.height - top, top + 1), max(target.width - left, left + 1)
    return slice(top, bottom), slice(left, right)


def grey_picture(pixels: Pixels, placement: Placement) -> Pixels:
    """The picture replaced by its mean grey; the black around it stays."""
    window = picture_window(placement)
    blank = pixels.copy()
    blank[window] = round(float(pixels[window].mean()))
    return blank


def without_region(pixels: Pixels, box: Box, placement: Placement) -> Pixels:
    """The picture with one region filled with the mean colour of its border.

    box  in the frame 'file'. It grows outward to whole pixels of the model frame and a margin
    further, because scaling smears an edge over its neighbours: one pixel, or, in a picture that
    was enlarged, the two file pixels that bicubic scaling reaches. The border is the ring of one
    pixel around it, inside the picture; a region that covers all of it is filled with its own mean.
    """
    rows, columns = picture_window(placement)
    placed = placement.box(box)
    margin = 1 if placement.x_scale <= 1 else math.ceil(2 * placement.x_scale)
    top = max(math.floor(placed.y0) - margin, rows.start)
    bottom = min(math.ceil(placed.y1) + margin, rows.stop)
    left = max(math.floor(placed.x0) - margin, columns.start)
    right = min(math.ceil(placed.x1) + margin, columns.stop)
    ring = np.zeros(pixels.shape[:2], bool)
    ring[max(top - 1, rows.start) : bottom + 1, max(left - 1, columns.start) : right + 1] = True
    ring[rows.stop :], ring[:, columns.stop :] = False, False
    ring[top:bottom, left:right] = False
    border = pixels[ring] if ring.any() else pixels[top:bottom, left:right].reshape(-1, 3)
    blank = pixels.copy()
    blank[top:bottom, left:right] = np.rint(border.mean(axis=0))
    return blank


def wrong_box(box: Box, generator: np.random.Generator) -> Box:
    """A box of the same size in the same frame: of TRIES places the one that overlaps least."""
    frame = box.frame
    corners = generator.random((TRIES, 2)) * (frame.width - box.width, frame.height - box.height)
    places = [Box(x, y, x + box.width, y + box.height, frame) for x, y in corners]
    return min(places, key=lambda place: intersection_over_union(place, box))


def box_features(record: Record, region: Region) -> list[float]:
    """A box without its pixels: centre, width, height, area share, aspect, regions beside it."""
    box, frame = region.box, region.box.frame
    x, y = box.centre
    return [
        x / frame.width,
        y / frame.height,
        box.width / frame.width,
        box.height / frame.height,
        area_share(box),
        box.width / box.height,
        float(len(record.regions)),
    ]


def answers_from_boxes(
    train_RF: Sequence[Sequence[float]],
    train_labels: Sequence[str],
    asked_RF: Sequence[Sequence[float]],
) -> list[str]:
    """The labels that a balanced random forest of TREES trees gives to boxes it never saw."""
    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=SEED)
    forest.fit(np.array(train_RF), np.array(train_labels))
    return [str(label) for label in forest.predict(np.array(asked_RF))]
