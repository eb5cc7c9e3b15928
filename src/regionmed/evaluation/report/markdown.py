"""report.md: the summary and the sixteen answers as Markdown, for a pull request or a note."""

from __future__ import annotations

from collections.abc import Sequence

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.published import PublishedTable
from regionmed.evaluation.report.failures import Line, first_screen
from regionmed.evaluation.report.questions import sixteen
from regionmed.evaluation.report.tables import flags, summary
from regionmed.evaluation.report.words import counted, metric_title, number, title_of
from regionmed.evaluation.score import Score

COLUMNS = ("set", "metric", "value [95 %]", "n", "chance", "controls", "beware")


def report_markdown(
    findings: Findings, scores: Sequence[Score], published: PublishedTable | None = None
) -> str:
    """The text of report.md; the same for the same findings, without pictures."""
    conditions = findings.parts[0].conditions
    first = first_screen(findings, scores)
    lines = [
        f"# {conditions.model}, split {conditions.split}",
        "",
        "Research figures of these pictures only. Not for clinical use.",
        "",
        "## Where does it fail?",
        "",
        first.sentence,
        "",
    ]
    for title, shown, more in (
        ("Not told from chance", first.unproven, first.more_unproven),
        ("No better without looking", first.unlooking, first.more_unlooking),
        ("Weakest", first.weakest, 0),
    ):
        lines += _list(title, shown, more)
    lines += ["## Scores", ""]
    for title, rows in summary(scores):
        lines += [f"### {title}", "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
        lines += [_row(_cells(score)) for score in rows]
        lines.append("")
    lines += ["## Sixteen questions", ""]
    for one in sixteen(findings, scores):
        lines.append(f"{one.number}. **{one.question}** {one.answer.text}")
    lines += ["", "## Leakage", ""]
    lines += [f"- {part.name}: {part.conditions.leakage}" for part in findings.parts]
    text = "\n".join(lines) + "\n"
    return text if published is None else f"{text}\n{published.markdown()}"


def _list(title: str, shown: Sequence[Line], more: int) -> list[str]:
    if not shown:
        return []
    rest = [f"- and {more} more"] if more else []
    return [f"**{title}**", "", *(f"- {line.what}: {line.said}" for line in shown), *rest, ""]


def _cells(score: Score) -> list[str]:
    controls = ", ".join(f"{name} {number(value)}" for name, value in score.controls.items())
    value = f"**{number(score.value)}** [{number(score.low)}, {number(score.high)}]"
    return [
        title_of(score),
        metric_title(score.metric),
        value,
        counted(score),
        number(score.chance),
        controls,
        ", ".join(flags(score)),
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
