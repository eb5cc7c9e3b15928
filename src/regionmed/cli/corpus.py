"""regionmed corpus: build, rows, report, leaks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Build and look at corpora.", no_args_is_help=True)


@app.command()
def build(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Folders, tars or zips.")
    ],
    out: Annotated[Path, typer.Option(help="The corpus folder to make; must not exist yet.")],
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="coco voc yolo points boxes masks texts dicom folders; with several sources "
            "SOURCE=FORMAT, as often as needed; else recognised."
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="Table of picture, split, exclude; else drawn by family 70/10/20."),
    ] = None,
    outside: Annotated[
        Literal["refuse", "clip"], typer.Option(help="What to do with boxes past their picture.")
    ] = "refuse",
) -> None:
    """Read annotated files into a corpus: shards, ledger, contact sheet, manifest."""
    from regionmed.cli.progress import bar
    from regionmed.corpus.build import build_corpus

    corpus = build_corpus(
        sources,
        out,
        format=_formats(format or []),
        splits=splits,
        outside=outside,
        track=bar,
        say=lambda sentence: typer.echo(sentence, err=True),
    )
    for entry in corpus.manifest["sources"]:
        counts = corpus.manifest["sets"][entry["set"]]
        lost = corpus.manifest["ledger"].get(entry["set"], {"pictures": 0, "regions": 0})
        typer.echo(
            f"{entry['set']}: read as {entry['format']}: {counts['pictures']} pictures, "
            f"{counts['regions']} regions, {counts['captions']} captions, "
            f"{counts['questions']} questions; in the ledger: {lost['pictures']} pictures or "
            f"files, {lost['regions']} regions"
        )
    typer.echo(f"{len(corpus)} records in {out}; look at {out / 'contact-sheet.html'}")


def _formats(written: list[str]) -> str | dict[str, str] | None:
    """`yolo` for all sources, or `films=yolo` for one of them, repeated."""
    named = dict(entry.rpartition("=")[::2] for entry in written)
    if "" in named and len(named) > 1:
        raise typer.BadParameter("with several --format each needs its source: SOURCE=FORMAT")
    return named.get("", named or None)


@app.command()
def rows(
    corpus: Annotated[Path, typer.Argument(help="A corpus folder.")],
    out: Annotated[Path, typer.Option(help="The JSON-lines file to write.")],
) -> None:
    """Write the records in the row format, one JSON object a picture."""
    import json

    from regionmed.corpus.shards import open_corpus
    from regionmed.record import as_row

    opened = open_corpus(corpus)
    aside = out.with_name(out.name + ".part")
    with aside.open("w", encoding="utf-8") as stream:
        for record in opened:
            stream.write(json.dumps(as_row(record), ensure_ascii=False) + "\n")
    aside.replace(out)
    typer.echo(f"{len(opened)} rows in {out}")
