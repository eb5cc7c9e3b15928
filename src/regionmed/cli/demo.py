"""regionmed demo: all of it in one go, from annotated files to an answer about a box."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regionmed.errors import UsageError

if TYPE_CHECKING:
    from regionmed.corpus.shards import Corpus
    from regionmed.evaluation.score import Score
    from regionmed.record import Record, Region

FOLDERS = ("sources", "corpus", "run", "report", "index")
ASKED = "asked.png"  # the picture of the last step, to be asked again by hand
MAIN = {  # the one metric of each task that the closing table shows
    "region_classification": "macro_accuracy",
    "grounding": "pointing",
    "prompt_classification": "macro_accuracy",
    "retrieval": "recall@5",
    "vqa": "accuracy",
}
WIDTH = 118  # columns of that table, also where the output is no terminal


def command(
    out: Annotated[
        Path, typer.Option(help="Folder to write to; what an earlier demo left there is replaced.")
    ] = Path("demo"),
) -> None:
    """Build a corpus, train, evaluate, index and ask: under five minutes on two cores."""
    import regionmed
    from regionmed.cli.ask import print_answer
    from regionmed.cli.progress import bar
    from regionmed.corpus.build import build_corpus
    from regionmed.corpus.embedded import write_sources
    from regionmed.corpus.pixels import read_picture
    from regionmed.evaluation.evaluate import evaluate
    from regionmed.recipes import load_recipe
    from regionmed.search.answer import ask
    from regionmed.search.build import build_index
    from regionmed.training.train import train

    start = time.perf_counter()
    make_room(out)

    def tell(what: str) -> None:
        print(f"\n[{time.perf_counter() - start:4.0f} s] {what}", flush=True)

    tell("lays out pictures that came with the installation, some painted by a program")
    sources = write_sources(out / "sources")
    tell("builds a corpus from them, as from anyone's files")
    corpus = build_corpus(sources, out / "corpus", track=bar)
    print(f"{len(corpus)} pictures, {sum(len(record.regions) for record in corpus)} regions")
    tell("trains three stages: global, region, joint")
    run = train(load_recipe("demo"), [corpus], out / "run", track=bar)
    model = regionmed.load(str(run))
    tell("evaluates on the test split, beside controls that see less")
    scores = evaluate(model, [corpus], out / "report", track=bar)
    tell("indexes every picture and region")
    index = build_index(model, [corpus], out / "index", source=str(run), track=bar)
    number, record, region = region_to_ask_about(corpus)
    box = ",".join(f"{edge:.0f}" for edge in region.box.edges)
    tell(f"asks about the box {box} of {record.id}; its annotation says '{region.label}'")
    picture = read_picture(corpus.picture_bytes(number), record.id)
    corpus.picture(number).save(out / ASKED)
    print_answer(ask(model, picture, region.box, index=index))
    print_scores(scores)
    print_paths(out, box)
    tell("done")


def make_room(out: Path) -> None:
    """An empty place for a demo: what an earlier one wrote goes, anything else is left alone.

    Raises UsageError where `out` is a file or holds something that no demo wrote.
    """
    if out.is_file():
        raise UsageError(f"'{out}' is a file; give --out a folder for the demo")
    if out.is_dir():
        strange = sorted(path.name for path in out.iterdir() if path.name not in (*FOLDERS, ASKED))
        if strange:
            raise UsageError(
                f"'{out}' holds '{strange[0]}', which no demo wrote; give --out a new folder"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)


def region_to_ask_about(corpus: Corpus) -> tuple[int, Record, Region]:
    """Number, record and region: the largest region of the test split, real pictures first."""
    found = [
        (record.provenance.synthetic, -region.box.area, number, record, region)
        for number, record in enumerate(corpus)
        if record.split == "test" and record.exclude is None
        for region in record.regions
    ]
    _, _, number, record, region = min(found, key=lambda entry: entry[:3])
    return number, record, region


def print_scores(scores: Sequence[Score]) -> None:
    """One line a task and set, all strata together, beside the best that less than a model does."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(
        title="Test split", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for heading in ("task", "set", "metric"):
        table.add_column(heading, no_wrap=True)
    for heading in ("value", "95 % interval", "n", "chance", "best control"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in scores:
        moved = score.task == "region_classification" and score.details.get("boxes") != "given"
        if score.stratum != "all" or score.metric != MAIN.get(score.task) or ":" in score.set:
            continue
        if moved:  # regions from other boxes are in the report
            continue
        best = max(score.controls, key=score.controls.__getitem__, default="")
        control = f"{best} {score.controls[best]:.2f}" if best else ""
        task = " ".join((score.task, score.details.get("direction", ""))).strip()
        interval = f"{score.low:.2f} - {score.high:.2f}"
        table.add_row(task, score.set, score.metric, f"{score.value:.2f}", interval,
                      str(score.n), f"{score.chance:.2f}", control)  # fmt: skip
    console.width = max(console.width, WIDTH)
    console.print(table)
    print("A demo's scores show that the machinery works; they say nothing about medicine.")


def print_paths(out: Path, box: str) -> None:
    """Where to look, and what to type next."""
    print(
        f"\nLook at  {out}/corpus/contact-sheet.html   the pictures with their regions drawn"
        f"\n         {out}/report/report.html          every score, best and worst pictures"
        f"\n         {out}/run                         weights, recipe, journal"
        f"\nTry      regionmed serve {out}/run --index {out}/index"
        f"\n         regionmed ask {out}/run --image {out}/{ASKED} --box {box} --index {out}/index"
    )
