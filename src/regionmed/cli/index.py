"""regionmed index: make the pictures and regions of corpora searchable."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="A run or checkpoint folder, or open_clip:NAME.")],
    corpus: Annotated[list[Path], typer.Option(help="A corpus folder; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder to write the index to.")],
    device: Annotated[str, typer.Option(help="Where the model runs: cpu, cuda.")] = "cpu",
) -> None:
    """Embed all pictures and regions of corpora into an index for search, ask and serve."""
    import regionmed
    from regionmed.cli.progress import bar
    from regionmed.search.build import build_index

    corpora = [regionmed.open_corpus(folder) for folder in corpus]
    loaded = regionmed.load(model, device=device)
    index = build_index(loaded, corpora, out, source=model, track=bar)
    counts = index.manifest
    print(
        f"{out}: {counts['pictures']} pictures, {counts['regions']} regions, "
        f"{counts['sentences']} sentences (checkpoint {index.fingerprint[:12]})"
    )
    certainty = index.certainty
    if certainty.findings is None or certainty.regions is None:
        print(
            "answers will not say how likely they are: too few val regions that the model was not "
            "trained on, no train regions, or fewer than two findings"
        )
    else:
        print(
            f"probabilities calibrated on {certainty.findings.rows:,} val regions; unfamiliar: "
            f"below {certainty.regions.least:.2f} to the nearest of {certainty.regions.known:,} "
            "train regions"
        )
