"""The contact sheet draws regions where they are, escapes what it is told, and loads nothing."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from regionmed.corpus.build import build_corpus
from regionmed.corpus.sheet import outline_path, write_sheet

EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> BeautifulSoup:
    """The sheet of a corpus of two pictures whose labels and captions try to be HTML."""
    folder = tmp_path_factory.mktemp("sheet")
    coco = folder / "boxes"
    coco.mkdir()
    for name, shade in (("a.png", 40), ("b.png", 200)):
        pixels = np.full((60, 80), shade, np.uint8)
        pixels[10:30, 20:50] += 30
        Image.fromarray(pixels).save(coco / name)
    (coco / "annotations.json").write_text(
        """{"images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 60},
                       {"id": 2, "file_name": "b.png", "width": 80, "height": 60}],
            "categories": [{"id": 1, "name": "EVIL"}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 30, 20]},
              {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 0, 5]},
              {"id": 3, "image_id": 1, "caption": "EVIL"}]}""".replace("EVIL", EVIL),
        "utf-8",
    )
    corpus = build_corpus([coco], folder / "corpus")
    path = write_sheet(corpus, folder / "sheet.html")
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def test_a_box_is_drawn_in_file_pixels_over_its_picture(page: BeautifulSoup) -> None:
    figure = next(f for f in page.find_all("figure") if f.find("rect"))
    assert figure.find("svg")["viewbox"] == "0 0 80 60"
    image = figure.find("image")
    assert (image["width"], image["height"]) == ("80", "60")
    edges = [
        float(figure.find("rect", class_="shape")[key]) for key in ("x", "y", "width", "height")
    ]
    assert edges == [20, 10, 30, 20]


def test_nothing_that_a_source_says_becomes_markup(page: BeautifulSoup) -> None:
    assert page.find("script") is None
    assert EVIL.lower() in page.get_text().lower()


def test_the_page_loads_nothing_from_elsewhere(page: BeautifulSoup) -> None:
    for tag in page.find_all(True):
        for name in ("src", "href"):
            target = tag.get(name, "#")
            assert target.startswith(("#", "data:image/jpeg;base64,"))
    assert "url(" not in page.find("style").get_text()


def test_losses_stand_with_their_reasons(page: BeautifulSoup) -> None:
    assert "0 pictures or files and 1 regions or rows were not kept" in page.get_text()


def test_the_build_puts_a_sheet_into_the_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "classes"
    for name in ("benign", "malignant"):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            noise = np.random.default_rng(number).integers(0, 255, (30, 30), dtype=np.uint8)
            stream = io.BytesIO()
            Image.fromarray(noise).save(stream, "PNG")
            (folder / name / f"{number}{name}.png").write_bytes(stream.getvalue())
    corpus = build_corpus([folder], tmp_path / "corpus")
    text = (corpus.folder / "contact-sheet.html").read_text("utf-8")
    assert text.count("<figure>") == 4
    assert not list(corpus.folder.glob(".*"))


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_an_outline_runs_along_exactly_the_edges_of_the_mask(mask: np.ndarray) -> None:
    drawn = set()
    for x, y, way, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", outline_path(mask)):
        start, stop = int(x if way == "H" else y), int(end)
        for step in range(start, stop):
            drawn.add((way, step, int(y)) if way == "H" else (way, int(x), step))
    padded = np.pad(mask, 1)
    expected = set()
    for row in range(mask.shape[0] + 1):
        for column in range(mask.shape[1] + 1):
            here = padded[row + 1, column + 1]
            if here != padded[row, column + 1]:
                expected.add(("H", column, row))
            if here != padded[row + 1, column]:
                expected.add(("V", column, row))
    assert drawn == expected
