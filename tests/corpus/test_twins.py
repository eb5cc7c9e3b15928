"""Pictures that are the same are found without comparing all with all."""

import time

import numpy as np
from PIL import Image

from regionmed.corpus.twins import RADIUS, Look, look_at, near_pairs, twin_pairs


def noise(seed: int, width: int = 200, height: int = 150) -> np.ndarray:
    """Coarse noise, uint8 (height, width)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def test_a_scaled_darkened_copy_is_a_twin_and_a_stranger_is_not():
    film = noise(1)
    smaller = np.asarray(Image.fromarray(film).resize((120, 90)))
    darker = (film * 0.8).astype(np.uint8)
    looks = [look_at(pixels, str(n)) for n, pixels in enumerate([film, smaller, darker, noise(2)])]
    assert {(i, j) for i, j, _ in twin_pairs(looks)} == {(0, 1), (0, 2), (1, 2)}


def test_grey_and_colour_files_of_one_picture_are_twins():
    film = noise(1)
    looks = [look_at(film, "a"), look_at(np.stack([film] * 3, axis=-1), "b")]
    ((_, _, likeness),) = twin_pairs(looks)
    assert likeness > 0.99


def test_a_mirrored_film_is_another_film():
    film = noise(1)
    assert twin_pairs([look_at(film, "a"), look_at(film[:, ::-1], "b")]) == []


def test_equal_bytes_are_twins_whatever_they_show():
    black = np.zeros((50, 50), dtype=np.uint8)
    looks = [look_at(black, digest) for digest in ("a", "b", "a")]
    assert twin_pairs(looks) == [(0, 2, 1.0)]  # two flat pictures alone would prove nothing


def test_pairs_are_those_of_comparing_all_with_all():
    generator = np.random.default_rng(0)
    centres = generator.integers(0, 2**63, 40, dtype=np.uint64)
    looks = []
    for number in range(200):
        bits = generator.choice(64, generator.integers(0, 6), replace=False)
        code = centres[number % 40] ^ np.uint64(sum(1 << int(bit) for bit in bits))
        grey = generator.integers(0, 256, 48 * 48, dtype=np.uint8) if number % 3 else _grey(number)
        looks.append(Look(str(number), code, grey))
    expected = set()
    for i in range(200):
        for j in range(i + 1, 200):
            apart = int(looks[i].hash ^ looks[j].hash).bit_count()
            if apart <= RADIUS and np.corrcoef(looks[i].grey, looks[j].grey)[0, 1] >= 0.95:
                expected.add((i, j))
    assert expected
    assert {(i, j) for i, j, _ in near_pairs(looks)} == expected


def _grey(number: int) -> np.ndarray:
    generator = np.random.default_rng(number % 40)
    return generator.integers(0, 256, 48 * 48, dtype=np.uint8)


def test_twenty_thousand_strangers_are_compared_in_seconds():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2**64, 20_000, dtype=np.uint64)
    grey = generator.integers(0, 256, 48 * 48, dtype=np.uint8)
    started = time.perf_counter()
    assert near_pairs([Look(str(n), code, grey) for n, code in enumerate(codes)]) == []
    assert time.perf_counter() - started < 30
