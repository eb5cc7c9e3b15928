"""regionmed ask: what is this, in this box of this picture?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from regionmed.search.answer import Answer, Match
    from regionmed.search.index import Index


def command(
    model: Annotated[str, typer.Argument(help="A run or checkpoint folder, or open_clip:NAME.")],
    image: Annotated[Path, typer.Option(help="PNG, JPEG, DICOM or another picture file.")],
    box: Annotated[
        str | None, typer.Option(help="x0,y0,x1,y1 in file pixels; left out: the whole picture.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Show similar regions of this index.")] = None,
    phrases: Annotated[
        Path | None, typer.Option(help="Choose from the sentences of this file, one a line.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of each to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank sentences, and similar regions of an index, for a box in a picture."""
    import regionmed
    from regionmed.search.answer import ask, parse_box, picture_at, read_phrases
    from regionmed.search.index import open_index

    picture = picture_at(image)
    place = parse_box(box, picture.frame) if box is not None else None
    sentences = read_phrases(phrases) if phrases else None
    opened = open_index(index) if index else None
    loaded = regionmed.load(model)
    answer = ask(loaded, picture, place, index=opened, phrases=sentences, top=top)
    if as_json:
        print_json(answer.as_row() | {"model": loaded.name, "fingerprint": loaded.fingerprint})
        return
    print_answer(answer)
    print_certainty(answer, opened)
    frame = f"{picture.frame.width} x {picture.frame.height} px"
    where = f"box {box}" if box is not None else "whole picture"
    print(f"{where} of {frame}; {loaded.name}, checkpoint {loaded.fingerprint[:12]}")
    print("similarity is a cosine, not a probability; research use, not for diagnosis")


def print_answer(answer: Answer) -> None:
    """Any doubt, one table of sentences and, where an index was asked, one of similar regions."""
    from rich.console import Console
    from rich.table import Table

    if answer.unsure:
        print(f"Unsure: {answer.unsure}\n")
    table = Table("sentence", title="Best-matching sentences", title_justify="left")
    calibrated = any(sentence.probability is not None for sentence in answer.sentences)
    for heading in ("probability", "similarity") if calibrated else ("similarity",):
        table.add_column(heading, justify="right")
    for sentence in answer.sentences:
        figures = [_percent(sentence.probability)] if calibrated else []
        table.add_row(sentence.text, *figures, f"{sentence.similarity:.3f}")
    Console().print(table)
    if answer.matches:
        what = "Most similar regions" if answer.box else "Most similar pictures"
        print_matches(answer.matches, what)


def _percent(probability: float | None) -> str:
    # no finding is certain, and none is out of the question
    if probability is None:
        return ""
    if probability < 0.005:
        return "< 1 %"
    return "> 99 %" if probability >= 0.995 else f"{100 * probability:.0f} %"


def print_certainty(answer: Answer, index: Index | None) -> None:
    """What was not judged; where probabilities stand above, what they rest on."""
    if answer.unjudged:
        print(f"Not judged: {answer.unjudged}")
    calibration = index.certainty.findings if index else None
    if calibration and any(sentence.probability is not None for sentence in answer.sentences):
        print(
            f"probability: among the findings of the index, calibrated on {calibration.rows:,} "
            "val regions of its corpora and holding for regions like these alone"
        )


def print_matches(matches: tuple[Match, ...], title: str) -> None:
    """One table of indexed regions and pictures, boxes in file pixels."""
    from rich.console import Console
    from rich.table import Table

    table = Table("record", "region", "label", title=title, title_justify="left")
    table.add_column("box in file pixels")
    table.add_column("similarity", justify="right")
    for match in matches:
        entry = match.entry
        region = "whole picture" if entry.region is None else str(entry.region)
        box = ", ".join(f"{edge:g}" for edge in entry.box.edges) if entry.box else ""
        table.add_row(entry.record, region, entry.label or "", box, f"{match.similarity:.3f}")
    Console().print(table)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
