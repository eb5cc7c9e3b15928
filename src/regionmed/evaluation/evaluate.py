"""evaluate: every task that fits, on every set of the corpora, to scores, answers and report.

Sets are opened one after another and their pictures encoded once; what tasks found is kept, pixels
are not. The files are written aside and put in place together, so `out` holds all or none.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.outcomes import ANSWERS, write_outcomes
from regionmed.evaluation.part import open_parts
from regionmed.evaluation.published import PublishedTable
from regionmed.evaluation.report.markdown import report_markdown
from regionmed.evaluation.report.page import report_html
from regionmed.evaluation.score import Score, scores_json
from regionmed.evaluation.subject import Scored
from regionmed.evaluation.tasks import TASKS, run_tasks
from regionmed.progress import Track, silent
from regionmed.record import SPLITS

SCORES, REPORT, NOTE = "scores.json", "report.html", "report.md"


def evaluate(
    model: Scored,
    corpora: Sequence[Corpus],
    out: Path,
    split: str = "test",
    track: Track = silent,
    published: PublishedTable | None = None,
    tasks: Collection[str] = TASKS,
) -> list[Score]:
    """Score a model on one split of some corpora and write its files into `out`.

    scores.json, report.html, report.md, and answers.parquet: what each item earned, for
    regionmed compare.
    published   what others published of a benchmark; it stands apart in the report
    tasks       some of TASKS; all by default

    UsageError where `out` is a file, the split is no split, two corpora hold one set, or nothing
    may be scored. Older files of these names are replaced, everything else in `out` stays.
    """
    if split not in SPLITS:
        raise UsageError(f"'{split}' is no split; choose one of {', '.join(SPLITS)}")
    if any(path.is_file() for path in (out, *out.parents)):
        raise UsageError(f"--out {out} is a file or lies below one; give a folder")
    findings = Findings()
    for part in open_parts(model, corpora, split, track):
        run_tasks(model, part, findings, track, tasks)
    scores = findings.scores()
    if not scores:
        raise UsageError(
            f"no task fits split '{split}' of these corpora: none holds two labels with five "
            "regions or pictures each, twenty captions, questions with training rows, or five "
            "places to point at"
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_all(out, findings, scores, published)
    return scores


def _write_all(
    out: Path, findings: Findings, scores: Sequence[Score], published: PublishedTable | None
) -> None:
    """scores.json last: it is what programs read, so its presence means that all are there."""
    with tempfile.TemporaryDirectory(prefix=".evaluation-", dir=out) as aside:
        page, note = (
            write(findings, scores, published) for write in (report_html, report_markdown)
        )
        (Path(aside) / REPORT).write_text(page, encoding="utf-8")
        (Path(aside) / NOTE).write_text(note, encoding="utf-8")
        write_outcomes(Path(aside) / ANSWERS, findings.outcomes())
        (Path(aside) / SCORES).write_text(scores_json(scores), encoding="utf-8")
        (out / SCORES).unlink(missing_ok=True)
        for name in (REPORT, NOTE, ANSWERS, SCORES):
            os.replace(Path(aside) / name, out / name)
