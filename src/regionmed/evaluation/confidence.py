"""Whether a stated probability comes true: the expected calibration error, and a fitted scale.

Similarities become probabilities by softmax(similarity * scale), or, for a label that is asked
against its denial, by sigmoid(margin * scale). Legend: N answers, L labels, B bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from regionmed.evaluation.statistics import Floats, expected_hits

BINS = 15
UNFITTED = 100.0  # where CLIP's training stops its scale; what is used without val rows
SCALES = (0.1, 10_000.0)
LEAST_TO_FIT = 20  # val pictures


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


def fitted_scale(
    scores_NL: NDArray[np.floating], truth_NL: NDArray[np.bool_], several: bool
) -> float | None:
    """The scale of least negative log likelihood; None from fewer than LEAST_TO_FIT rows.

    The likelihood is log-concave in the scale, so the one minimum within SCALES is found.
    """
    if len(scores_NL) < LEAST_TO_FIT:
        return None
    wide_NL = np.asarray(scores_NL, float)

    def loss(log_scale: float) -> float:
        scaled_NL = wide_NL * np.exp(log_scale)
        if several:
            return float(-log_expit(np.where(truth_NL, scaled_NL, -scaled_NL)).mean())
        return float(-log_softmax(scaled_NL, axis=1)[truth_NL].mean())

    bounds = tuple(np.log(SCALES))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
