"""The report in a real browser: nothing cut, nothing overlapping, boxes in place, printable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.report.page import report_html

PATHS = ("/usr/bin/chromium", "/usr/bin/google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
LONG = ("ObsoletePulmonaryTuberculosis", "Mammary Widening MMMMMMMM")
PAPER = 703  # CSS pixels: A4 within the margins of the style sheet

# Elements whose right edge leaves the page, unless a table around them scrolls by itself, which
# paper cannot.
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect(), around = one.closest('.wide');
    const scrolls = around && getComputedStyle(around).overflowX === 'auto';
    return box.width && box.right > document.documentElement.clientWidth + 0.5 && !scrolls;
}).map(one => one.tagName + '.' + one.getAttribute('class'))"""

# Pairs of written things that lie on each other by more than a hair.
OVERLAPS = """() => {
    const wanted = 'h1, h2, h3, p, figcaption, td, th, li, dt, dd, .head span, .head b,'
        + ' .legend span, svg.picture, .curve svg, .confusion svg';
    const written = [...document.querySelectorAll(wanted)].filter(one => one.offsetParent !== null
        || one.tagName === 'svg');
    const boxes = written.map(one => [one, one.getBoundingClientRect()]).filter(
        ([, box]) => box.width > 0 && box.height > 0);
    boxes.sort((a, b) => a[1].top - b[1].top);
    const found = [];
    boxes.forEach(([one, box], i) => {
        for (let k = i + 1; k < boxes.length && boxes[k][1].top < box.bottom - 2; k++) {
            const [other, its] = boxes[k];
            const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
            const tall = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
            if (wide > 2 && tall > 2 && !one.contains(other) && !other.contains(one))
                found.push(one.outerHTML.slice(0, 90) + ' on ' + other.outerHTML.slice(0, 90));
        }
    });
    return found;
}"""

# Words of one drawing that lie on each other; marks may, since several answers may be equal.
WORDS_OVERLAP = """() => [...document.querySelectorAll('.curve svg, .boxes svg')].flatMap(svg => {
    const words = [...svg.querySelectorAll('text.tick')].map(one => one.getBoundingClientRect());
    return words.flatMap((a, i) => words.slice(i + 1).filter(b =>
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3
    ).map(() => svg.getAttribute('aria-label')));
})"""

# Words of a drawing that leave it: the browser cuts them off.
CUT = """() => [...document.querySelectorAll('.curve > svg, .boxes svg, .confusion svg')].flatMap(
    svg => {
        const edge = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(one => {
            const box = one.getBoundingClientRect();
            return box.left < edge.left - 0.5 || box.right > edge.right + 0.5
                || box.top < edge.top - 0.5 || box.bottom > edge.bottom + 0.5;
        }).map(one => one.textContent);
    })"""

# For each picture its name, and for each box drawn on it the edges as shares of the image.
DRAWN = """() => [...document.querySelectorAll('svg.picture')].map(svg => {
    const image = svg.querySelector('image').getBoundingClientRect();
    const boxes = [...svg.querySelectorAll('rect.over:not(.prior)')].map(rect => {
        const box = rect.getBoundingClientRect();
        return [(box.left - image.left) / image.width, (box.top - image.top) / image.height,
                (box.right - image.left) / image.width, (box.bottom - image.top) / image.height];
    });
    return [svg.getAttribute('aria-label').split(' ').at(-1), boxes];
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next((path for path in PATHS if Path(path).exists()), None)
    if path is None:
        pytest.skip(f"no browser at {' or '.join(PATHS)}: apt install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The painted corpus, its labels renamed to long ones of real sets."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    (answers,) = findings.regions
    phrases = dict(zip(LONG, answers.part.phrases.values(), strict=True))
    renamed = replace(
        answers,
        part=replace(answers.part, phrases=phrases),
        asked=replace(answers.asked, labels=LONG),
    )
    path.write_text(
        report_html(replace(findings, regions=[renamed]), findings.scores()), encoding="utf-8"
    )
    return path


@pytest.fixture(params=["wide", "phone", "paper"])
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The page at 1280 and 390 pixels, and as it is printed; it may ask for no other file."""
    width = {"wide": 1280, "phone": 390, "paper": PAPER}[request.param]
    opened = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    opened.on("request", lambda sent: asked.append(sent.url))
    if request.param == "paper":
        opened.emulate_media(media="print")
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def test_nothing_is_wider_than_the_page(page: Page) -> None:
    assert page.evaluate(TOO_WIDE) == []
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0


def test_no_drawing_is_larger_than_its_column_or_taller_than_a_screen(page: Page) -> None:
    tall = page.evaluate("""() => [...document.querySelectorAll('svg')].filter(
        one => one.getBoundingClientRect().height > 500).map(one => one.outerHTML.slice(0, 90))""")
    assert tall == []
    legends = page.evaluate("""() => [...document.querySelectorAll('span svg')].map(
        one => one.getBoundingClientRect().height)""")
    assert legends
    assert max(legends) < 20


def test_no_word_of_a_drawing_is_cut_off(page: Page) -> None:
    assert page.evaluate(CUT) == []


def test_nothing_written_lies_on_anything_else(page: Page) -> None:
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(WORDS_OVERLAP) == []


def test_the_checks_see_what_is_planted(browser: Browser, report: Path) -> None:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(report.as_uri())
    opened.add_style_tag(content="h3 { margin-bottom: -20px } footer { width: 1400px }")
    assert any("FOOTER" in found for found in opened.evaluate(TOO_WIDE))
    assert any("<h3>" in found for found in opened.evaluate(OVERLAPS))
    opened.close()


def test_boxes_lie_where_the_records_say(page: Page, findings: Findings) -> None:
    records = {record.id: record for part in findings.parts for record in part.records}
    drawn = page.evaluate(DRAWN)
    boxes = [(records[name].regions[0].box.unit(), box) for name, found in drawn for box in found]
    assert len(boxes) >= 10
    for wanted, found in boxes:
        # the frame of a box that is drawn is part of its outline: half a line on each side
        assert found == pytest.approx(wanted, abs=0.02)


def test_failures_are_on_the_first_screen(browser: Browser, report: Path) -> None:
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.goto(report.as_uri())
    for title in ("Where does it fail?", "Not told from chance", "Weakest"):
        box = opened.get_by_role("heading", name=title).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800
    opened.click("#fails li a >> nth=0")
    target = opened.locator(":target").bounding_box()
    assert target is not None
    assert 0 <= target["y"] < 800
    opened.close()


def test_it_prints_to_several_pages_of_a4(browser: Browser, report: Path, tmp_path: Path) -> None:
    opened = browser.new_page()
    opened.goto(report.as_uri())
    printed = opened.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    opened.close()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) > 2
    assert re.search(rb"/MediaBox\s*\[0 0 59[45]\S* 84[12]\S*\]", printed)
