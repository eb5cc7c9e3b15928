"""How sure an answer may be: a scale that turns similarities into probabilities, and familiarity.

Similarities become probabilities by softmax(similarity * scale), or, for a label that is asked
against its denial, by sigmoid(margin * scale). A vector is as familiar as the known vector nearest
to it. Both are fitted on rows that were not trained on, and hold for rows like these alone.
Legend: N answers, L labels, Q queries, K known vectors, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

SCALES = (0.1, 10_000.0)
LEAST_TO_FIT = 20  # val rows
CHUNK = 1024  # queries compared at a time: with 20,000 known vectors 80 MB


def fitted_scale(
    scores_NL: NDArray[np.floating],
    truth_NL: NDArray[np.bool_],
    several: bool,
    weights_N: NDArray[np.floating] | None = None,
) -> float | None:
    """The scale of least negative log likelihood; None from fewer than LEAST_TO_FIT rows.

    several    False: one of L labels is right; True: each label by itself
    weights_N  how much each row counts; all the same where left out

    The likelihood is log-concave in the scale, so the one minimum within SCALES is found.
    """
    if len(scores_NL) < LEAST_TO_FIT:
        return None
    wide_NL = np.asarray(scores_NL, float)

    def loss(log_scale: float) -> float:
        scaled_NL = wide_NL * np.exp(log_scale)
        if several:
            lost_N = -log_expit(np.where(truth_NL, scaled_NL, -scaled_NL)).mean(axis=1)
        else:
            lost_N = -log_softmax(scaled_NL, axis=1)[truth_NL]
        return float(np.average(lost_N, weights=weights_N))

    bounds = tuple(np.log(SCALES))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def familiarity(
    queries_QE: NDArray[np.floating], known_KE: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The cosine (Q,) of each query to the known vector nearest to it; all are unit rows.

    known_KE  at least one row
    """
    nearest = [
        (queries_QE[start : start + CHUNK] @ known_KE.T).max(axis=1)
        for start in range(0, len(queries_QE), CHUNK)
    ]
    return np.concatenate([np.zeros(0), *nearest]).astype(np.float64)


def equal_weights(names_N: Sequence[str]) -> NDArray[np.float64]:
    """Weights (N,) of mean 1 with which every name counts the same, however often it occurs."""
    _, number_N, count_C = np.unique(np.asarray(names_N), return_inverse=True, return_counts=True)
    weights_N: NDArray[np.float64] = len(number_N) / (len(count_C) * count_C[number_N])
    return weights_N
