"""Claim: regions read from the encoded picture cost a fraction of encoding each one's crop.

`python benchmarks/regions_at_once.py [COMPARISON.json]`: pictures with 1 to 32 regions each through
the pooled path of `tiny`, against the same tower and weights encoding the picture and a crop a
region (the plain CLIP's way), at 224, 384 and 512 px; crops are read at 224 px too, a fairer rival
of the larger pictures. At 224 px sixteen pictures a call, as the harness reads a collection, and
one alone, as the page asks, where the processor's small layers are mostly calls and weights to
fetch. All are timed in turn, round after round; ratios are medians over rounds, of the seconds that
the processor worked (on one thread a busy machine disturbs them less) and of the clock. With the
file that `regionmed compare` wrote, a line of 224 px says what crops lose or win in accuracy: the
arm `crop` minus the arm `roi`, mean over sets. Fails where 8 regions at 224 px, of one picture or
of sixteen, cost more than 1.25 of the pictures alone. Threads as OMP_NUM_THREADS says.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from regionmed.cli.memory import keep_freed_memory
from regionmed.evaluation.compute import SIDES
from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip

# pixels a side, pictures a call, rounds
SETTINGS = ((224, 16, 5), (224, 1, 9), (384, 1, 3), (512, 1, 3))
COUNTS, SEED, MOST = (1, 2, 4, 8, 16, 32), 0, 1.25
POOLED, CROPS = "roi", "crop"  # arms of the comparison
Medians = dict[str, tuple[float, float]]  # name -> processor, clock: multiples of the first's


def in_turn(work: Mapping[str, Callable[[], object]], rounds: int) -> Medians:
    """Each once a round, after a round that is not counted; medians of the ratios to the first."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(1 + rounds):
        for name, call in work.items():
            busy, clock = time.process_time(), time.perf_counter()
            call()
            taken[name].append((time.process_time() - busy, time.perf_counter() - clock))
    first = np.array(next(iter(taken.values()))[1:])
    medians = {name: np.median(np.array(t[1:]) / first, axis=0) for name, t in taken.items()}
    return {name: (float(busy), float(clock)) for name, (busy, clock) in medians.items()}


def accuracy_difference(path: Path | None) -> str:
    """Crops minus pooled regions, in points of macro accuracy over the sets; "-" without a file."""
    if path is None:
        return "-"
    wanted = {
        "task": "region_classification",
        "set": "mean:all",
        "metric": "macro_accuracy",
        "boxes": "given",
        "stratum": "all",
    }
    for row in json.loads(path.read_text())["rows"]:
        if wanted.items() <= row.items() and {POOLED, CROPS} <= set(row["arms"]):
            value = {name: row["arms"][name]["value"] for name in (POOLED, CROPS)}
            return f"{100 * (value[CROPS] - value[POOLED]):+.1f}"
    raise SystemExit(f"{path} has no mean of region classification with the arms {POOLED}, {CROPS}")


def towers() -> tuple[RegionClip, RegionClip]:
    """A model that pools its regions and a plain one that reads crops, of the same weights."""
    torch.manual_seed(SEED)
    pooled = RegionClip(dataclasses.replace(TINY, regions="pooled", detail=1))
    plain = RegionClip(dataclasses.replace(TINY, regions="none", detail=1))
    plain.image_tower, plain.image_projection = pooled.image_tower, pooled.image_projection
    return pooled, plain


def measured(pooled: RegionClip, plain: RegionClip, size: int, batch: int, rounds: int) -> Medians:
    """The pictures alone, and each number of regions by each way."""
    generator = np.random.default_rng(SEED)
    pixels = generator.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    small = generator.integers(0, 256, (max(COUNTS), 224, 224, 3), dtype=np.uint8)
    work: dict[str, Callable[[], object]] = {"picture": partial(plain.embed, pixels)}
    for count in COUNTS:
        side = np.resize(np.array(SIDES, np.float32), count)[:, None]  # tiny to large in turn
        corners = generator.random((batch, count, 2), dtype=np.float32) * (1 - side)
        boxes = [np.concatenate((corner, corner + side), axis=1) for corner in corners]
        work[f"pooled {count}"] = partial(pooled.embed, pixels, boxes)
        work[f"crops {count}"] = partial(plain.embed, pixels, boxes)
        if size != 224:
            work[f"small crops {count}"] = partial(plain.embed, small[:count])
    return in_turn(work, rounds)


def main() -> None:
    """One line for each size of picture and number of regions."""
    keep_freed_memory()  # as the commands do
    parser = argparse.ArgumentParser()
    parser.add_argument("comparison", type=Path, nargs="?")
    difference = accuracy_difference(parser.parse_args().comparison)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, seed {SEED}, float32")
    print("costs in forwards of the pictures alone: processor (clock)")
    columns = "pooled         crops  crops of 224  these/pooled  accuracy, points"
    print(f"  px pictures regions        {columns}")
    pooled, plain = towers()
    eight: dict[int, float] = {}  # pictures a call -> cost
    for size, batch, rounds in SETTINGS:
        found = measured(pooled, plain, size, batch, rounds)
        if size == 224:
            eight[batch] = found["pooled 8"][0]
        for count in COUNTS:
            ours, crops = found[f"pooled {count}"], found[f"crops {count}"]
            few = found.get(f"small crops {count}")
            # the picture itself is read too
            small = crops if few is None else (1 + few[0], 1 + few[1])
            print(
                f"{size:4d} {batch:8d} {count:7d} "
                + " ".join(f"{busy:5.2f} ({clock:5.2f})" for busy, clock in (ours, crops, small))
                + f"  {small[0] / ours[0]:12.1f}  {difference if size == 224 else '-':>16}"
            )
    if over := {batch: cost for batch, cost in eight.items() if cost > MOST}:
        raise SystemExit(
            f"8 regions at 224 px cost more than {MOST} of the pictures alone: "
            + ", ".join(f"{cost:.2f} with {batch} a call" for batch, cost in over.items())
        )


if __name__ == "__main__":
    main()
