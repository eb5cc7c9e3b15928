"""Claim: a run killed at any moment ends as the undisturbed one, and no checkpoint is ever lost.

`python benchmarks/kills.py`: two parts, each on one thread; a difference or a loss ends the script.
1. A real run on painted smears is killed by SIGKILL until 20 kills are counted, every other one
   while a checkpoint is being written, and resumed each time, with 0 and 2 loader workers in turn.
   Its weights, its journal and so the order of what it saw are compared with an undisturbed run.
2. A process that does nothing but write checkpoints is killed in the middle of them until 200
   unfinished ones were left behind. After each kill the newest checkpoint is read,
   and must hold what was written at its step.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regionmed.training.state import RunState

RUN_KILLS, WRITE_KILLS, STEPS, EVERY = 20, 200, 60, 3
RECIPE = f"""
from dataclasses import replace
from regionmed.recipes import GLOBAL, JOINT, REGION, tiny

def shaken():
    third = {STEPS} // 3
    stages = tuple(replace(stage, steps=third) for stage in (GLOBAL, REGION, JOINT))
    recipe = tiny()
    # nothing is read again from finer pixels: a step takes a third of the time
    return replace(recipe, name="shaken", stages=stages, batch_size=4, views=2,
                   checkpoint_every={EVERY},
                   model=replace(recipe.model, regions="pooled", detail=1))
"""


def main() -> None:
    """Both parts, a line each."""
    # before torch is loaded; the children that train and write inherit it
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        chance = random.Random(0)
        kill_writes(Path(folder), chance)
        kill_runs(Path(folder), chance)


# ---- a real run


def kill_runs(folder: Path, chance: random.Random) -> None:
    """Part 1."""
    corpus, recipe = paint(folder), folder / "own.py"
    recipe.write_text(RECIPE)
    calm, shaken = folder / "calm", folder / "shaken"
    if os.waitpid(train(recipe, corpus, calm, workers=0), 0)[1]:
        raise SystemExit("the undisturbed run failed")
    kills = inside = 0
    while kills < RUN_KILLS:
        begun = time.time()
        process = train(recipe, corpus, shaken, workers=2 * (kills // 2 % 2))
        if not wait_for(process, shaken, begun, kills % 2 == 1, chance):
            raise SystemExit(f"the run ended after {kills} kills; raise STEPS")
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        kills += 1
        inside += left_unfinished(shaken, begun)
    if os.waitpid(train(recipe, corpus, shaken, workers=2), 0)[1]:
        raise SystemExit("the last start failed")
    weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (calm, shaken)]
    if weights[0] != weights[1] or lines(calm) != lines(shaken):
        raise SystemExit("the killed run differs from the undisturbed one")
    print(
        f"{kills} kills in a run of {STEPS} steps, {inside} of them inside a checkpoint write, "
        f"with 0 and 2 loader workers in turn: weights and all {len(lines(calm))} journal lines "
        "are bit-equal to the undisturbed run's"
    )


def paint(folder: Path) -> Path:
    """A corpus of twelve painted smears."""
    import numpy as np
    from PIL import Image

    from regionmed.corpus.describe import describe
    from regionmed.corpus.painted import paint_smear
    from regionmed.corpus.shards import write_corpus
    from regionmed.geometry import Box, Frame, Mask
    from regionmed.record import Provenance, Record, Region

    generator, records = np.random.default_rng(0), []
    for number in range(12):
        study, stored = paint_smear(generator), io.BytesIO()
        Image.fromarray(study.pixels).save(stored, "PNG")
        height, width = study.pixels.shape[:2]
        frame, name = Frame("file", width, height), f"{number}.png"
        records.append(
            Record(
                f"smears/{name}",
                "smears",
                name,
                hashlib.sha256(stored.getvalue()).hexdigest(),
                frame,
                Provenance("smears", "painted", synthetic=True),
                modality="microscopy",
                labels=tuple(sorted({mark.label for mark in study.marks})),
                regions=tuple(
                    Region(mark.label, Box(*mark.edges, frame), "mask", mask=Mask(mark.mask, frame))
                    for mark in study.marks
                ),
                split="train",
                picture=stored.getvalue(),
            )
        )
    write_corpus([describe(record, {}) for record in records], folder / "corpus", {"phrases": {}})
    return folder / "corpus"


def train(recipe: Path, corpus: Path, run: Path, workers: int) -> int:
    """The run, begun or resumed in a process of its own, which is forked: its number."""
    import regionmed
    from regionmed.recipes import load_recipe
    from regionmed.training import train as loop

    child = os.fork()
    if child:
        return child
    status = 1
    try:  # whatever happens, what the parent cleans up is not the child's to clean up
        whole, corpora = load_recipe(f"{recipe}:shaken"), [regionmed.open_corpus(corpus)]
        loop.train(whole, corpora, run, resume=True, loader_workers=workers)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait_for(process: int, run: Path, begun: float, writing: bool, chance: random.Random) -> bool:
    """Until the run is some steps on, or writes a checkpoint; False where it ended before."""
    journal = run / "journal.jsonl"
    goal = saved_step(run) + chance.randint(1, 2 * EVERY)
    while os.waitpid(process, os.WNOHANG)[0] == 0:
        fresh = journal.exists() and journal.stat().st_mtime > begun
        if writing and left_unfinished(run, begun):
            time.sleep(chance.uniform(0, 0.05))
            return True
        if not writing and fresh and len(lines(run)) >= goal:
            time.sleep(chance.uniform(0, 0.3))
            return True
        time.sleep(0.002 if writing else 0.05)
    return False


def left_unfinished(run: Path, begun: float) -> bool:
    """Whether a checkpoint stands half-written that was begun after that time."""
    for part in (run / "checkpoints").glob(".step-*.part"):
        try:
            if part.stat().st_mtime > begun:
                return True
        except FileNotFoundError:  # it was finished in this moment
            continue
    return False


def saved_step(run: Path) -> int:
    """Steps done at the newest checkpoint."""
    pointer = run / "checkpoints" / "latest.json"
    return int(json.loads(pointer.read_text())["step"]) if pointer.exists() else 0


def lines(run: Path) -> list[dict[str, object]]:
    """The journal without the times that steps took, and without a half-written line."""
    rows = (run / "journal.jsonl").read_text().split("\n")[:-1]
    return [{**json.loads(row), "seconds": None} for row in rows]


# ---- nothing but checkpoints


def kill_writes(folder: Path, chance: random.Random) -> None:
    """Part 2."""
    import torch

    from regionmed.training.state import load_state

    torch.set_num_threads(1)
    checkpoints = folder / "checkpoints"
    state = state_of_tiny()
    kills = inside = last = 0
    while inside < WRITE_KILLS:
        begun, writer = time.time(), os.fork()
        if writer == 0:
            try:
                write_for_ever(checkpoints, last)
            finally:
                os._exit(1)
        goal = last + chance.randint(0, 2)  # whole checkpoints before the one it dies in
        while saved_step(folder) < goal or not left_unfinished(folder, begun):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        kills += 1
        inside += left_unfinished(folder, begun)
        if load_state(state, checkpoints):  # an unreadable one ends the script here
            if state.step < last:
                raise SystemExit(f"after kill {kills} the newest checkpoint is an older one")
            last = state.step
            if any(not bool((tensor == last).all()) for tensor in state.average.values()):
                raise SystemExit(
                    f"after kill {kills} checkpoint {last} holds another step's numbers"
                )
    print(
        f"{kills} kills of a process that writes checkpoints, {inside} inside a write, "
        f"{last} written whole: 0 unreadable"
    )


def state_of_tiny() -> RunState:
    """A quarter of tiny's: 1.6 million numbers, their average, and two moments each."""
    import torch
    from torch import nn

    from regionmed.training.state import RunState

    moving = {f"layer{n}": nn.Parameter(torch.zeros(320_000)) for n in range(5)}
    optimizer = torch.optim.AdamW(moving.values())
    average = {name: torch.zeros_like(p.data) for name, p in moving.items()}
    for parameter in moving.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return RunState(moving, average, optimizer)


def write_for_ever(checkpoints: Path, step: int) -> None:
    """Checkpoint after checkpoint, each filled with the number of its step."""
    from regionmed.training.state import save_state

    state = state_of_tiny()
    for number in range(step + 1, sys.maxsize):
        state.step = number
        for tensor in state.average.values():
            tensor.fill_(number)
        save_state(state, checkpoints)


if __name__ == "__main__":
    main()
