"""Pointing, overlap, contrast on small maps: masks, boxes, ties, letterboxed pictures; a run."""

from dataclasses import replace

import numpy as np
import pytest

from regionmed.corpus.shards import Corpus
from regionmed.evaluation.detection import MODEL
from regionmed.evaluation.grounding import (
    MOST_CONTRAST,
    Target,
    contrast,
    foreground,
    hottest_place,
    overlap,
    pointing,
    run_grounding,
    target_on_cells,
)
from regionmed.evaluation.grounding_scores import outcomes_of, score_grounding
from regionmed.evaluation.part import Part, open_parts
from regionmed.geometry import Box, Frame, Mask, Placement
from regionmed.record import Region

FRAME = Frame("file", 8, 8)
SAME = Placement.letterbox(FRAME, Frame("model", 8, 8))


def square_target() -> Target:
    """Four cells of two pixels; the foreground is the upper left cell and one column beside it."""
    pixels = np.zeros((8, 8), bool)
    pixels[:4, :5] = True
    return target_on_cells(pixels, SAME, 2)


def test_masks_come_before_boxes_and_boxes_hold_pixels_by_their_centre() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = True
    masked = Region("a", Box(0, 0, 4, 4, FRAME), "mask", mask=Mask(mask, FRAME))
    boxed = Region("a", Box(5.4, 5.6, 8, 8, FRAME), "box")
    pixels = foreground([masked, boxed], FRAME)
    assert pixels[0, 0]
    assert not pixels[1, 1]
    assert np.argwhere(pixels[4:, 4:]).min(axis=0).tolist() == [2, 1]
    assert pixels.sum() == 1 + 2 * 3


def test_the_hottest_cell_counts_where_its_centre_is_inside() -> None:
    target = square_target()
    assert target.inside_hw.tolist() == [[True, False], [False, False]]
    assert pointing(np.array([[0.9, 0.1], [0.1, 0.1]]), target) == 1
    assert pointing(np.array([[0.1, 0.9], [0.1, 0.1]]), target) == 0


def test_equal_cells_share_so_that_a_constant_map_earns_the_area_share() -> None:
    target = square_target()
    assert pointing(np.array([[0.9, 0.9], [0.1, 0.1]]), target) == 0.5
    assert pointing(np.full((2, 2), 0.3), target) == 0.25


def test_overlap_counts_area_not_cells() -> None:
    """Hot cells: the upper two, 32 pixels; foreground 20 pixels, all in them."""
    target = square_target()
    assert target.covered_hw == pytest.approx(np.array([[1, 0.25], [0, 0]]))
    assert overlap(np.array([[0.5, 0.6], [0.4, 0.1]]), target) == pytest.approx(20 / 32)
    assert overlap(np.array([[0.5, 0.1], [0.4, 0.1]]), target) == pytest.approx(16 / 20)
    assert overlap(np.zeros((2, 2)), target) == 0


def test_cells_outside_the_picture_are_ignored() -> None:
    """A wide picture fills the middle rows of its frame; the hottest cell lies in the bar above."""
    wide = Frame("file", 8, 4)
    pixels = np.zeros((4, 8), bool)
    pixels[:, :4] = True
    target = target_on_cells(pixels, Placement.letterbox(wide, Frame("model", 8, 8)), 4)
    assert target.valid_hw[:, 0].tolist() == [False, True, True, False]
    heat = np.zeros((4, 4))
    heat[0, :], heat[1, 0] = 1.0, 0.8
    assert pointing(heat, target) == 1
    assert overlap(heat, target) == pytest.approx(1 / 4)
    assert pointing(np.ones((4, 4)), target) == 0.5


def test_the_hottest_place_is_in_file_pixels_and_inside_the_picture() -> None:
    wide = Frame("file", 80, 40)
    heat = np.zeros((4, 4))
    heat[0, 3], heat[1, 2] = 1.0, 0.8  # the first lies in the bar above the picture
    assert hottest_place(heat, Placement.letterbox(wide, Frame("model", 8, 8))) == (50, 10)


def test_a_finer_grid_finds_the_true_area_of_a_disc() -> None:
    frame = Frame("file", 200, 150)
    y, x = np.mgrid[:150, :200] + 0.5
    disc = (x - 90) ** 2 + (y - 70) ** 2 < 40**2
    target = target_on_cells(disc, Placement.letterbox(frame, Frame("model", 224, 224)), 28)
    area = target.covered_hw.sum() / target.valid_hw.sum()
    assert area == pytest.approx(disc.mean(), rel=0.02)


def test_contrast_is_the_difference_of_means_over_the_noise_by_area() -> None:
    """Inside: .9 on 16 pixels, .4 on 4; outside .4 on 12, .1 on 32, each its cell's heat."""
    inside = np.array([0.9] * 16 + [0.4] * 4)
    outside = np.array([0.4] * 12 + [0.1] * 32)
    expected = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
    heat = np.array([[0.9, 0.4], [0.1, 0.1]])
    assert contrast(heat, square_target()) == pytest.approx(expected, abs=1e-6)
    assert contrast(1 - heat, square_target()) == pytest.approx(-expected, abs=1e-6)
    assert contrast(0.5 * heat + 0.1, square_target()) == pytest.approx(expected, abs=1e-6)


def test_contrast_agrees_with_pixels_counted_one_by_one() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        pixels = generator.random((8, 8)) < 0.3
        heat = generator.random((4, 4))
        spread = heat.repeat(2, axis=0).repeat(2, axis=1)
        inside, outside = spread[pixels], spread[~pixels]
        expected = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
        assert contrast(heat, target_on_cells(pixels, SAME, 4)) == pytest.approx(expected, abs=1e-5)


def test_contrast_of_a_constant_map_is_nothing_and_of_a_perfect_one_is_bounded() -> None:
    pixels = np.zeros((8, 8), bool)
    pixels[:4, :4] = True
    target = target_on_cells(pixels, SAME, 2)
    assert contrast(np.full((2, 2), np.float32(0.1)), target) == 0
    assert contrast(np.array([[1.0, 0], [0, 0]]), target) == MOST_CONTRAST
    assert contrast(np.array([[0, 1.0], [1, 1]]), target) == -MOST_CONTRAST
    for everything in (np.ones((8, 8), bool), np.zeros((8, 8), bool)):
        assert contrast(np.eye(2), target_on_cells(everything, SAME, 2)) == 0


class Counted:
    """A model that points where a picture is bright, or dark, as the phrase says; 24 x 24 cells.

    It is blind to dark squares that begin right of column 63: two of the twelve in the test split.
    """

    name, fingerprint, embedding_dim, image_size = "counted", "0" * 64, 8, 96
    phrases: tuple[str, ...] = ()
    training_pictures: frozenset[str] | None = frozenset()

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def heat(self, pixels_NHWC: np.ndarray, texts: list[list[str]]) -> list[np.ndarray]:
        self.asked.append([len(row) for row in texts])
        maps = []
        for grey, row in zip(pixels_NHWC[..., 0], texts, strict=True):
            bright, dark = grey > 200, (grey < 50) & (grey > 5)
            dark &= dark[:, 60:64].any()
            sharp = np.stack([bright if "bright" in text else dark for text in row])
            cells = sharp.reshape(len(row), 24, 4, 24, 4)
            maps.append(cells.mean(axis=(2, 4), dtype=np.float32))
        return maps


def only_part(model: object, corpus: Corpus) -> Part:
    (part,) = open_parts(model, [corpus], "test")  # type: ignore[arg-type]
    return part


def test_a_picture_is_shown_once_and_once_in_grey_whatever_is_asked(squares: Corpus) -> None:
    """24 pictures in batches of 16 and 8, two phrases each."""
    model = Counted()
    part = only_part(model, squares)
    answers = run_grounding(model, part, part.pictures(96))  # type: ignore[arg-type]
    assert model.asked == [[2] * 16, [2] * 16, [2] * 8, [2] * 8]
    assert answers is not None
    assert len(answers.answers) == 24
    assert all(one.map_hw.base is None for one in answers.answers)


def test_a_model_that_finds_all_squares_but_two_earns_what_is_counted_by_hand(
    squares: Corpus,
) -> None:
    model = Counted()
    part = only_part(model, squares)
    answers = run_grounding(model, part, part.pictures(96))  # type: ignore[arg-type]
    assert answers is not None
    scores = {
        (score.metric, score.details.get("iou")): score
        for score in score_grounding([answers])
        if score.set == "squares"
    }
    area = 400 / (96 * 64)  # what an empty map earns: every cell is the hottest
    assert scores["pointing", None].value == pytest.approx((22 + 2 * area) / 24, abs=1e-3)
    assert scores["miou", None].value > 0.7
    assert scores["cnr", None].value > 3
    assert scores["cnr", None].controls["random map"] == 0
    found = scores["ap", ".50"]
    assert found.value == pytest.approx((1 + 84 / 101) / 2)  # dark: recall 0, .01, ... .83
    assert found.n == 24
    assert found.details["pictures"] == 24
    assert set(found.controls) == {"blank", "centre prior", "random box"}
    assert max(found.controls.values()) < 0.2


def test_detection_asks_for_absent_labels_too_and_leaves_out_rare_ones(squares: Corpus) -> None:
    """With four dark squares only, dark is not scored; bright is asked in every picture."""
    model = Counted()
    part = only_part(model, squares)
    dark = [index for index, record in enumerate(part.records) if record.labels == ("dark",)]
    rows = [index for index in range(24) if index not in dark[4:]]
    few = replace(
        part,
        records=tuple(part.records[row] for row in rows),
        indices=tuple(part.indices[row] for row in rows),
    )
    answers = run_grounding(model, few, few.pictures(96))  # type: ignore[arg-type]
    assert answers is not None
    assert answers.detection is not None
    assert answers.detection.labels == ("bright",)
    assert {box.picture for box in answers.detection.found[MODEL]} == set(range(16))
    assert len(answers.detection.truth) == 12


def test_outcomes_name_each_question_and_their_mean_is_the_score(squares: Corpus) -> None:
    model = Counted()
    part = only_part(model, squares)
    answers = run_grounding(model, part, part.pictures(96))  # type: ignore[arg-type]
    assert answers is not None
    scores = {
        score.metric: score.value for score in score_grounding([answers]) if score.set == "squares"
    }
    outcomes = {one.metric: one for one in outcomes_of(answers)}
    assert set(outcomes) == {"pointing", "miou"}
    for metric, one in outcomes.items():
        assert one.values_N.mean() == pytest.approx(scores[metric])
        assert one.items[0] == "squares/test0.png#dark"
        assert one.strata[0][0] == "medium"
