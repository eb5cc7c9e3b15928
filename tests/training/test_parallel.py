"""Two and four processes train as one does; a killed process never leaves the others waiting.

The processes are real and meet by gloo. This file is their program too: run as a script it loads
the library once and forks.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import regionmed.training.train as loop
from regionmed.cli.main import main
from regionmed.corpus.shards import open_corpus
from regionmed.errors import UsageError
from regionmed.model import roi_processor, roi_zoom
from regionmed.recipes import load_recipe
from regionmed.training.draw import Drawer, Step
from regionmed.training.parallel import together, whole_tensor
from regionmed.training.prepare import Ready, check_recipe, prepare
from regionmed.training.stages import LOSSES, Stage
from regionmed.training.state import load_state, new_state, save_state
from regionmed.training.step import Judge, Learner, Numbers, enter_stage, one_step

STEPS, SAVED = 3, 1  # steps taken; a checkpoint of two processes is kept after this many
PATIENCE = 10  # seconds for a process that stands still
KILLED = 3  # step at which one of two processes is killed; checkpoints fall on even ones
RECIPES = """
from dataclasses import replace
from regionmed.recipes import GLOBAL, JOINT, tiny

def pair():
    model = replace(tiny().model, regions="zoom", detail=2)
    # at the full rates Adam makes of each rounding 1e-5 within a few steps
    gentle = replace(JOINT, learning_rate=JOINT.learning_rate / 10, trunk_rate=2e-5)
    return replace(tiny(), name="pair", model=model, stages=(gentle,), batch_size=4, views=1)

def plain_pair():
    model, stages = replace(tiny().model, regions="none"), (replace(GLOBAL, steps=7),)
    return replace(pair(), model=model, stages=stages, checkpoint_every=2)
"""


@pytest.fixture(scope="module")
def learnt(smears: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this file left behind as a program: it ends by itself, or the tests fail."""
    out = tmp_path_factory.mktemp("learnt")
    done = subprocess.run(
        [sys.executable, __file__, str(smears), str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (out / "stderr.txt").write_text(done.stderr)
    return out


def lines_of(out: Path, kind: str, processes: int) -> list[dict]:
    """The journal's numbers of each step."""
    return json.loads((out / f"{kind}-{processes}.json").read_text())


@pytest.mark.parametrize(
    ("kind", "processes"), [("whole", 2), ("whole", 4), ("split", 2), ("resumed", 4)]
)
def test_losses_of_several_processes_are_those_of_one(
    learnt: Path, kind: str, processes: int
) -> None:
    alone = lines_of(learnt, "whole" if kind == "whole" else "split", 1)
    shared = lines_of(learnt, kind, processes)
    terms = ["loss", *(name for name in LOSSES if name in alone[0])]
    assert {"joined", "caption", "hard", "ground", "region"} <= set(terms)
    for one, several in zip(alone[-len(shared) :], shared, strict=True):
        assert [several[term] for term in terms] == pytest.approx(
            [one[term] for term in terms], rel=1e-5
        )


def test_some_process_has_no_region_and_another_has(learnt: Path) -> None:
    counts = [line["regions"] for line in lines_of(learnt, "whole", 4)]
    assert any(0 in few and sum(few) for few in counts)


@pytest.mark.parametrize(("kind", "processes"), [("whole", 2), ("whole", 4), ("split", 2)])
def test_gradients_of_several_processes_are_those_of_one(
    learnt: Path, kind: str, processes: int
) -> None:
    alone = load_file(learnt / f"{kind}-1.safetensors")
    shared = load_file(learnt / f"{kind}-{processes}.safetensors")
    assert set(alone) == set(shared)
    assert {"log_scale", "dense.bias", "roi_processor.gamma"} <= set(alone)
    # both are clipped to length 1, by a norm that is summed in another order
    norms = [lines_of(learnt, kind, count)[0]["gradient_norm"] for count in (1, processes)]
    assert norms[1] == pytest.approx(norms[0], rel=2e-5)
    one, several = length(alone), length(shared)
    for name, gradient in alone.items():
        assert (shared[name] / several - gradient / one).norm() < 1e-6, name


def length(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of all of them as one vector, float64."""
    return torch.stack([part.double().square().sum() for part in gradients.values()]).sum().sqrt()


def test_a_checkpoint_of_two_processes_goes_on_in_one_and_in_four(learnt: Path) -> None:
    """Weights, averages and moments: all of them decide the losses of the next steps."""
    going_on = [line["loss"] for line in lines_of(learnt, "split", 2)][SAVED:]
    for processes in (1, 4):
        resumed = [line["loss"] for line in lines_of(learnt, "resumed", processes)]
        assert resumed == pytest.approx(going_on, rel=1e-5)


def test_a_process_that_stands_still_ends_the_others_with_a_sentence(learnt: Path) -> None:
    said = json.loads((learnt / "still.json").read_text())
    assert said["message"].startswith("process 0 of 2 lost another one")
    assert PATIENCE <= said["seconds"] < PATIENCE + 60


def test_a_killed_process_ends_the_other_with_a_sentence_and_one_process_goes_on(
    learnt: Path,
) -> None:
    said = [line for line in (learnt / "stderr.txt").read_text().splitlines() if "lost" in line]
    assert len(said) == 1
    assert said[0].startswith("UsageError: process 0 of 2 lost another one")
    run = learnt / "run"
    steps = [json.loads(line)["step"] for line in (run / "journal.jsonl").read_text().splitlines()]
    assert steps == list(range(7))
    assert json.loads((learnt / "latest.json").read_text())["step"] == KILLED - KILLED % 2
    assert (run / "model" / "model.json").is_file()


# ---- the program of the processes

# whole: every process holds all weights (DDP); split: a share of them (FSDP2); resumed: split, from
# the checkpoint that two processes wrote
KINDS = {2: ("split", "whole"), 1: ("whole", "split", "resumed"), 4: ("whole", "resumed")}


def learn_in_processes(recipe_name: str, corpus: str, out: Path) -> None:
    """The same steps in 2, 1 and 4 processes, from the same weights."""
    recipe, corpora = load_recipe(recipe_name), [open_corpus(corpus)]
    examples = check_recipe(recipe, corpora)
    bare = slice(len(examples.items) - 3, None)
    examples.items[bare] = [replace(item, regions=()) for item in examples.items[bare]]
    ready = prepare(recipe, corpora, examples)
    # chance falls differently on the parts of a batch, so they are compared without
    roi_processor.PLACE_DROPOUT = 0.0
    roi_zoom._turned = lambda maps_NCHW: maps_NCHW
    for module in ready.learner.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for processes in KINDS:
        fork(processes, lambda: learn(ready, out))


def learn(ready: Ready, out: Path) -> None:
    """What one of them does; the first one writes losses and gradients to `out`."""
    with together() as share:
        for kind in KINDS[share.processes]:
            model, recipe = deepcopy(ready.learner.model), ready.learner.recipe
            judge = Judge(model)
            if kind != "whole":
                for parameter in model.parameters():
                    parameter.data = parameter.data.contiguous()  # as FSDP lays them
                share.shard(judge, new_state(model, recipe).moving.values())
            state = new_state(model, recipe)
            if kind == "resumed":
                assert load_state(state, out / "of-2")
                assert state.step == SAVED
            learner = replace(ready.learner, model=model, judge=judge, share=share, state=state)
            take_steps(learner, ready.drawer, kind, out)


def take_steps(learner: Learner, drawer: Drawer, kind: str, out: Path) -> None:
    """Steps from where the state stands: the numbers of each, and the gradient of the first."""
    share, state = learner.share, learner.state
    (stage,) = learner.recipe.stages
    if kind != "whole":
        rest = {name: weight for name, weight in stage.losses.items() if name != "distil"}
        stage = replace(stage, losses=rest)
    learner = enter_stage(learner, stage)
    lines, gradients = [], {}
    while state.step < STEPS:
        step = drawer.step(state.step)
        lines.append(one_step(learner, stage, state.step, step))
        lines[-1]["regions"] = [
            int(few.sum()) for few in step.present_BR.tensor_split(share.processes)
        ]
        if state.step == 0:
            gradients = {
                name: whole_tensor(p.grad).contiguous()
                for name, p in state.moving.items()
                if p.grad is not None
            }
        state.step += 1
        if kind == "split" and share.processes == 2 and state.step == SAVED:
            save_state(state, out / "of-2", share)
    if share.leads:
        (out / f"{kind}-{share.processes}.json").write_text(json.dumps(lines))
        save_file(gradients, out / f"{kind}-{share.processes}.safetensors")


def fork(processes: int, work: Callable[[], None], ends: Sequence[int] | None = None) -> None:
    """Run `work` in forks of this process, placed as torchrun would; they end with `ends`."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    started = []
    for rank in range(processes):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        os.environ |= {name: str(value) for name, value in place.items()}
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        started.append(multiprocessing.get_context("fork").Process(target=work))
        started[-1].start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == list(ends or [0] * processes)


def stand_still(out: Path) -> None:
    """The second process stops before it has answered; the first says how it came out of that."""
    started = time.monotonic()
    try:
        with together(timedelta(seconds=PATIENCE)) as share:
            pids = share.gather(torch.tensor([os.getpid()]), torch.ones(2, dtype=torch.long))
            if share.rank == 1:
                os.kill(os.getpid(), signal.SIGSTOP)
            started = time.monotonic()
            share.any(False)
    except UsageError as error:
        said = {"message": str(error), "seconds": time.monotonic() - started}
        (out / "still.json").write_text(json.dumps(said))
        os.kill(int(pids[1]), signal.SIGKILL)


def train_until_killed(corpus: str, out: Path) -> None:
    """`regionmed train` in two processes, the second of which does not survive a step."""
    take_step = loop.one_step

    def step(learner: Learner, stage: Stage, number: int, drawn: Step) -> Numbers:
        if learner.share.rank == 1 and number == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(learner, stage, number, drawn)

    loop.one_step = step
    go_on(corpus, out)


def go_on(corpus: str, out: Path) -> None:
    """`regionmed train --resume`, which begins where there is nothing yet."""
    recipe, run = f"{out / 'own.py'}:plain_pair", str(out / "run")
    sys.argv = ["regionmed", "train", recipe, "--corpus", corpus, "--out", run, "--resume"]
    main()


if __name__ == "__main__":
    corpus, out = sys.argv[1], Path(sys.argv[2])
    (out / "own.py").write_text(RECIPES)
    learn_in_processes(f"{out / 'own.py'}:pair", corpus, out)
    fork(2, lambda: stand_still(out), [0, -signal.SIGKILL])
    fork(2, lambda: train_until_killed(corpus, out), [1, -signal.SIGKILL])
    shutil.copy(out / "run" / "checkpoints" / "latest.json", out)
    fork(1, lambda: go_on(corpus, out))
