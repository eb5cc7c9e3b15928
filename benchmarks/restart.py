"""Claim: under torchrun a run of two processes outlives kills and ends as the undisturbed one.

`python benchmarks/restart.py`: trains on painted smears in two processes, undisturbed, and again
under `--max-restarts 2` while a process is killed by SIGKILL at two steps, once the first, once the
second. Journals and final weights are compared; a difference ends the script.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kills import lines, paint

KILLS = ((1, 3), (0, 5))  # of each start: the process that is killed, at which step
RECIPE = """
from dataclasses import replace
from regionmed.recipes import JOINT, tiny

def pair():
    return replace(tiny(), name="pair", stages=(replace(JOINT, steps=8),), batch_size=4, views=1,
                   checkpoint_every=2)
"""


def main() -> None:
    """Both runs and a line on what came out."""
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe, corpus = folder / "own.py", paint(folder)
        recipe.write_text(RECIPE)
        calm, shaken = folder / "calm", folder / "shaken"
        seconds = {}
        for run in (calm, shaken):
            begun = time.monotonic()
            torchrun(f"{recipe}:pair", corpus, run, killed=run == shaken)
            seconds[run] = time.monotonic() - begun
        weights = [(run / "model" / "weights.safetensors").read_bytes() for run in (calm, shaken)]
        if weights[0] != weights[1] or lines(calm) != lines(shaken):
            raise SystemExit("the killed run differs from the undisturbed one")
        count = len(lines(calm))
    print(
        f"2 processes, {len(KILLS)} of them killed and all started again by torchrun: weights and "
        f"all {count} journal lines are bit-equal to the undisturbed run's; "
        f"{seconds[shaken]:.0f} s against {seconds[calm]:.0f} s"
    )


def torchrun(recipe: str, corpus: Path, run: Path, killed: bool) -> None:
    """`regionmed train --resume` in two processes; this script stands in for the command."""
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--nproc-per-node", "2", "--max-restarts", str(len(KILLS))),
            *(__file__, str(int(killed)), "train", recipe),
            *("--corpus", str(corpus), "--out", str(run), "--resume"),
        ],
        check=True,
    )


def work(killed: bool) -> None:
    """One process of a run: the command line, with a kill from inside where one is due."""
    import regionmed.training.train as loop
    from regionmed.cli.main import main as regionmed

    take_step, start = loop.one_step, int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    due = KILLS[start] if killed and start < len(KILLS) else None

    def step(*given: Any) -> Any:
        if due == (given[0].share.rank, given[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(*given)

    loop.one_step = step
    regionmed()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        killed = bool(int(sys.argv.pop(1)))
        work(killed)
    else:
        main()
