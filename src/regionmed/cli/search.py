"""regionmed search: find regions and pictures of an index by text, picture or box."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    index: Annotated[Path, typer.Argument(help="An index folder made by 'regionmed index'.")],
    text: Annotated[str | None, typer.Option(help="Find regions and pictures like this.")] = None,
    image: Annotated[Path | None, typer.Option(help="Find pictures like this one.")] = None,
    box: Annotated[
        str | None, typer.Option(help="Find regions like x0,y0,x1,y1 of --image, in file pixels.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The index's checkpoint, if it has moved since.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the most similar regions and pictures of an index."""
    import regionmed
    from regionmed.cli.ask import print_json, print_matches
    from regionmed.search.answer import find, parse_box, picture_at
    from regionmed.search.index import open_index

    if (text is None) == (image is None) or (box is not None and image is None):
        raise typer.BadParameter("give either --text, or --image with or without --box")
    opened = open_index(index)
    picture = picture_at(image) if image else None
    place = parse_box(box, picture.frame) if picture and box is not None else None
    loaded = regionmed.load(model or opened.model_path)
    matches = find(opened, loaded, text=text, picture=picture, box=place, top=top)
    if as_json:
        print_json({"results": [match.as_row() for match in matches]})
        return
    print_matches(matches, "Most similar")
    print(f"{index}: {len(opened.entries)} entries, checkpoint {opened.fingerprint[:12]}")
    print("similarity is a cosine, not a probability; research use, not for diagnosis")
