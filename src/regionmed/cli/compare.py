"""regionmed compare: several models on the same items, to comparison.json, .md and .html."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[
        Path, typer.Argument(help="YAML: corpora, split, arms (name: model or models), reference.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for comparison.json, .md, .html and arms/.")],
) -> None:
    """Hold models against a reference: paired differences, corrected for their number."""
    from regionmed.cli.progress import bar
    from regionmed.corpus.shards import open_corpus
    from regionmed.evaluation.compare import PAGE, compare
    from regionmed.evaluation.compare_plan import read_plan
    from regionmed.evaluation.stored import open_scored

    plan = read_plan(file)
    corpora = [open_corpus(folder) for folder in plan.corpora]
    rows = compare(plan, corpora, out, open_scored, bar)
    for row in rows:
        for arm, gain in row.differences.items():
            if row.stratum == "all":
                task, name, metric, boxes = row.key
                print(
                    f"{task:<22} {name:<20} {metric:<15} {boxes:<10} {arm} {gain.value:+.3f} "
                    f"[{gain.low:+.3f}, {gain.high:+.3f}]  Holm p {row.corrected[arm]:.3f}"
                )
    print(f"{len(rows)} lines and the page: {out / PAGE}")
