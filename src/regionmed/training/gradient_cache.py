"""Exact gradients of a batch whose activations do not fit into memory at once.

A contrastive loss compares every picture with every text, so its batch cannot be cut into smaller
ones. But the loss sees the vectors alone (Gao et al. 2021, arXiv 2101.06983): all parts of the
batch are read without gradients, the loss is taken once, and its gradient with respect to the
vectors is handed to each part as that part is read again. Only one part's activations are kept at
a time. The price is a second forward; the gradient is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Vectors = tuple[Tensor, ...]  # what one part of the batch gives to the loss: all that it needs


def cached_backward(
    reads: Sequence[Callable[[], Vectors]], loss_of: Callable[[list[Vectors]], Tensor | None]
) -> Tensor | None:
    """Add the gradient of the loss over all parts to `.grad` of what learns; returns the loss.

    reads    one a part of the batch (some pictures, some texts), called twice: it must read the
             same both times. Chance (dropout) is replayed. A layer whose result depends on the
             rest of the batch, such as BatchNorm in training mode, sees its part alone
    loss_of  from what each part gave, in the order of `reads`, to one number, or None where the
             batch holds nothing to judge: then nothing is added. What it uses beside the vectors
             (temperatures, projections of texts) gets its gradient here too
    """
    chances, parts = [], []
    with torch.no_grad():
        for read in reads:
            chances.append(_chance())
            parts.append(tuple(_leaf(tensor) for tensor in read()))
    loss = loss_of(parts)
    if loss is None:
        return None
    loss.backward()
    after = _chance()
    for read, chance, part in zip(reads, chances, parts, strict=True):
        _replay(chance)
        moved = [
            (again, first.grad)
            for again, first in zip(read(), part, strict=True)
            if again.requires_grad and first.grad is not None
        ]
        if moved:
            torch.autograd.backward([again for again, _ in moved], [grad for _, grad in moved])
    _replay(after)
    return loss.detach()


def _leaf(tensor: Tensor) -> Tensor:
    """The same numbers, collecting their gradient; whole numbers and masks have none."""
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _chance() -> list[Tensor]:
    """The state of every generator that a forward draws from."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *devices]


def _replay(chance: list[Tensor]) -> None:
    torch.set_rng_state(chance[0])
    if chance[1:]:
        torch.cuda.set_rng_state_all(chance[1:])
