"""Claims: retrieval in tiles is faster than its rivals, and 100,000 by 100,000 fits into 2 GB.

`python benchmarks/retrieval_scale.py` compares recall at 1, 5 and 10, both ways, on one thread
with torchmetrics' RetrievalHitRate and with CLIP_benchmark's recall_at_k
(`pip install --no-deps clip_benchmark webdataset`; left out where it is missing); ratios above 1
speak for ours, and results that differ fail. `--full N` times N by N alone, in a process of its
own, and fails above 2 GB (100,000: about three minutes on two free cores, more on busy ones).
"""

import argparse
import importlib.util
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from regionmed.evaluation.standing import standings

WIDTH, RANKS, NOISE, MOST_BYTES = 512, (1, 5, 10), 4.5, 2e9
SIZE = 2000  # the rivals still run at 4,000 and more, but take minutes
Recalls = dict[tuple[str, int], float]


def vectors(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of pictures, and of texts that are those pictures with noise: recall is partial."""
    generator = np.random.default_rng(0)
    images_NE = generator.standard_normal((number, WIDTH), dtype=np.float32)
    texts_NE = NOISE * generator.standard_normal((number, WIDTH), dtype=np.float32)
    texts_NE += images_NE
    for rows_NE in (images_NE, texts_NE):
        rows_NE /= np.linalg.norm(rows_NE, axis=1, keepdims=True)
    return images_NE, texts_NE


def ours(images_NE: np.ndarray, texts_NE: np.ndarray) -> Recalls:
    """Counts in tiles, both directions at once."""
    own = np.arange(len(images_NE))
    to_text, to_image = standings(images_NE, texts_NE, own, own)
    ways = {"image to text": to_text, "text to image": to_image}
    return {(way, k): float(s.recall(k).mean()) for way, s in ways.items() for k in RANKS}


def torchmetrics_way(images_NE: np.ndarray, texts_NE: np.ndarray) -> Recalls:
    """One RetrievalHitRate a k, fed with every similarity and the number of its query."""
    import torch
    from torchmetrics.retrieval import RetrievalHitRate

    found = {}
    similarity = torch.from_numpy(images_NE) @ torch.from_numpy(texts_NE).T
    number = len(similarity)
    query = torch.arange(number).repeat_interleave(number)
    right = torch.eye(number, dtype=torch.bool).flatten()
    for way, values in (("image to text", similarity), ("text to image", similarity.T)):
        for k in RANKS:
            metric = RetrievalHitRate(top_k=k)
            metric.update(values.flatten(), right, indexes=query)
            found[way, k] = metric.compute().item()
    return found


def clip_benchmark_way(images_NE: np.ndarray, texts_NE: np.ndarray) -> Recalls:
    """recall_at_k on the whole matrix in batches of 64, as its evaluate does."""
    import torch
    from clip_benchmark.metrics.zeroshot_retrieval import batchify, recall_at_k

    scores = torch.from_numpy(texts_NE) @ torch.from_numpy(images_NE).T
    right = torch.eye(len(scores), dtype=torch.bool)
    ways = {"image to text": (scores.T, right.T), "text to image": (scores, right)}
    return {
        (way, k): (batchify(recall_at_k, *pair, 64, "cpu", k=k) > 0).float().mean().item()
        for way, pair in ways.items()
        for k in RANKS
    }


def timed(
    work: Callable[[np.ndarray, np.ndarray], Recalls], pair: tuple[np.ndarray, np.ndarray]
) -> tuple[Recalls, float, float]:
    """The result, and seconds on the wall and of the processor, of one round."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work(*pair)
    return found, time.perf_counter() - wall, time.process_time() - processor


def compare(name: str, rival: Callable[[np.ndarray, np.ndarray], Recalls], number: int) -> None:
    """One line: how many times as fast as a rival, the results being equal."""
    pair = vectors(number)
    timed(ours, vectors(64)), timed(rival, vectors(64))  # imports and warming, not counted
    (mine, my_wall, my_cpu), (theirs, their_wall, their_cpu) = timed(ours, pair), timed(rival, pair)
    gap = max(abs(mine[key] - theirs[key]) for key in theirs)
    if gap > 1 / number:  # float32 products of two shapes may rank one query otherwise
        raise SystemExit(f"{name}: recalls differ by {gap:.1e}")
    print(
        f"{number:,} x {number:,}: {their_cpu / my_cpu:.0f} times as fast as {name} by processor "
        f"time, {their_wall / my_wall:.0f} by the wall ({my_wall:.1f} s against {their_wall:.1f} s;"
        f" recall@1 {mine['image to text', 1]:.3f} both)",
        flush=True,
    )


def full(number: int) -> None:
    """Time and peak memory of one retrieval, embeddings included; nothing else is loaded."""
    pair = vectors(number)
    found, wall, processor = timed(ours, pair)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    held = sum(rows.nbytes for rows in pair)
    print(
        f"{number:,} pictures x {number:,} texts x {WIDTH}: {wall:.0f} s ({processor:.0f} s of "
        f"processor); peak {peak / 1e9:.2f} GB, of which {held / 1e9:.2f} GB the embeddings; "
        f"and {(peak - held) / 1e9:.2f} GB all else, the interpreter too; "
        + ", ".join(f"{way} recall@{k} {value:.4f}" for (way, k), value in found.items())
    )
    if peak > MOST_BYTES:
        raise SystemExit(f"peak memory {peak / 1e9:.2f} GB is above {MOST_BYTES / 1e9:.0f} GB")


def main() -> None:
    """Rivals at sizes where they still run, then a large one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=int, metavar="N", help="only N by N, with peak memory")
    chosen = parser.parse_args()
    if chosen.full:
        return full(chosen.full)
    import torch

    torch.set_num_threads(1)
    compare("torchmetrics' RetrievalHitRate", torchmetrics_way, SIZE)
    if importlib.util.find_spec("clip_benchmark"):
        compare("CLIP_benchmark's recall_at_k", clip_benchmark_way, SIZE)
    else:
        print("CLIP_benchmark is not installed and was left out")
    subprocess.run([sys.executable, __file__, "--full", "20000"], check=True)


if __name__ == "__main__":
    main()
