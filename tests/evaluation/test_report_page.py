"""report.html and report.md of a real evaluation of the painted corpus, read as text."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup

from regionmed.evaluation.benchmark_card import load_card
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.published import TITLE, published_table
from regionmed.evaluation.report.markdown import report_markdown
from regionmed.evaluation.report.page import report_html
from regionmed.evaluation.report.questions import QUESTIONS
from regionmed.evaluation.score import Score


@pytest.fixture(scope="module")
def scores(findings: Findings) -> list[Score]:
    return findings.scores()


@pytest.fixture(scope="module")
def html(findings: Findings, scores: list[Score]) -> str:
    return report_html(findings, scores)


@pytest.fixture(scope="module")
def page(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def test_the_page_is_one_file_without_script_and_below_a_megabyte(
    html: str, page: BeautifulSoup
) -> None:
    assert not page.find_all(["script", "link", "iframe", "img", "object"])
    assert not re.search(r"url\(|https?://|@import", html)
    for image in page.find_all("image"):
        assert str(image["href"]).startswith("data:image/jpeg;base64,")
    assert len(html.encode()) < 1_000_000


def test_the_same_findings_give_the_same_bytes(
    findings: Findings, scores: list[Score], html: str
) -> None:
    assert report_html(findings, scores) == html
    assert report_markdown(findings, scores) == report_markdown(findings, scores)


def test_every_link_leads_somewhere_and_no_place_is_named_twice(page: BeautifulSoup) -> None:
    places = [tag["id"] for tag in page.find_all(id=True)]
    assert len(set(places)) == len(places)
    links = [str(tag["href"]) for tag in page.find_all("a")]
    assert len(links) > 20
    assert {link.removeprefix("#") for link in links} <= set(places)


@pytest.mark.parametrize("task", ["grounding", "prompt_classification", "vqa", "linear_probe"])
def test_a_page_of_one_task_leaves_the_other_sections_out(
    findings: Findings, scores: list[Score], task: str
) -> None:
    field = {"prompt_classification": "prompts", "linear_probe": "linear_probes"}.get(task, task)
    alone = Findings(parts=findings.parts, **{field: getattr(findings, field)})
    found = [score for score in scores if score.task == task]
    page = BeautifulSoup(report_html(alone, found), "html.parser")
    places = {str(tag["id"]) for tag in page.find_all(id=True)}
    assert {str(tag["href"]).removeprefix("#") for tag in page.find_all("a")} <= places
    assert "boxes" not in places
    assert ("grounding" in places) == (task == "grounding")
    assert ("calibration" in places) == (task == "prompt_classification")


def test_failures_come_before_the_scores(page: BeautifulSoup) -> None:
    titles = [tag.get_text() for tag in page.find_all("h2")]
    assert titles[:2] == ["Where does it fail?", "Scores"]
    for wanted in ("Where the boxes come from", "Heat maps", "Probes", "Does it know?"):
        assert wanted in titles
    said = page.select_one("#fails .lead")
    assert said is not None
    counts = [int(number) for number in re.findall(r"\d+", said.get_text())]
    assert counts[0] == sum(counts[1:])


def test_an_untrained_model_is_told_that_place_alone_beats_it(page: BeautifulSoup) -> None:
    # the squares of the painted corpus lie left and right: box-only is always right
    (row,) = page.select("#s-region-classification-squares-all-macro-accuracy")
    flag = row.select_one(".flag")
    assert flag is not None
    assert "chance" in flag.get_text() or "box-only" in flag.get_text()
    links = [tag["href"] for tag in page.select("#fails a")]
    assert f"#{row['id']}" in links


def test_every_picture_has_the_boxes_of_its_record(page: BeautifulSoup, findings: Findings) -> None:
    records = {record.id: record for part in findings.parts for record in part.records}
    drawn = 0
    for svg in page.select("svg.picture"):
        record = records[str(svg["aria-label"]).split(" ")[-1]]
        assert record.frame is not None
        assert svg["viewbox"] == f"0 0 {record.frame.width} {record.frame.height}"
        for rect in svg.select("rect.over:not(.prior)"):
            box = record.regions[0].box
            found = [float(str(rect[key])) for key in ("x", "y", "width", "height")]
            assert found == [box.x0, box.y0, box.width, box.height]
            drawn += 1
    assert drawn >= 10


def test_the_baseline_beside_a_heat_map_is_that_of_the_same_picture(page: BeautifulSoup) -> None:
    pairs = page.select("figure.pair")
    assert pairs
    for pair in pairs:
        model, grey = (str(svg["aria-label"]) for svg in pair.select("svg.picture"))
        assert model.removeprefix("heat map of ") == grey.removeprefix("grey baseline of ")
        images = [image["href"] for image in pair.select("image")]
        assert images[0] != images[1]
        assert len(pair.select("rect.over.prior")) == 1


def test_the_cells_of_a_confusion_add_up_to_the_regions(
    page: BeautifulSoup, findings: Findings
) -> None:
    (matrix,) = page.select("#confusion-squares")
    counts = [int(text.get_text()) for text in matrix.select("text.count")]
    assert sum(counts) == len(findings.regions[0].asked.truth_R) == 23


def test_all_sixteen_questions_are_answered_or_open_with_a_reason(page: BeautifulSoup) -> None:
    answers = page.select("ol.questions > li")
    assert len(answers) == len(QUESTIONS) == 16
    for answer in answers:
        question = answer.find("b")
        assert question is not None
        said = answer.get_text().removeprefix(question.get_text()).strip()
        assert len(said.split()) > 5
        if "Not measured" in said:
            assert "because" in said
    opened = [answer.get_text() for answer in answers if "Not measured" in answer.get_text()]
    assert all("regionmed compare" in text for text in opened)
    assert len(opened) == 3  # equal budget, order of stages, seeds: they need other models


def test_answers_quote_the_scores(page: BeautifulSoup, scores: list[Score]) -> None:
    (mean,) = [
        score
        for score in scores
        if (score.task, score.set, score.metric, score.stratum)
        == ("region_classification", "mean:all", "macro_accuracy", "all")
        and score.details["boxes"] == "jitter-20"
    ]
    sloppy = page.select("ol.questions > li")[4].get_text()
    assert f"moved 20 % {mean.value:.3f}" in sloppy


def test_published_figures_stand_apart_from_what_was_measured(
    findings: Findings, scores: list[Score], html: str
) -> None:
    table = published_table(load_card("vqa_rad"))
    page = BeautifulSoup(report_html(findings, scores, table), "html.parser")
    section = page.select_one("section.published")
    assert section is not None
    assert TITLE in section.get_text()
    assert len(section.select("tbody tr")) == len(table.rows) > 0
    summary = page.select_one("#summary ~ .wide table.scores")
    assert summary is not None
    assert table.rows[0][0] not in summary.get_text()
    assert TITLE not in html
    assert TITLE in report_markdown(findings, scores, table)


def test_the_note_holds_the_summary_and_the_answers(
    findings: Findings, scores: list[Score]
) -> None:
    note = report_markdown(findings, scores)
    assert note.startswith("# ")
    assert "Not for clinical use" in note
    for number, (question, _) in enumerate(QUESTIONS, start=1):
        assert f"{number}. **{question}**" in note
    (given,) = [
        score
        for score in scores
        if (score.task, score.set, score.metric, score.stratum)
        == ("region_classification", "squares", "macro_accuracy", "all")
        and score.details["boxes"] == "given"
    ]
    assert f"**{given.value:.3f}** [{given.low:.3f}, {given.high:.3f}] | 23 regions" in note
    tables = [line for line in note.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in tables} == {6}
