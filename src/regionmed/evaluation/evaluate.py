"""evaluate: every task that fits, on every set of the corpora, to scores.json and report.html.

Sets are opened one after another and their pictures encoded once; what tasks found is kept, pixels
are not. Both files are written aside and put in place together, so `out` holds both or neither.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from regionmed.corpus.shards import Corpus
from regionmed.errors import UsageError
from regionmed.evaluation.encode import encode, rows_of
from regionmed.evaluation.findings import Findings
from regionmed.evaluation.grounding import run_grounding
from regionmed.evaluation.part import Part, open_parts
from regionmed.evaluation.region_views import view_regions
from regionmed.evaluation.regions import asked_regions, run_regions, stored_views
from regionmed.evaluation.report.page import report_html
from regionmed.evaluation.retrieval import run_retrieval
from regionmed.evaluation.score import Score, scores_json
from regionmed.evaluation.subject import Scored, is_stored
from regionmed.evaluation.vqa import run_vqa
from regionmed.evaluation.zero_shot import run_prompts
from regionmed.progress import Track, silent
from regionmed.record import SPLITS

SCORES, REPORT = "scores.json", "report.html"


def evaluate(
    model: Scored,
    corpora: Sequence[Corpus],
    out: Path,
    split: str = "test",
    track: Track = silent,
) -> list[Score]:
    """Score a model on one split of some corpora and write scores.json and report.html into `out`.

    UsageError where `out` is a file, the split is no split, two corpora hold one set, or nothing
    may be scored. Older files of these names are replaced, everything else in `out` stays.
    """
    if split not in SPLITS:
        raise UsageError(f"'{split}' is no split; choose one of {', '.join(SPLITS)}")
    if any(path.is_file() for path in (out, *out.parents)):
        raise UsageError(
            f"--out {out} is a file or lies below one; give a folder for {SCORES} and {REPORT}"
        )
    findings = Findings()
    for part in open_parts(model, corpora, split):
        run_tasks(model, part, findings, track)
    scores = findings.scores()
    if not scores:
        raise UsageError(
            f"no task fits split '{split}' of these corpora: none holds two labels with five "
            "regions or pictures each, twenty captions, questions with training rows, or five "
            "places to point at"
        )
    out.mkdir(parents=True, exist_ok=True)
    _write_both(out, scores_json(scores), report_html(findings, scores))
    return scores


def run_tasks(model: Scored, part: Part, findings: Findings, track: Track) -> None:
    """Every task that fits the Part; pictures are placed and encoded once."""
    findings.parts.append(part)
    asked = asked_regions(part)
    if is_stored(model):
        pictures, views = None, stored_views(model, part, asked) if asked else None
        images_NE = views.images_NE if views else model.stored_images(part.records)
    else:
        pictures = part.pictures(model.image_size, track)
        views = view_regions(model, part, pictures, asked.places, track) if asked else None
        images_NE = (
            views.images_NE
            if views
            else encode(model, pictures.pixels_NHWC, None, part.name, track).images_NE
        )
    if asked is not None and views is not None:
        findings.regions.append(run_regions(model, part, asked, views))
    if (retrieval := run_retrieval(model, part, images_NE)) is not None:
        findings.retrieval.append(retrieval)
    if not is_stored(model) and pictures is not None:
        grounding = run_grounding(model, part, pictures, track)
        findings.grounding.extend([] if grounding is None else [grounding])
    val = rows_of(model, part, "val", track)
    if (prompts := run_prompts(model, part, pictures, images_NE, val, track)) is not None:
        findings.prompts.append(prompts)
    if any(record.questions for record in part.records):
        train = rows_of(model, part, "train", track)
        if (vqa := run_vqa(model, part, pictures, images_NE, train, val, track)) is not None:
            findings.vqa.append(vqa)


def _write_both(out: Path, scores: str, report: str) -> None:
    """The report first: scores.json is what programs read, so its presence means both are there."""
    (out / SCORES).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evaluation-", dir=out) as aside:
        for name, text in ((REPORT, report), (SCORES, scores)):
            path = Path(aside) / name
            path.write_text(text, encoding="utf-8")
            os.replace(path, out / name)
