"""The commands of regionmed, one file each; an explained failure is one line, exit status 1."""

import sys

import typer

from regionmed.cli import ask, compare, corpus, demo, doctor, evaluate, index, search, serve, train
from regionmed.cli.memory import keep_freed_memory
from regionmed.errors import RegionmedError

app = typer.Typer(
    name="regionmed",
    help="An open, region-aware medical CLIP. Research software, not for clinical use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(corpus.app, name="corpus")
for command in (train, evaluate, compare, index, search, ask, serve, doctor, demo):
    app.command(name=command.__name__.rpartition(".")[2])(command.command)


def main() -> None:
    """Run a command: exit status 0 done, 1 an explained failure, 2 misuse."""
    keep_freed_memory()
    try:
        app()
    except RegionmedError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
