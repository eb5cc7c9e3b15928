"""Figures of others: a section of its own, with sources, in order, safe to show."""

from __future__ import annotations

from pathlib import Path

from regionmed.evaluation.benchmark_card import Published, card_names, load_card
from regionmed.evaluation.published import (
    COLUMNS,
    TITLE,
    benchmark_page,
    cards_table,
    published,
    published_table,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "benchmarks.md"


def test_figures_come_metric_by_metric_the_best_first() -> None:
    figures = published(load_card("rsna"))
    assert [(each.model, each.value) for each in figures] == [
        ("MAVL", 0.863), ("BioViL-T", 0.860), ("MedKLIP", 0.859), ("CheXzero", 0.851),
        ("BioViL", 0.841), ("ConVIRT", 0.792), ("GLoRIA", 0.704),
    ]  # fmt: skip
    metrics = [each.metric for each in published(load_card("ms_cxr"))]
    assert metrics == sorted(metrics)


def test_the_section_says_that_it_is_not_to_be_compared_and_names_every_source() -> None:
    card = load_card("ms_cxr")
    table = published_table(card)
    text = table.markdown()
    assert text.startswith(f"### {card.title}. {TITLE}\n")
    assert len(table.rows) == len(card.published)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(card.published) + 2
    assert all("https://github.com/" in line for line in lines[2:])
    assert "AFLoc | pointing | 0.784 | no box training" in text
    assert all(warning in text for warning in card.warnings)


def test_a_benchmark_without_figures_says_so() -> None:
    table = published_table(load_card("bccd"))
    assert table.rows == ()
    assert "No figure with a source was found." in table.markdown()
    assert "No figure with a source was found." in table.html()


def test_texts_are_escaped_in_both_forms() -> None:
    figure = Published(
        model="a|b <script>", metric="miou", value=0.5, protocol="p & q",
        source="https://example.org/x", tag="P",
    )  # fmt: skip
    table = published_table(load_card("ms_cxr").model_copy(update={"published": (figure,)}))
    assert "a\\|b" in table.markdown()
    html = table.html()
    assert "<td>a|b &lt;script&gt;</td>" in html
    assert "<td>p &amp; q</td>" in html
    assert html.count("<th>") == len(COLUMNS)


def test_the_page_of_a_run_says_when_another_split_was_scored() -> None:
    card = load_card("vqa_rad")
    assert "so this is not its score" not in benchmark_page(card, "test", ())
    page = benchmark_page(card, "val", ("'trainset.json' is another one",))
    assert "Scored was split val, so this is not its score." in page
    assert "- This copy: 'trainset.json' is another one\n" in page


def test_the_how_to_page_has_the_table_of_the_cards() -> None:
    table = cards_table([load_card(name) for name in card_names()])
    text = PAGE.read_text("utf-8")
    assert text.endswith(table), f"put this table at the end of {PAGE.name}:\n{table}"
