"""What a score must beat: answers made without looking at the region, or at the picture.

Places here are `edges` x0 y0 x1 y1 in unit coordinates of the model frame (0..1) and pixels are
uint8 (S, S, 3) in that frame, unless a name says otherwise. Legend: R regions, F features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.ensemble import RandomForestClassifier

from regionmed.geometry import Box, Placement, area_share, intersection_over_union
from regionmed.record import Record, Region

Pixels = NDArray[np.uint8]

TREES = 300
TRIES = 60  # places drawn for a wrong region; the one that overlaps least is taken
SEED = 0
MARK = (255, 0, 0)  # red: seen on grey and on stained tissue alike
LINE = 2  # pixels of the model frame


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
    margin = 1 if placement.x_scale <= 1 else math.ceil(2 * placement.x_scale)
    top, bottom, left, right = _whole_pixels(box, placement, margin)
    ring = np.zeros(pixels.shape[:2], bool)
    ring[max(top - 1, rows.start) : bottom + 1, max(left - 1, columns.start) : right + 1] = True
    ring[rows.stop :], ring[:, columns.stop :] = False, False
    ring[top:bottom, left:right] = False
    border = pixels[ring] if ring.any() else pixels[top:bottom, left:right].reshape(-1, 3)
    blank = pixels.copy()
    blank[top:bottom, left:right] = np.rint(border.mean(axis=0))
    return blank


def only_region(pixels: Pixels, box: Box, placement: Placement) -> Pixels:
    """The picture with all but one region replaced by the mean colour of what is replaced.

    box  in the frame 'file'; it grows outward to whole pixels of the model frame. The black around
    the picture stays; a region that covers the picture leaves it as it is.
    """
    window = picture_window(placement)
    top, bottom, left, right = _whole_pixels(box, placement, margin=0)
    outside = np.zeros(pixels.shape[:2], bool)
    outside[window] = True
    outside[top:bottom, left:right] = False
    alone = pixels.copy()
    if outside.any():
        alone[outside] = np.rint(pixels[outside].mean(axis=0))
    return alone


def marked(pixels: Pixels, box: Box, placement: Placement) -> Pixels:
    """The picture with the region's outline painted on it, LINE pixels wide, just outside the box.

    A published free lunch for a model that knows no regions (arXiv 2408.15802): what a region
    module must beat. box  in the frame 'file'; the line stays inside the model frame.
    """
    top, bottom, left, right = _whole_pixels(box, placement, margin=0)
    height, width = pixels.shape[:2]
    painted = Image.fromarray(pixels)
    ImageDraw.Draw(painted).rectangle(
        (
            max(left - LINE, 0),
            max(top - LINE, 0),
            min(right + LINE, width) - 1,
            min(bottom + LINE, height) - 1,
        ),
        outline=MARK,
        width=LINE,
    )
    return np.asarray(painted)


def jittered_box(box: Box, share: float, generator: np.random.Generator) -> Box:
    """The box moved by `share` of its width and height in a random direction, its size kept.

    A box that would leave the picture is moved as far as the edge.
    """
    angle = generator.random() * 2 * math.pi
    x = box.x0 + share * box.width * math.cos(angle)
    y = box.y0 + share * box.height * math.sin(angle)
    x = min(max(x, 0.0), box.frame.width - box.width)
    y = min(max(y, 0.0), box.frame.height - box.height)
    return Box(x, y, x + box.width, y + box.height, box.frame)


def wrong_box(box: Box, generator: np.random.Generator) -> Box:
    """A box of the same size in the same frame: of TRIES places the one that overlaps least."""
    frame = box.frame
    corners = generator.random((TRIES, 2)) * (frame.width - box.width, frame.height - box.height)
    places = [Box(x, y, x + box.width, y + box.height, frame) for x, y in corners]
    return min(places, key=lambda place: intersection_over_union(place, box))


def _whole_pixels(box: Box, placement: Placement, margin: int) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a box, grown to whole pixels of the picture and a margin more."""
    rows, columns = picture_window(placement)
    placed = placement.box(box)
    return (
        max(math.floor(placed.y0) - margin, rows.start),
        min(math.ceil(placed.y1) + margin, rows.stop),
        max(math.floor(placed.x0) - margin, columns.start),
        min(math.ceil(placed.x1) + margin, columns.stop),
    )


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
