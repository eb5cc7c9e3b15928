"""The losses: pure functions, tensors in, number out; each gives a mean over what it judged.

A function returns None where the batch holds nothing to judge. Axes: N rows · M columns ·
R regions · L labels · T false twins · B pictures · Q texts a picture · H W cells.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def contrast(
    logits_NM: Float[Tensor, "N M"], positive_NM: Bool[Tensor, "N M"]
) -> Float[Tensor, ""] | None:
    """Multi-positive softmax: mean over rows of -mean over positives of log softmax(row).

    Supervised contrastive loss, outer form (Khosla et al. 2020, arXiv 2004.11362, eq. 2). Rows
    without a positive are not judged.
    """
    judged = positive_NM.any(1)
    if not judged.any():
        return None
    logits, positive = logits_NM[judged], positive_NM[judged].float()
    log_share = F.log_softmax(logits, dim=1)
    return -((log_share * positive).sum(1) / positive.sum(1)).mean()


def two_way_contrast(
    logits_NM: Float[Tensor, "N M"], positive_NM: Bool[Tensor, "N M"], columns: int
) -> Float[Tensor, ""] | None:
    """Rows against columns and the first `columns` columns against rows, averaged (CLIP's loss)."""
    forth = contrast(logits_NM, positive_NM)
    back = contrast(logits_NM[:, :columns].T, positive_NM[:, :columns].T)
    if forth is None or back is None:
        return None
    return (forth + back) / 2


def sigmoid_contrast(
    logits_NM: Float[Tensor, "N M"], positive_NM: Bool[Tensor, "N M"]
) -> Float[Tensor, ""] | None:
    """Every pair a yes or no by itself: mean over rows of -sum over columns log sigmoid(z * row).

    z is 1 for a positive and -1 for any other; any number of positives a row. Logits are
    scale * cosine + bias, 10 and -10 at the start. SigLIP's loss (Zhai et al. 2023, arXiv
    2303.15343, algorithm 1). Rows without a positive are not judged.
    """
    judged = positive_NM.any(1)
    if not judged.any():
        return None
    sign = 2 * positive_NM[judged].to(logits_NM.dtype) - 1
    return -F.logsigmoid(sign * logits_NM[judged]).sum(1).mean()


def label_loss(
    logits_RL: Float[Tensor, "R L"],
    label_R: Int[Tensor, R],
    weight_R: Float[Tensor, R],
    smoothing: float = 0.05,
) -> Float[Tensor, ""] | None:
    """Weighted cross-entropy of regions over the label vocabulary: sum(w * ce) / sum(w)."""
    if len(label_R) == 0:
        return None
    each_R = F.cross_entropy(logits_RL, label_R, reduction="none", label_smoothing=smoothing)
    return (each_R * weight_R).sum() / weight_R.sum()


def twin_loss(
    true_N: Float[Tensor, N], twins_NT: Float[Tensor, "N T"], present_NT: Bool[Tensor, "N T"]
) -> Float[Tensor, ""] | None:
    """A text against its own false twins: mean of -log softmax([true, twins])[true]."""
    judged = present_NT.any(1)
    if not judged.any():
        return None
    twins = twins_NT.masked_fill(~present_NT, float("-inf"))[judged]
    logits = torch.cat((true_N[judged][:, None], twins), 1)
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


def ground_losses(
    logits_BQHW: Float[Tensor, "B Q H W"],
    cover_BQHW: Float[Tensor, "B Q H W"],
    present_BQ: Bool[Tensor, "B Q"],
) -> Float[Tensor, " N"]:
    """Is the text's finding in this cell? Cross-entropy, inside and outside weighing the same.

    cover  share of each cell that the finding covers, 0..1; all zero for a text whose finding the
           picture does not have: then only the outside counts.
    Returns one number a present text, in row order.
    """
    logits, cover = logits_BQHW[present_BQ].flatten(1), cover_BQHW[present_BQ].flatten(1)
    each = F.binary_cross_entropy_with_logits(logits, cover, reduction="none")
    inside = cover
    outside = 1 - cover
    inside_mean = (each * inside).sum(1) / inside.sum(1).clamp(min=1e-6)
    outside_mean = (each * outside).sum(1) / outside.sum(1).clamp(min=1e-6)
    has = (cover.sum(1) > 0).float()
    return (has * inside_mean + outside_mean) / (1 + has)


def ground_loss(
    logits_BQHW: Float[Tensor, "B Q H W"],
    cover_BQHW: Float[Tensor, "B Q H W"],
    present_BQ: Bool[Tensor, "B Q"],
) -> Float[Tensor, ""] | None:
    """The mean of `ground_losses` over all present texts."""
    if not present_BQ.any():
        return None
    return ground_losses(logits_BQHW, cover_BQHW, present_BQ).mean()


def distil_loss(read_DE: Float[Tensor, "D E"], taught_DE: Float[Tensor, "D E"]) -> Tensor:
    """A region read in its picture against the same part seen as a picture: mean of 1 - cosine."""
    return 1 - (read_DE * taught_DE).sum(1).mean()
