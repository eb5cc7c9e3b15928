"""Whether a stated probability comes true: the expected calibration error.

How similarities become probabilities, and the scale for it, stand in model/confidence.py.
Legend: N answers, L labels, B bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from regionmed.evaluation.statistics import Floats, expected_hits
from regionmed.model.confidence import fitted_scale as fitted_scale

BINS = 15
UNFITTED = 100.0  # where CLIP's training stops its scale; what is used without val rows


def calibration_error(stated_N: Floats, came_N: Floats, weights_N: Floats) -> float:
    """ECE = sum_b (n_b / n) |mean came true in b - mean stated in b|, BINS equal bins of 0..1.

    stated_N   probabilities; came_N 0..1, whether it was so; weights_N how often each counts
    returns    NaN where all weights are 0
    """
    bin_N = np.minimum((stated_N * BINS).astype(int), BINS - 1)
    gap_B = np.bincount(bin_N, weights_N * (came_N - stated_N), minlength=BINS)
    total = float(weights_N.sum())
    return float(np.abs(gap_B).sum()) / total if total else float("nan")


def stated_and_true(
    scores_NL: NDArray[np.floating], truth_NL: NDArray[np.bool_], several: bool, scale: float
) -> tuple[Floats, Floats]:
    """What is stated, and what came true, at a scale.

    several   False: one of L labels is right; the highest probability of each row and whether it
              is right (ties share), both (N,). True: each label by itself, both (N * L,)
    """
    scaled_NL = np.asarray(scores_NL, float) * scale
    if several:
        return expit(scaled_NL).ravel(), truth_NL.astype(float).ravel()
    highest_N = softmax(scaled_NL, axis=1).max(axis=1)
    return highest_N, expected_hits(scores_NL, truth_NL.argmax(axis=1))
