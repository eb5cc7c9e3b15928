"""regionmed train: run a recipe on the training rows of corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regionmed.training.plan import Plan


def command(
    recipe: Annotated[str, typer.Argument(help="tiny, demo, or FILE.py:FUNCTION of your own")],
    corpus: Annotated[list[Path], typer.Option(help="corpus folder; may be repeated")],
    out: Annotated[Path, typer.Option(help="run folder to write")],
    resume: Annotated[bool, typer.Option("--resume", help="go on with a stopped run")] = False,
    workers: Annotated[
        int, typer.Option(min=0, help="processes that draw steps ahead; changes no result")
    ] = 0,
    log: Annotated[
        str | None, typer.Option(help="wandb or mlflow, beside the journal and TensorBoard")
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="under torchrun: split weights and moments (FSDP2)")
    ] = False,
) -> None:
    """Train a model; a stopped run goes on with --resume as if nothing had happened."""
    from rich.console import Console

    from regionmed.cli.progress import bar
    from regionmed.corpus.shards import open_corpus
    from regionmed.recipes import load_recipe
    from regionmed.training.train import train

    console = Console(stderr=True)

    def tell(said: Plan | str) -> None:
        if isinstance(said, str):
            console.print(said, markup=False, highlight=False)
        else:
            print_plan(said)

    plan = load_recipe(recipe)
    corpora = [open_corpus(folder) for folder in corpus]
    run = train(
        plan, corpora, out, resume, bar, tell=tell, loader_workers=workers, log=log, shard=shard
    )
    Console().print(
        f"{plan.steps} steps done; the model is {run}, its journal {run / 'journal.jsonl'}"
    )


def print_plan(plan: Plan) -> None:
    """What the run is about to do: a row a stage, then when it ends and what memory it takes."""
    from datetime import datetime, timedelta

    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True)
    table = Table(
        title=f"Plan of '{plan.recipe}', {plan.batch_size} pictures a step",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("stage", "steps", "trains", "terms"):
        table.add_column(heading)
    for heading in ("s a step", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in plan.stages:
        trains = "\n".join(f"{part} {count:,}" for part, count in stage.trains.items())
        terms = "\n".join(f"{name} {weight:g}" for name, weight in stage.terms.items())
        table.add_row(stage.name, str(stage.steps), trains, terms,
                      f"{stage.step_seconds:.2f}", _clock(stage.seconds))  # fmt: skip
    console.print(table)
    end = datetime.now() + timedelta(seconds=plan.seconds)
    done = f"{plan.done} steps are done; " if plan.done else ""
    console.print(
        f"{done}{_clock(plan.seconds)} to go, done at about {end:%Y-%m-%d %H:%M}; memory at its "
        f"peak so far {plan.peak_bytes / 2**30:.1f} GiB",
        highlight=False,
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
