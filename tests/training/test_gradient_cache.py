"""The gradient of a whole batch from parts of it: exact, dropout included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regionmed.training.gradient_cache import Vectors, cached_backward

PAIRS = 12


class Towers(nn.Module):
    """A picture tower with dropout, a text tower and a temperature."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.pictures = nn.Sequential(
            nn.Linear(6, 32), nn.GELU(), nn.Dropout(dropout), nn.Linear(32, 8)
        )
        self.texts = nn.Linear(5, 8)
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    def see(self, inputs: Tensor) -> Vectors:
        return (F.normalize(self.pictures(inputs), dim=-1),)

    def read(self, inputs: Tensor) -> Vectors:
        return (F.normalize(self.texts(inputs), dim=-1),)

    def loss(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """The loss as another library writes it."""
        return open_clip.ClipLoss()(pictures, texts, self.log_scale.exp())


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(PAIRS, 6, generator=generator),
        torch.randn(PAIRS, 5, generator=generator),
    )


def towers(dropout: float = 0.0) -> Towers:
    torch.manual_seed(0)
    return Towers(dropout).double()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def in_parts(model: Towers, pictures: Tensor, texts: Tensor, size: int) -> Tensor | None:
    """Both towers read `size` rows at a time."""
    reads: list[Callable[[], Vectors]] = [partial(model.see, p) for p in pictures.split(size)]
    first_text = len(reads)
    reads += [partial(model.read, t) for t in texts.split(size)]

    def loss_of(parts: list[Vectors]) -> Tensor:
        seen = torch.cat([vectors for (vectors,) in parts[:first_text]])
        said = torch.cat([vectors for (vectors,) in parts[first_text:]])
        return model.loss(seen, said)

    return cached_backward(reads, loss_of)


@pytest.mark.parametrize("size", [1, 5, PAIRS])
def test_parts_give_the_gradient_of_the_whole_batch(
    batch: tuple[Tensor, Tensor], size: int
) -> None:
    pictures, texts = (part.double() for part in batch)
    whole, parted = towers(), towers()
    loss = whole.loss(*whole.see(pictures), *whole.read(texts))
    loss.backward()
    assert torch.isclose(in_parts(parted, pictures, texts, size), loss.detach(), rtol=1e-12)
    expected = gradients(whole)
    assert set(expected) == {name for name, _ in whole.named_parameters()}
    for name, gradient in gradients(parted).items():
        assert torch.allclose(gradient, expected[name], rtol=1e-10, atol=1e-14), name


def test_small_batches_of_their_own_give_another_gradient(batch: tuple[Tensor, Tensor]) -> None:
    pictures, texts = (part.double() for part in batch)
    summed, parted = towers(), towers()
    for few_pictures, few_texts in zip(pictures.split(4), texts.split(4), strict=True):
        (summed.loss(*summed.see(few_pictures), *summed.read(few_texts)) / 3).backward()
    in_parts(parted, pictures, texts, 4)
    apart = gradients(summed)["texts.weight"] - gradients(parted)["texts.weight"]
    assert apart.norm() > 0.1 * gradients(parted)["texts.weight"].norm()


def test_dropout_hides_the_same_cells_in_both_readings(batch: tuple[Tensor, Tensor]) -> None:
    pictures, texts = (part.double() for part in batch)
    kept, cached = towers(0.5), towers(0.5)
    torch.manual_seed(3)
    seen = torch.cat([kept.see(few)[0] for few in pictures.split(5)])  # all graphs kept at once
    kept.loss(seen, *kept.read(texts)).backward()
    torch.manual_seed(3)
    in_parts(cached, pictures, texts, 5)
    for name, gradient in gradients(cached).items():
        assert torch.allclose(gradient, gradients(kept)[name], rtol=1e-10, atol=1e-14), name


def test_chance_goes_on_as_after_one_reading(batch: tuple[Tensor, Tensor]) -> None:
    pictures, texts = (part.double() for part in batch)
    model = towers(0.5)
    torch.manual_seed(3)
    for few in pictures.split(5):
        model.see(few)
    expected = torch.rand(3)
    torch.manual_seed(3)
    in_parts(model, pictures, texts, 5)
    assert torch.equal(torch.rand(3), expected)


def test_gradients_are_added_to_those_already_there(batch: tuple[Tensor, Tensor]) -> None:
    pictures, texts = (part.double() for part in batch)
    model = towers()
    in_parts(model, pictures, texts, 4)
    once = {name: gradient.clone() for name, gradient in gradients(model).items()}
    in_parts(model, pictures, texts, 4)
    for name, gradient in gradients(model).items():
        assert torch.allclose(gradient, 2 * once[name], rtol=1e-10, atol=1e-14), name


def test_at_most_one_part_is_read_with_gradients_at_a_time(batch: tuple[Tensor, Tensor]) -> None:
    pictures, _ = batch
    model = towers().float()
    alive: list[int] = []
    held = 0

    def read(rows: Tensor) -> Vectors:
        nonlocal held
        (vectors,) = model.see(rows)
        if vectors.requires_grad:
            held += 1
            alive.append(held)

            def gone(_: Tensor) -> None:
                nonlocal held
                held -= 1

            vectors.register_hook(gone)
        return (vectors,)

    reads = [partial(read, rows) for rows in pictures.split(3)]
    cached_backward(reads, lambda parts: torch.cat([p[0] for p in parts]).var())
    assert alive == [1, 1, 1, 1]


def test_what_learns_nothing_is_left_alone(batch: tuple[Tensor, Tensor]) -> None:
    pictures, texts = batch
    model = towers().float()
    model.texts.requires_grad_(False)
    rows = torch.arange(PAIRS)

    def see() -> Vectors:
        return (*model.see(pictures), rows)  # whole numbers go with the vectors

    def loss_of(parts: list[Vectors]) -> Tensor:
        (seen, numbers), (said,) = parts
        return model.loss(seen[numbers], said)

    cached_backward([see, partial(model.read, texts)], loss_of)
    assert model.texts.weight.grad is None
    assert model.pictures[0].weight.grad is not None


def test_a_batch_with_nothing_to_judge_adds_nothing(batch: tuple[Tensor, Tensor]) -> None:
    model = towers().float()
    assert cached_backward([partial(model.see, batch[0])], lambda parts: None) is None
    assert gradients(model) == {}
