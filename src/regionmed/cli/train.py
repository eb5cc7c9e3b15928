"""regionmed train: run a recipe on the training rows of corpora."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    recipe: Annotated[str, typer.Argument(help="tiny, demo, or FILE.py:FUNCTION of your own")],
    corpus: Annotated[list[Path], typer.Option(help="corpus folder; may be repeated")],
    out: Annotated[Path, typer.Option(help="run folder to write")],
    resume: Annotated[bool, typer.Option("--resume", help="go on with a stopped run")] = False,
) -> None:
    """Train a model; a stopped run goes on with --resume as if nothing had happened."""
    from rich.console import Console

    from regionmed.cli.progress import bar
    from regionmed.corpus.shards import open_corpus
    from regionmed.recipes import load_recipe
    from regionmed.training.train import train

    plan = load_recipe(recipe)
    corpora = [open_corpus(folder) for folder in corpus]
    run = train(plan, corpora, out, resume, bar)
    Console().print(
        f"{plan.steps} steps done; the model is {run}, its journal {run / 'journal.jsonl'}"
    )
