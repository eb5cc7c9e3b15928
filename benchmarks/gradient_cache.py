"""Claims: a batch read in parts has the gradient of the whole; 1,024 pictures need 64's memory.

`python benchmarks/gradient_cache.py`: pictures against texts through the trunk of `tiny`, as the
stage `global` trains it, from early maps. Relative error of the gradient against one big batch
(fails above 1e-5); peak memory of a step of 1,024 in parts of 64 against a plain step of 64, each
in a process of its own (fails above 1.3), and of 128 and 256 plain pictures for comparison. About
a minute on two free cores. Threads as OMP_NUM_THREADS says.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from regionmed.model.config import TINY
from regionmed.model.region_clip import RegionClip
from regionmed.training.gradient_cache import Vectors, cached_backward
from regionmed.training.losses import two_way_contrast

PART, LARGE, COMPARED, SEED = 64, 1024, 192, 0
MOST_ERROR, MOST_MEMORY = 1e-5, 1.3


def inputs(model: RegionClip, pictures: int) -> tuple[Tensor, Tensor]:
    """Seeded early maps as a view cache keeps them (float16), and text features (N, width)."""
    generator = torch.Generator().manual_seed(SEED)
    small_BCHW = 255 * torch.rand(PART, 3, 14, 14, generator=generator)
    with torch.inference_mode():
        sides = (model.image_size, model.image_size)
        images_BCHW = F.interpolate(small_BCHW, sides, mode="bilinear")
        early_BCHW = torch.cat([model.stem(few) for few in images_BCHW.split(8)]).half()
    early_BCHW = early_BCHW.repeat(-(-pictures // PART), 1, 1, 1)[:pictures]
    early_BCHW *= (0.8 + 0.4 * torch.rand(pictures, 1, 1, 1, generator=generator)).half()
    features_ND = F.normalize(
        torch.randn(pictures, model.text_tower.width, generator=generator), dim=-1
    )
    return early_BCHW, features_ND


def read(model: RegionClip, early_BCHW: Tensor) -> Vectors:
    """Pictures as vectors."""
    return (model.read_early(early_BCHW.float()).images_BE,)


def loss_of(model: RegionClip, features_ND: Tensor, parts: list[Vectors]) -> Tensor:
    """Picture n belongs to text n."""
    images_BE = torch.cat([vectors for (vectors,) in parts])
    logits = model.log_scale.exp() * images_BE @ model.project_texts(features_ND).T
    loss = two_way_contrast(logits, torch.eye(len(logits), dtype=torch.bool), len(logits))
    assert loss is not None
    return loss


def step(model: RegionClip, pictures: int, part: int) -> float:
    """One gradient, in parts or (part = 0) at once; returns the seconds of processor."""
    early_BCHW, features_ND = inputs(model, pictures)
    started = time.process_time()
    judge = partial(loss_of, model, features_ND)
    if part:
        cached_backward([partial(read, model, few) for few in early_BCHW.split(part)], judge)
    else:
        judge([read(model, early_BCHW)]).backward()
    return time.process_time() - started


def gradients(model: RegionClip) -> Tensor:
    """All gradients as one row."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def own_process(pictures: int, part: int) -> dict[str, float]:
    """One step in a fresh process: `peak` resident bytes and `seconds`."""
    command = [sys.executable, __file__, "--step", str(pictures), str(part)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory() -> float:
    """Peaks of plain steps and of the large one in parts; returns the latter's ratio to PART's."""
    small = own_process(PART, 0)
    ratio = 0.0
    for pictures, part in ((128, 0), (256, 0), (LARGE, PART)):
        found = own_process(pictures, part)
        ratio = found["peak"] / small["peak"]
        way = f"in parts of {part}" if part else "at once"
        print(
            f"{pictures:5d} pictures {way}: peak {found['peak'] / 1e9:.2f} GB, {ratio:.2f} times "
            f"that of {PART} at once ({small['peak'] / 1e9:.2f} GB)"
        )
    return ratio


def error(model: RegionClip) -> float:
    """Relative difference of the two gradients of one batch."""
    at_once = step(model, COMPARED, 0)
    whole = gradients(model)
    model.zero_grad()
    in_parts = step(model, COMPARED, PART)
    found = float((gradients(model) - whole).norm() / whole.norm())
    print(
        f"{COMPARED} pictures in parts of {PART}: relative error of the gradient {found:.1e}; "
        f"{in_parts / at_once:.2f} times the work of one batch"
    )
    return found


def main() -> None:
    """Memory, then the error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", nargs=2, type=int, metavar=("PICTURES", "PART"))
    asked = parser.parse_args().step
    torch.manual_seed(SEED)
    if asked:
        seconds = step(RegionClip(TINY), *asked)
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in kB
        print(json.dumps({"peak": peak, "seconds": seconds}))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, seed {SEED}, float32")
    # memory first: a child's peak starts from what its parent holds
    ratio = memory()
    found = error(RegionClip(TINY))
    if found > MOST_ERROR or ratio > MOST_MEMORY:
        raise SystemExit(f"error {found:.1e} of {MOST_ERROR}, memory {ratio:.2f} of {MOST_MEMORY}")


if __name__ == "__main__":
    main()
