"""regionmed compare: arms of a plan, trained where they have a recipe, to one table and page."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[
        Path,
        typer.Argument(
            help="YAML: corpora, split, tasks, arms (name: model, models or recipe and seeds), "
            "reference."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for runs/, arms/, results/ and comparison.json, .md, .html."),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM", help="Work on the runs of this arm; may be repeated."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Work on the runs of this seed; may be repeated."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where finished runs are kept and looked for; default OUT/results.",
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Run nothing; make the table of what is finished.")
    ] = False,
) -> None:
    """Train and score the arms of a plan, and hold them against one of them, item by item.

    A stopped comparison goes on when the command is given again; given twice at the same time, the
    two share the work.
    """
    from regionmed.cli.progress import bar
    from regionmed.corpus.shards import open_corpus
    from regionmed.evaluation.compare import PAGE, compare
    from regionmed.evaluation.compare_plan import read_plan
    from regionmed.evaluation.stored import open_scored

    plan = read_plan(file)
    corpora = [open_corpus(folder) for folder in plan.corpora]
    compared = compare(
        plan,
        corpora,
        out,
        open_scored,
        bar,
        only=only or (),
        seeds=seed or (),
        results=results,
        table_only=table,
    )
    for row in compared.rows:
        for arm, gain in row.differences.items():
            if row.stratum == "all":
                task, name, metric, boxes = row.key
                print(
                    f"{task:<22} {name:<20} {metric:<15} {boxes:<10} {arm} {gain.value:+.3f} "
                    f"[{gain.low:+.3f}, {gain.high:+.3f}]  Holm p {row.corrected[arm]:.3f}"
                )
    if compared.missing:
        print(f"not finished yet: {', '.join(compared.missing)}")
    if compared.rows:
        print(f"{len(compared.rows)} lines and the page: {out / PAGE}")
    else:
        print("no table yet: the reference and one other arm need a finished run each")
