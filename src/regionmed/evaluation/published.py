"""What others published of a benchmark, kept apart from what was measured here.

These figures were made under other protocols, on other versions and splits, with other prompts.
They get a section of their own, under a title that says so, and never a place in scores.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from regionmed.evaluation.benchmark_card import Card, Published

TITLE = "Published elsewhere, other protocol unless said: not comparable line by line"
COLUMNS = ("model", "metric", "value", "protocol", "source", "seen")
TAGS = {
    "P": "page or abstract",
    "R": "repository file",
    "I": "issue thread",
    "T": "printed by a third party",
}


@dataclass(frozen=True)
class PublishedTable:
    """A section of a report: a title, the names of the columns, rows of plain text, warnings."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]  # what to beware of with this benchmark

    def markdown(self) -> str:
        """The section as Markdown, under a heading of the third level."""
        lines = [f"### {self.title}", ""]
        if self.rows:
            lines += [_line(self.columns), _line(["---"] * len(self.columns))]
            lines += [_line(row) for row in self.rows]
        else:
            lines.append("No figure with a source was found.")
        lines += ["", *(f"- {warning}" for warning in self.warnings)] if self.warnings else []
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """The section as HTML: <section class="published">, every text escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        table = (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            if self.rows
            else "<p>No figure with a source was found.</p>"
        )
        notes = "".join(f"<li>{escape(warning)}</li>" for warning in self.warnings)
        listed = f"<ul>{notes}</ul>" if notes else ""
        return f'<section class="published"><h3>{escape(self.title)}</h3>{table}{listed}</section>'


def published(card: Card) -> list[Published]:
    """The card's figures, metric by metric, the best first."""
    worst_first = {"higher": -1.0, "lower": 1.0}[card.direction]
    return sorted(card.published, key=lambda each: (each.metric, worst_first * each.value))


def published_table(card: Card) -> PublishedTable:
    """The section of a report on a benchmark's published figures."""
    rows = tuple(
        (
            each.model,
            each.metric,
            f"{each.value:.3f}",
            each.protocol,
            each.source,
            TAGS[each.tag],
        )
        for each in published(card)
    )
    return PublishedTable(f"{card.title}. {TITLE}", COLUMNS, rows, card.warnings)


def benchmark_page(card: Card, split: str, remarks: tuple[str, ...]) -> str:
    """What a reader of the scores has to know of the benchmark, as Markdown: benchmark.md.

    split     that was scored, which may be another than the card's
    remarks   of `open_benchmark`, on this copy
    """
    other = "" if split == card.split else f" Scored was split {split}, so this is not its score."
    facts = {
        "Version": card.version,
        "Rows": f"{card.splits.rows}.{other}",
        "Official split": card.splits.published_at,
        "Prompts": card.prompts,
        "Measured with": f"{card.metric}, {card.direction} is better; chance: {card.chance}",
        "Licence": card.licence,
        "Obtained from": card.how_to_obtain,
        "This copy": "; ".join(remarks) or None,
    }
    lines = [f"# {card.title}", "", "What was measured here stands in scores.json and report.html."]
    lines += ["", *(f"- {name}: {fact}" for name, fact in facts.items() if fact), ""]
    return "\n".join(lines) + "\n" + published_table(card).markdown()


def cards_table(cards: list[Card]) -> str:
    """The Markdown table of docs/how-to/benchmarks.md: a line a card."""
    head = ("`--benchmark`", "what", "tasks", "metric", "access", "licence", "files read as")
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [
        _line((
            f"`{card.name}`", card.title, ", ".join(card.tasks), card.metric, card.access,
            card.licence, card.reading.format or "not yet",
        ))
        for card in cards
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
