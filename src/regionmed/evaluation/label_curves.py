"""Areas under the curves of labels that a picture may carry together, fast enough to resample.

Both are what scikit-learn gives with sample_weight: AUROC by trapezoids, and average precision
AP = sum_k (R_k - R_(k-1)) P_k over the distinct scores, so that equal scores count together and a
constant score gives 0.5 and the label's prevalence. Legend: N answers, L labels, D draws, K
distinct scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regionmed.evaluation.intervals import Estimate, Floats, effective_groups
from regionmed.evaluation.statistics import estimate_of_columns, group_weights

Truth = NDArray[np.bool_]

CHUNK = 2_000_000  # numbers of a (D, N) table held at a time


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Macro means over the labels that have positives and negatives, and each label's own value."""

    auroc: Estimate
    auprc: Estimate
    auroc_L: Floats  # NaN where a label has no positive or no negative
    auprc_L: Floats


def label_areas(
    scores_NL: NDArray[np.floating], truth_NL: Truth, groups_N: Sequence[str], seed: str
) -> Areas:
    """AUROC and AUPRC of each label, averaged over labels, with their bootstrap over groups.

    A label without positives or without negatives is left out, in a draw too. ValueError where no
    label has both.
    """
    number_N = np.unique(np.asarray(groups_N), return_inverse=True)[1]
    weights_DG = group_weights(int(number_N.max()) + 1, seed)
    answers = len(number_N)
    step = max(1, CHUNK // answers)
    tables = [areas_of_draws(scores_NL, truth_NL, np.ones((1, answers)))]
    for start in range(0, len(weights_DG), step):
        weights_DN = weights_DG[start : start + step][:, number_N]
        tables.append(areas_of_draws(scores_NL, truth_NL, weights_DN))
    both = np.concatenate(tables, axis=1)  # (2, 1 + D, L)
    if np.isnan(both[0, 0]).all():
        raise ValueError("no label has both positives and negatives; ask for labels that have")
    known_L = ~np.isnan(both[0, 0])
    rarer_GL = np.array([_rarer_side(truth_N, number_N) for truth_N in truth_NL.T[known_L]]).T
    estimates = [
        estimate_of_columns(table[0, known_L], table[1:, known_L], rarer_GL, "share")
        for table in both
    ]
    return Areas(
        auroc=estimates[0],
        auprc=estimates[1],
        auroc_L=both[0, 0],
        auprc_L=both[1, 0],
    )


def _rarer_side(truth_N: Truth, number_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Answers a group (G,) of the side, positive or negative, that limits how sure an area is."""
    groups = int(number_N.max()) + 1
    sides = [np.bincount(number_N[rows], minlength=groups) for rows in (truth_N, ~truth_N)]
    return np.asarray(min(sides, key=effective_groups), float)


def areas_of_draws(
    scores_NL: NDArray[np.floating], truth_NL: Truth, weights_DN: Floats
) -> NDArray[np.float64]:
    """(2, D, L): AUROC and AUPRC of every label under every row of weights.

    NaN where the weights leave a label without positives or without negatives.
    """
    areas = np.full((2, len(weights_DN), scores_NL.shape[1]), np.nan)
    for label in range(scores_NL.shape[1]):
        order_N = np.argsort(-scores_NL[:, label], kind="stable")
        sorted_N = scores_NL[order_N, label]
        ends_K = np.flatnonzero(np.append(sorted_N[1:] != sorted_N[:-1], True))
        weights_sorted, true_N = weights_DN[:, order_N], truth_NL[order_N, label]
        hits_DK = np.cumsum(weights_sorted * true_N, axis=1)[:, ends_K]
        misses_DK = np.cumsum(weights_sorted * ~true_N, axis=1)[:, ends_K]
        known_D = (hits_DK[:, -1] > 0) & (misses_DK[:, -1] > 0)
        areas[:, known_D, label] = _areas(hits_DK[known_D], misses_DK[known_D])
    return areas


def placements(scores_NL: NDArray[np.floating], truth_NL: Truth) -> list[tuple[int, int, float]]:
    """(answer, label, share of the label's negatives that the answer stands above) of positives.

    Equal scores count one half. Their mean over a label's positives is its AUROC, so that two
    models can be paired positive by positive. Labels of one class only have none.
    """
    found = []
    for label in range(scores_NL.shape[1]):
        positive_N = truth_NL[:, label]
        negatives = np.sort(scores_NL[~positive_N, label])
        if not len(negatives):
            continue
        for row in np.flatnonzero(positive_N):
            score = scores_NL[row, label]
            below = np.searchsorted(negatives, score, "left")
            upto = np.searchsorted(negatives, score, "right")
            found.append((int(row), label, float(below + upto) / 2 / len(negatives)))
    return found


def _areas(hits_DK: Floats, misses_DK: Floats) -> Floats:
    """(2, D) from counts of positives and negatives at or above each distinct score."""
    zeros_D1 = np.zeros((len(hits_DK), 1))
    gained_DK = np.diff(hits_DK, axis=1, prepend=zeros_D1)
    lost_DK = np.diff(misses_DK, axis=1, prepend=zeros_D1)
    won_D = (lost_DK * (hits_DK - gained_DK / 2)).sum(axis=1)
    all_DK = np.maximum(hits_DK + misses_DK, 1e-300)  # 0 only where nothing was gained yet
    precise_D = (gained_DK * hits_DK / all_DK).sum(axis=1)
    return np.stack([won_D / (hits_DK[:, -1] * misses_DK[:, -1]), precise_D / hits_DK[:, -1]])
