"""regionmed evaluate: a model against corpora, to scores.json and report.html."""

from pathlib import Path
from typing import Annotated

import typer

# What is said on the terminal; the report has the rest. Other sources of boxes are in it too.
SAID = {
    ("region_classification", "macro_accuracy"),
    ("grounding", "pointing"),
    ("retrieval", "recall@5"),
    ("prompt_classification", "macro_accuracy"),
    ("vqa", "accuracy"),
}
BOXES = {"region_classification": "given"}


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="A run or checkpoint folder, open_clip:NAME, transformers:NAME, or "
            "embeddings:FOLDER."
        ),
    ],
    corpus: Annotated[list[Path], typer.Option(help="A corpus folder; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.json and report.html.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run a known benchmark: --corpus is then your copy of it, the publisher's files "
            "or a corpus built from them. An unknown name lists them all.",
        ),
    ] = None,
) -> None:
    """Score a model beside chance and controls, with intervals, and write a report."""
    import regionmed
    from regionmed.cli.progress import bar
    from regionmed.evaluation.benchmark import open_copy
    from regionmed.evaluation.benchmark_card import load_card
    from regionmed.evaluation.evaluate import REPORT, evaluate
    from regionmed.evaluation.published import published_table
    from regionmed.evaluation.stored import open_scored

    published = None
    if benchmark is None:
        corpora = [regionmed.open_corpus(folder) for folder in corpus]
    else:
        corpora = open_copy(benchmark, corpus, out, split, bar)
        published = published_table(load_card(benchmark))
    scores = evaluate(open_scored(model), corpora, out, split, bar, published)
    for score in scores:
        boxes = score.details.get("boxes", "given")
        if (
            (score.task, score.metric) in SAID
            and score.stratum == "all"
            and boxes == BOXES.get(score.task, boxes)
        ):
            metric = f"{score.metric} {score.details.get('direction', '')}".strip()
            interval = f"[{score.low:.3f}, {score.high:.3f}]"
            print(
                f"{score.task:<22} {score.set:<20} {metric:<15} {score.value:.3f} {interval}"
                f"  chance {score.chance:.3f}  n {score.n}"
            )
    print(f"{len(scores)} scores and the report: {out / REPORT}")
