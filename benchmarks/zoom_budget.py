"""The price of looking again: accuracy and compute of regions under each zoom budget, by size.

`python benchmarks/zoom_budget.py RUN --corpus DIR [--split val] [--out budget.json]`: the regions
that the evaluation harness scores, read from their given boxes with 0, 1, 2 and 4 forwards of the
whole tower to spend on small ones. A line each: macro accuracy over the sets, and over (set, label)
pairs of a size, with its interval; the share of the size's regions that were read again; and what a
picture with its regions costs by counted multiply-adds, a mean over pictures, in forwards of the
picture alone. Then where the default budget of 1 was spent: a line each set, with what it gained
there over no zoom on the same weights, and the share of each label's regions that was read again.
Choose on val or train; `--set` keeps one set, `--pictures` the first so many of each. Nothing is
timed.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import regionmed
from regionmed.batches.batch import boxes_to_unit
from regionmed.corpus.shards import Corpus
from regionmed.evaluation.compute import counted
from regionmed.evaluation.encode import encode_texts
from regionmed.evaluation.intervals import mean_of_estimates
from regionmed.evaluation.part import Part, Pictures, open_parts
from regionmed.evaluation.regions import Asked, asked_regions
from regionmed.evaluation.statistics import expected_hits, macro_mean, paired_difference
from regionmed.evaluation.strata import LEAST_IN_STRATUM, SIZES, group_of
from regionmed.geometry import size_stratum
from regionmed.model.region_clip import RegionClip

BUDGETS = (0.0, 1.0, 2.0, 4.0)  # forwards of the whole tower


@dataclass(frozen=True)
class Read:
    """The scored regions of one set under one budget, picture after picture."""

    name: str
    hits_R: NDArray[np.float64]
    again_R: NDArray[np.bool_]  # read from finer pixels too
    columns: list[str]  # set/label
    groups: list[str]
    sizes_R: NDArray[np.str_]
    multiply_adds: int  # of all its pictures and regions
    pictures: int


def read(model: RegionClip, part: Part, asked: Asked, pictures: Pictures, most: int | None) -> Read:
    """Every asked region from its given box; one picture at a time, so that each is counted."""
    texts_LE = encode_texts(model, [part.phrases[label] for label in asked.labels])
    rows = sorted({row for row, _ in asked.places})[:most]
    regions, again, cost = [], [], 0
    for row in rows:
        numbers = [number for at, number in asked.places if at == row]
        boxes = [part.records[row].regions[number].box for number in numbers]
        unit = boxes_to_unit(boxes, pictures.placements[row])
        seen = []
        cost += counted(
            lambda row=row, unit=unit, seen=seen: seen.append(
                model.embed(pictures.pixels_NHWC[row][None], [unit])
            )
        )
        (embedded,) = seen
        regions.append(embedded.regions[0])
        window = embedded.windows[0] if embedded.windows else None
        again.append(np.zeros(len(unit), bool) if window is None else window.rows)
    places = [place for place in asked.places if place[0] in set(rows)]
    truth_R = np.array([asked.truth_R[n] for n, p in enumerate(asked.places) if p[0] in set(rows)])
    boxes = [part.records[row].regions[number].box for row, number in places]
    return Read(
        part.name,
        expected_hits(np.concatenate(regions) @ texts_LE.T, truth_R),
        np.concatenate(again),
        [f"{part.name}/{asked.labels[label]}" for label in truth_R],
        [f"{part.name}/{group_of(part.records[row])}" for row, _ in places],
        np.array([size_stratum(box) for box in boxes]),
        cost,
        len(rows),
    )


def line(reads: Sequence[Read], size: str) -> dict[str, Any] | None:
    """What a stratum gained, and how often it was read again; None where it has too few regions."""
    sizes_R = np.concatenate([one.sizes_R for one in reads])
    rows = np.flatnonzero((sizes_R == size) | (size == "all"))
    if len(rows) < LEAST_IN_STRATUM:
        return None
    if size == "all":  # every set weighs the same, as in the report
        found = mean_of_estimates(
            [macro_mean(r.hits_R, r.columns, r.groups, f"regions {r.name} all") for r in reads]
        )
    else:
        hits_R = np.concatenate([one.hits_R for one in reads])[rows]
        columns = np.array([column for one in reads for column in one.columns])[rows]
        groups = [group for one in reads for group in one.groups]
        found = macro_mean(hits_R, columns, [groups[r] for r in rows], f"regions mean:all {size}")
    again_R = np.concatenate([one.again_R for one in reads])[rows]
    shown = {"regions": len(rows), "read_again": float(again_R.mean())}
    return {"size": size, "macro_accuracy": found.as_json(), **shown}


def every_read(
    model: RegionClip, corpora: Sequence[Corpus], wanted: argparse.Namespace
) -> dict[float, list[Read]]:
    """Budget -> what it gave in each set; a set's pictures are decoded once."""
    reads: dict[float, list[Read]] = {budget: [] for budget in BUDGETS}
    for part in open_parts(model, corpora, wanted.split):
        asked = asked_regions(part) if wanted.set in (None, part.name) else None
        if asked is None:
            continue
        pictures = part.pictures(model.image_size)
        for budget in BUDGETS:
            model.zoom_budget = budget
            reads[budget].append(read(model, part, asked, pictures, wanted.pictures))
    if not reads[0]:
        raise SystemExit("no set here has two labels with enough regions in this split")
    return reads


def curve(model: RegionClip, reads: dict[float, list[Read]]) -> Iterator[dict[str, Any]]:
    """One entry a budget; sets are pooled as in the report."""
    blank = np.zeros((1, model.image_size, model.image_size, 3), np.uint8)
    alone = counted(lambda: model.embed(blank))
    for budget, sets in reads.items():
        forwards = sum(r.multiply_adds for r in sets) / sum(r.pictures for r in sets) / alone
        sizes = [shown for size in ("all", *SIZES) if (shown := line(sets, size)) is not None]
        yield {"budget": budget, "forwards_a_picture": forwards, "sizes": sizes}


def chosen(model: RegionClip, reads: dict[float, list[Read]]) -> Iterator[dict[str, Any]]:
    """One entry a set: what a budget of 1 gained over none, what it cost, which labels got it."""
    blank = np.zeros((1, model.image_size, model.image_size, 3), np.uint8)
    alone = counted(lambda: model.embed(blank))
    for none, one in zip(reads[0.0], reads[1.0], strict=True):
        columns = np.array(one.columns)
        gain = paired_difference(one.hits_R, none.hits_R, columns, one.groups, f"zoom {one.name}")
        yield {
            "set": one.name,
            "regions": len(columns),
            "read_again": float(one.again_R.mean()),
            "gain": gain.as_json(),
            "forwards_a_picture": {
                str(budget): sets.multiply_adds / sets.pictures / alone
                for budget, sets in ((0, none), (1, one))
            },
            "labels": {
                label.partition("/")[2]: float(one.again_R[columns == label].mean())
                for label in np.unique(columns)
            },
        }


def main() -> None:
    """One block a budget, a line a set, and the same as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--set")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--out", type=Path, default=Path("zoom_budget.json"))
    asked = parser.parse_args()
    model = regionmed.load(asked.run)
    if model.config.regions != "zoom":
        raise SystemExit(f"{asked.run} does not zoom (regions='{model.config.regions}')")
    corpora = [regionmed.open_corpus(folder) for folder in asked.corpus]
    print("budget  forwards a picture  size     regions  read again  macro accuracy")
    found = []
    reads = every_read(model, corpora, asked)
    for entry in curve(model, reads):
        found.append(entry)
        for shown in entry["sizes"]:
            accuracy = shown["macro_accuracy"]
            print(
                f"{entry['budget']:6.0f}  {entry['forwards_a_picture']:18.2f}  {shown['size']:7s}"
                f"  {shown['regions']:7d}  {shown['read_again']:10.2f}  {accuracy['value']:.3f}"
                f" ({accuracy['low']:.3f} to {accuracy['high']:.3f})",
                flush=True,
            )
    places = list(chosen(model, reads))
    print("set                 regions  read again  gain of budget 1       forwards 0, 1  labels")
    for place in places:
        gain, cost = place["gain"], place["forwards_a_picture"]
        labels = ", ".join(f"{label} {share:.2f}" for label, share in place["labels"].items())
        print(
            f"{place['set']:18s}  {place['regions']:7d}  {place['read_again']:10.2f}  "
            f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]  "
            f"{cost['0']:5.2f}, {cost['1']:5.2f}  {labels}"
        )
    aside = asked.out.with_suffix(".part")
    fingerprints = {"weights": model.fingerprint, "corpora": [c.fingerprint for c in corpora]}
    aside.write_text(
        json.dumps({**fingerprints, "split": asked.split, "curve": found, "sets": places}, indent=1)
    )
    os.replace(aside, asked.out)


if __name__ == "__main__":
    main()
