"""regionmed corpus: build, rows, report, leaks."""

import typer

app = typer.Typer(help="Build and look at corpora.", no_args_is_help=True)
