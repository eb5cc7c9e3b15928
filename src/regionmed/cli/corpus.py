"""regionmed corpus: build, rows, report, leaks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from regionmed.corpus.shards import Corpus

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
        say=typer.echo,
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
    if len(written) == 1 and "=" not in written[0]:
        return written[0]
    if not all("=" in entry for entry in written):
        raise typer.BadParameter("with several --format each needs its source: SOURCE=FORMAT")
    return dict(entry.rpartition("=")[::2] for entry in written) or None


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
    _write_lines(out, (json.dumps(as_row(record), ensure_ascii=False) for record in opened))
    typer.echo(f"{len(opened)} rows in {out}")


@app.command()
def report(corpus: Annotated[Path, typer.Argument(help="A corpus folder.")]) -> None:
    """Print what a corpus holds and write its contact sheet."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from regionmed.corpus.shards import open_corpus
    from regionmed.corpus.sheet import write_sheet

    opened = open_corpus(corpus)
    manifest = opened.manifest
    title = f"{corpus}, fingerprint {opened.fingerprint[:12]}"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("set", no_wrap=True)
    for name in ("pictures", "regions", "texts", "train", "val", "test", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, counts in manifest["sets"].items():
        shares, losses = manifest["splits"][name], manifest["ledger"].get(name, {})
        numbers = (
            counts["pictures"],
            counts["regions"],
            counts["captions"] + counts["questions"],
            *(shares.get(split, 0) for split in ("train", "val", "test")),
            losses.get("pictures", 0) + losses.get("regions", 0),
        )
        table.add_row(name, *(f"{number:,}" for number in numbers))
    Console().print(table)
    sheet = write_sheet(opened, corpus / "contact-sheet.html")
    typer.echo(f"contact sheet: {sheet}; losses: {corpus / 'ledger.jsonl'}")


@app.command()
def leaks(
    first: Annotated[str, typer.Argument(help="A corpus folder, or FOLDER:train.")],
    second: Annotated[str, typer.Argument(help="A corpus folder, or FOLDER:test.")],
    out: Annotated[Path | None, typer.Option(help="Write the pairs as JSON lines here.")] = None,
) -> None:
    """List the pictures of the second that are also in the first, exact or alike to the eye."""
    import json
    from dataclasses import asdict

    from regionmed.cli.progress import bar
    from regionmed.corpus.leaks import find_leaks

    found = find_leaks(_opened(first), _opened(second), track=bar)
    if out is not None:
        _write_lines(out, (json.dumps(asdict(leak), ensure_ascii=False) for leak in found))
    for leak in found if out is None else ():
        typer.echo(f"{leak.kind}\t{leak.likeness:.3f}\t{leak.first}\t{leak.second}")
    exact = sum(leak.kind == "exact" for leak in found)
    where = f", in {out}" if out else ""
    typer.echo(f"{exact} exact and {len(found) - exact} near duplicates{where}")


def _write_lines(out: Path, lines: Iterable[str]) -> None:
    """A text file, complete or absent; CorpusError where `out` cannot become one."""
    from regionmed.errors import CorpusError

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise CorpusError(f"--out '{out}' is no file; give a file name in a folder that exists")
    aside = out.with_name(out.name + ".part")
    try:
        stream = aside.open("w", encoding="utf-8")
    except OSError as error:
        raise CorpusError(
            f"--out '{out}' cannot be written ({error.strerror}); give a file elsewhere"
        ) from None
    try:
        with stream:
            stream.writelines(f"{line}\n" for line in lines)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)


def _opened(written: str) -> Corpus:
    """A corpus, or the split of one: `corpora/kit:test`."""
    from regionmed.corpus.shards import open_corpus
    from regionmed.record import SPLITS

    folder, mark, split = written.rpartition(":")
    if mark and split in SPLITS:
        return open_corpus(folder).split(split)
    return open_corpus(written)
