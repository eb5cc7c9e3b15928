"""The page in a real browser on a real server: open a picture, draw a box, read the answers."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydicom.data import get_testdata_file

import regionmed
from regionmed.corpus.pixels import read_picture, replay
from regionmed.record import Record

PATHS = ("/usr/bin/chromium", "/usr/bin/google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next((path for path in PATHS if Path(path).exists()), None)
    if path is None:
        pytest.skip(f"no browser at {' or '.join(PATHS)}: apt install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@contextmanager
def served(model: Path, index: Path) -> Iterator[str]:
    """A `regionmed serve` process on a free port."""
    script = Path(sys.executable).with_name("regionmed")
    command = [script, "serve", model, "--index", index, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server did not start: {line!r}"
        yield found[0]
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def address(untrained: Path, shapes_index: Path) -> Iterator[str]:
    with served(untrained, shapes_index) as found:
        yield found


@pytest.fixture(scope="module")
def judging_address(untrained: Path, judging_index: Path) -> Iterator[str]:
    with served(untrained, judging_index) as found:
        yield found


@contextmanager
def opened_page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, freshly opened; any script error or forbidden request fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith((address, "blob:"))] == []
    assert [text for text in said if "400 (Bad Request)" not in text] == []


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened_page(browser, address) as opened:
        yield opened


@pytest.fixture
def judging_page(browser: Browser, judging_address: str) -> Iterator[Page]:
    """The page over an index that has val rows to judge its answers by."""
    with opened_page(browser, judging_address) as opened:
        yield opened


@pytest.fixture(scope="module")
def ct() -> Path:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    return Path(path)


def open_file(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#facts")).to_contain_text(f"{path.name} · ")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], **button: str) -> None:
    """Drag on the canvas, positions in parts of its size."""
    area = page.locator("#canvas").bounding_box()
    assert area is not None
    (ax, ay), (bx, by) = (
        (area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)
    )
    page.mouse.move(ax, ay)
    page.mouse.down(**button)  # type: ignore[arg-type]
    page.mouse.move((ax + bx) / 2, (ay + by) / 2, steps=3)
    page.mouse.move(bx, by, steps=3)
    page.mouse.up(**button)  # type: ignore[arg-type]


def box(page: Page) -> list[int]:
    """The four fields, file pixels."""
    return [int(page.locator(f"[name={edge}]").input_value()) for edge in ("x0", "y0", "x1", "y1")]


def test_a_box_drawn_on_a_dicom_is_answered_with_sentences_and_pictures(
    page: Page, ct: Path
) -> None:
    open_file(page, ct)
    expect(page.locator("#facts")).to_have_text("CT_small.dcm · 128 × 128 px · DICOM")
    drag(page, (0.4, 0.3), (0.6, 0.6))
    expect(page.locator("#sentences li")).to_have_count(2)
    expect(page.locator("#matches .card")).to_have_count(6)
    # the picture fills the canvas's height, so 0.3 to 0.6 of it are file pixels 38 to 77
    assert box(page)[1::2] == pytest.approx([38, 77], abs=1)
    expect(page.locator("#sentences")).to_contain_text("square")
    expect(page.locator("#sentences-of")).to_have_text("nearest of 2; none need fit")
    expect(page.locator("#matches-of")).to_have_text("nearest of 8")
    expect(page.locator("#matches .card").first).to_contain_text("similarity")
    shown = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(f"({shown})([...document.querySelectorAll('#matches img')])")
    page.locator("#matches .card").first.click()
    expect(page.locator("#enlarged")).to_be_visible()
    expect(page.locator("#enlarged-facts")).to_contain_text("Box in file pixels")


def test_an_unfamiliar_region_is_answered_under_a_plain_unsure(
    judging_page: Page, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    open_file(judging_page, tmp_path / "noise.png")
    drag(judging_page, (0.3, 0.4), (0.6, 0.6))
    doubt = judging_page.locator("#unsure")
    expect(doubt).to_contain_text("Unsure: this region looks like none of the 24 train regions")
    expect(doubt.locator("svg")).to_be_visible()  # a shape beside the word: no colour is needed
    expect(judging_page.locator("#spoken")).to_contain_text("Unsure: this region")
    sentences = judging_page.locator("#sentences li")
    expect(sentences).to_have_count(2)
    expect(judging_page.locator("#sentences .likely")).to_have_count(0)
    above, first = doubt.bounding_box(), sentences.first.bounding_box()
    assert above is not None
    assert first is not None
    assert above["y"] + above["height"] <= first["y"]


def test_a_familiar_region_is_told_how_likely_its_findings_are(
    judging_page: Page, paint_shapes: Callable[[int, str], Record], tmp_path: Path
) -> None:
    record = paint_shapes(0, "test")
    assert record.picture is not None
    (tmp_path / "film.png").write_bytes(record.picture)
    open_file(judging_page, tmp_path / "film.png")
    for name, edge in zip(("x0", "y0", "x1", "y1"), record.regions[0].box.edges, strict=True):
        judging_page.locator(f"[name={name}]").fill(f"{edge:.0f}")
    judging_page.keyboard.press("Enter")
    expect(judging_page.locator("#answer")).to_be_visible()
    expect(judging_page.locator("#unsure")).not_to_contain_text("looks like none")
    expect(judging_page.locator("#likely-means")).to_contain_text("on 24 validation regions")
    shown = judging_page.locator("#sentences .likely").all_inner_texts()
    stated = [int(text.strip(" <>%")) for text in shown if text != "–"]
    assert len(stated) == 2
    assert sum(stated) == pytest.approx(100, abs=1)
    judging_page.locator("#ask-whole").click()
    expect(judging_page.locator("#unjudged")).to_contain_text("Not judged: how sure this is")


def test_an_index_without_val_rows_says_that_it_cannot_tell(page: Page, ct: Path) -> None:
    open_file(page, ct)
    drag(page, (0.4, 0.3), (0.6, 0.6))
    expect(page.locator("#unjudged")).to_contain_text("made with too few val regions to tell")
    expect(page.locator("#unsure")).to_be_hidden()


def test_a_box_is_moved_resized_and_kept_inside_the_picture(
    page: Page, shapes_corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "shapes.png").write_bytes(regionmed.open_corpus(shapes_corpus).picture_bytes(0))
    open_file(page, tmp_path / "shapes.png")  # 160 x 120, as wide as the canvas
    drag(page, (0.25, 0.4), (0.5, 0.6))
    x0, y0, x1, y1 = box(page)
    assert [x0, x1] == [40, 80]
    drag(page, (0.375, 0.5), (0.5, 0.5))  # inside: moves by an eighth of 160 pixels
    assert box(page) == [60, y0, 100, y1]
    drag(page, (0.625, 0.5), (0.75, 0.5))  # the right edge, at pixel 100
    assert box(page) == [60, y0, 120, y1]
    drag(page, (0.5, 0.5), (1.0, 0.5))  # past the right edge of the picture: stops there
    assert box(page) == [100, y0, 160, y1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Alt+ArrowLeft")
    assert box(page) == [89, y0, 148, y1]
    page.keyboard.press("Escape")
    expect(page.locator("[name=x0]")).to_have_value("")
    expect(page.locator("#answer")).to_be_hidden()


def test_zoom_and_pan_leave_the_box_where_it_is_on_the_picture(page: Page, ct: Path) -> None:
    open_file(page, ct)
    drag(page, (0.4, 0.3), (0.6, 0.6))
    before = box(page)
    page.mouse.wheel(0, -400)
    drag(page, (0.5, 0.5), (0.4, 0.4), button="middle")
    assert box(page) == before
    page.keyboard.press("1")
    expect(page.locator("#zoom")).to_have_text("100 %")
    page.keyboard.press("f")
    expect(page.locator("#zoom")).not_to_have_text("100 %")


def test_the_screen_shows_and_the_model_reads_the_same_window(page: Page, ct: Path) -> None:
    open_file(page, ct)
    drag(page, (0.4, 0.3), (0.6, 0.6))
    expect(page.locator("#answer")).to_be_visible()
    drag(page, (0.5, 0.7), (0.4, 0.65), button="right")
    expect(page.locator("#read-as")).to_contain_text(
        f"centre {page.locator('#window-center').input_value()}, "
        f"width {page.locator('#window-width').input_value()}"
    )
    data = ct.read_bytes()
    applied = read_picture(data, "ct").applied
    steps = {key: value for key, value in applied.items() if key != "range"}
    script = """async ([id, window]) => {
        const { shadeGrey } = await import('/page/window.js');
        const { values: fetchValues } = await import('/page/api.js');
        const values = await fetchValues(id);
        const rgba = new Uint8ClampedArray(4 * values.length);
        shadeGrey(values, window, false, rgba);
        return [...rgba].filter((_, i) => i % 4 === 0);
    }"""
    opened = page.request.post(f"{page.url}api/pictures", data=data).json()
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        window = {"center": 40, "width": 350, "function": function}
        on_screen = page.evaluate(script, [opened["id"], window])
        read = replay(data, "ct", steps | {"window": window}).pixels
        assert np.abs(np.array(on_screen) - read.reshape(-1).astype(int)).max() <= 1, function


def test_text_search_shows_entries_of_the_index(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("a disc")
    page.keyboard.press("Enter")
    expect(page.locator("#found .card")).to_have_count(12)


def test_what_is_no_picture_is_said_on_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("Dear colleague")
    page.set_input_files("#file", tmp_path / "letter.png")
    expect(page.locator("#problem")).to_contain_text("the content is no picture")


def test_a_box_typed_outside_the_picture_is_said_on_the_page(page: Page, ct: Path) -> None:
    open_file(page, ct)
    for edge, value in (("x0", 10), ("y0", 10), ("x1", 129), ("y1", 60)):
        page.locator(f"[name={edge}]").fill(str(value))
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("inside 128 × 128 file pixels")
    page.locator("[name=x1]").fill("100")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_visible()
    assert box(page) == [10, 10, 100, 60]


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_is_cut_off_and_the_notice_stands_there(page: Page, ct: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800 if width == 1280 else 1080})
    open_file(page, ct)
    drag(page, (0.4, 0.3), (0.6, 0.6))
    expect(page.locator("#answer")).to_be_visible()
    expect(page.locator(".notice")).to_be_visible()
    cut = page.evaluate(
        "[...document.querySelectorAll('button:not(.unseen), .notice, h1, h2, fieldset')]"
        ".filter(e => e.checkVisibility() && (e.scrollWidth > e.clientWidth + 1"
        " || e.getBoundingClientRect().right > innerWidth)).map(e => e.outerHTML)"
    )
    assert cut == []
