"""Painted studies are the same for equal seeds, and their marks are where the paint is."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

from regionmed.corpus.painted import (
    FILM_LABELS,
    SMEAR_LABELS,
    Study,
    paint_film,
    paint_smear,
    paint_ultrasound,
)
from regionmed.corpus.reporting import caption_of, questions_of
from regionmed.corpus.twins import look_at, twin_pairs

PAINTERS: list[Callable[[Generator], Study]] = [
    paint_film,
    paint_smear,
    lambda generator: paint_ultrasound(generator, "cyst"),
    lambda generator: paint_ultrasound(generator, "solid mass"),
]


@pytest.fixture(scope="module")
def films() -> list[Study]:
    """Forty painted films."""
    generator = np.random.default_rng(1)
    return [paint_film(generator) for _ in range(40)]


@pytest.mark.parametrize("paint", PAINTERS)
def test_equal_seeds_paint_equal_pictures_and_others_do_not(
    paint: Callable[[Generator], Study],
) -> None:
    first, again, other = (paint(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.pixels, again.pixels)
    assert [mark.edges for mark in first.marks] == [mark.edges for mark in again.marks]
    assert first.pixels.shape != other.pixels.shape or (first.pixels != other.pixels).any()


@pytest.mark.parametrize("paint", PAINTERS)
def test_a_mark_lies_in_its_picture_with_a_tight_box(paint: Callable[[Generator], Study]) -> None:
    for seed in range(5):
        study = paint(np.random.default_rng(seed))
        for mark in study.marks:
            x0, y0, x1, y1 = mark.edges
            assert mark.mask.shape == study.pixels.shape[:2]
            assert mark.mask[y0:y1, x0:x1].sum() == mark.mask.sum() > 0
            assert mark.mask[y0].any()
            assert mark.mask[:, x1 - 1].any()


def test_a_cyst_is_black_and_a_nodule_brighter_than_its_surroundings() -> None:
    cyst = paint_ultrasound(np.random.default_rng(0), "cyst")
    inside = cyst.pixels[cyst.marks[0].mask].mean()
    assert inside < 0.3 * cyst.pixels[~cyst.marks[0].mask].mean()
    films = [paint_film(np.random.default_rng(seed)) for seed in range(12)]
    for film in films:
        for mark in film.marks:
            if mark.label == "nodule":
                x0, y0, x1, y1 = mark.edges
                around = film.pixels[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3].astype(float)
                masked = mark.mask[y0 - 3 : y1 + 3, x0 - 3 : x1 + 3]
                assert around[masked].mean() > around[~masked].mean() + 10


def test_marks_of_one_picture_do_not_overlap(films: list[Study]) -> None:
    for film in films:
        if film.marks:
            assert sum(mark.mask.astype(int) for mark in film.marks).max() == 1


def test_neither_size_nor_picture_gives_a_films_label_away(films: list[Study]) -> None:
    sizes: dict[str, list[int]] = {label: [] for label in FILM_LABELS}
    mixed = sum(len({mark.label for mark in film.marks}) > 1 for film in films)
    for film in films:
        for mark in film.marks:
            sizes[mark.label].append(mark.edges[2] - mark.edges[0])
    assert mixed >= 12
    for values in sizes.values():
        assert min(values) < 15  # of about 320 px: tiny
        assert max(values) > 35


def test_smears_hold_every_kind_of_cell() -> None:
    studies = [paint_smear(np.random.default_rng(seed)) for seed in range(8)]
    assert {mark.label for study in studies for mark in study.marks} == set(SMEAR_LABELS)


def test_films_are_not_twins_of_each_other(films: list[Study]) -> None:
    # they would all land in one split
    looks = [look_at(film.pixels, str(number)) for number, film in enumerate(films)]
    assert twin_pairs(looks) == []


def test_captions_name_every_finding_and_answers_are_true(films: list[Study]) -> None:
    generator = np.random.default_rng(2)
    for film in films:
        labels = [mark.label for mark in film.marks]
        caption = caption_of(film, generator).lower()
        assert all(label in caption for label in labels)
        for question, answer in questions_of(film, generator):
            asked = next((label for label in FILM_LABELS if label in question), None)
            if question.startswith("Is there"):
                assert answer == ("yes" if asked in labels else "no")
            elif question.startswith("How many"):
                assert answer == ("no", "one", "two", "three", "four")[len(labels)]
            elif question.startswith("On which side"):
                x0, _, x1, _ = next(mark.edges for mark in film.marks if mark.label == asked)
                left = (x0 + x1) / 2 < film.pixels.shape[1] / 2
                assert answer == ("left" if left else "right")
            else:
                assert answer in labels
