"""report.html: one self-contained page that a person reads from what fails to how it was computed.

This file hands scores and cases to the templates; numbers are made elsewhere, pictures in
pictures.py. The page loads nothing, holds no date and no path, and is the same for the same
findings. It holds pictures of the corpus: it may travel no further than those may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from regionmed.evaluation.findings import Findings
from regionmed.evaluation.part import Part
from regionmed.evaluation.proposals import HOT
from regionmed.evaluation.published import PublishedTable
from regionmed.evaluation.report import calibration, curves, tables, words
from regionmed.evaluation.report.cases import (
    grounding_cases,
    phrase_cases,
    region_cases,
    retrieval_cases,
)
from regionmed.evaluation.report.confusion import CELL, ROW, confusion
from regionmed.evaluation.report.failures import first_screen
from regionmed.evaluation.report.questions import sixteen
from regionmed.evaluation.report.verdicts import against
from regionmed.evaluation.score import Score
from regionmed.evaluation.statistics import DRAWS
from regionmed.evaluation.strata import DECIDED_BY_PLACE, LEAST_PER_LABEL, SIZES

TEMPLATES = files("regionmed.evaluation.report").joinpath("templates")


@dataclass(frozen=True, slots=True)
class Source:
    """A set as the page lists it: where labels and pictures come from."""

    part: Part
    regions: int  # scored or not, of the split
    licence: str
    open: bool


def report_html(
    findings: Findings, scores: Sequence[Score], published: PublishedTable | None = None
) -> str:
    """The page's text.

    published   what others published of a benchmark; stands apart from what was measured here
    """
    sources = [_source(part) for part in findings.parts]
    return _environment().get_template("page.html.jinja").render(
        conditions=findings.parts[0].conditions,
        corpora=_corpora(findings),
        sources=sources,
        restricted=[source.part.name for source in sources if not source.open],
        first=first_screen(findings, scores),
        heads=tables.heads(scores),
        summary=tables.summary(scores),
        glyphs=tables.glyphs_used(scores),
        sizes=SIZES,
        size_grid=tables.size_grid(scores),
        strata=tables.strata_tables(scores),
        size_curves=curves.size_curves(scores),
        gates=curves.gates_by_size(scores),
        shot_curves=curves.shot_curves(scores),
        series=curves.source_series(scores),
        confusions=[confusion(one) for one in findings.regions],
        region_cases=region_cases(findings.regions),
        phrase_cases=phrase_cases(findings.regions),
        grounding_cases=grounding_cases(findings.grounding),
        contrasts=tables.contrast_table(scores),
        retrieval_cases=retrieval_cases(findings.retrieval),
        probes=tables.probe_table(scores),
        reliabilities=[
            *calibration.region_plots([one.reliability for one in findings.confidence], scores),
            *calibration.prompt_plots(findings.prompts, scores),
        ],
        selective=calibration.selective_plots([one.curve for one in findings.confidence]),
        questions=sixteen(findings, scores),
        published=None if published is None else Markup(published.html()),
        scores=scores,
        **_constants(),
    )  # fmt: skip


def _environment() -> Environment:
    """Templates of this folder, with the words of the page as filters and functions."""
    environment = Environment(
        loader=FunctionLoader(lambda name: TEMPLATES.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number, signed=words.signed, metric=words.metric_title, code=_code
    )
    environment.globals.update(
        anchor_of=words.anchor_of,
        slug=words.slug,
        title_of=words.title_of,
        flags=tables.flags,
        glyphs_of=tables.glyphs_of,
        counted=words.counted,
        first_rival=_first_rival,
        task_titles=words.TASK_TITLES,
        source_titles=words.SOURCE_TITLES,
        unbounded=words.UNBOUNDED,
    )
    return environment


def _constants() -> dict[str, Any]:
    """Numbers that the page tells or draws with."""
    return {
        "draws": DRAWS,
        "hot": HOT,
        "least": LEAST_PER_LABEL,
        "decided_by_place": DECIDED_BY_PLACE,
        "curve_width": curves.WIDTH,
        "curve_height": curves.HEIGHT,
        "cell": CELL,
        "row_height": ROW,
        "side": calibration.SIDE,
    }


def _first_rival(score: Score) -> Any:
    """The verdict that is written out beside a score: against its first blind control; or None."""
    names = words.RIVALS.get(score.task, ())
    return next((found for name in names if (found := against(score, name)) is not None), None)


def _code(text: str) -> Markup:
    """Escaped text in which `this` is set as code."""
    pieces = str(escape(text)).split("`")
    return Markup("".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces)))


def _source(part: Part) -> Source:
    names = {record.licence.name or "not stated" for record in part.records}
    return Source(
        part=part,
        regions=sum(len(record.regions) for record in part.records),
        licence=", ".join(sorted(names)),
        open=all(record.licence.open for record in part.records),
    )


def _corpora(findings: Findings) -> list[tuple[str, str]]:
    """Name and fingerprint of each corpus."""
    found = {part.corpus.fingerprint: part.corpus.folder.name for part in findings.parts}
    return [(name, fingerprint) for fingerprint, name in found.items()]
