"""What RegionClip needs of an image tower, what a tower gives, and which of its parameters move.

B images · C H W channels, rows, columns · D tower width

An image tower is read in two legs: `stem` (pixels to early maps; the part that may be frozen and
cached) and `trunk` (early maps to the dense levels and the picture's own feature).

A stage names what it trains: "stem", "trunk" or "text", or "trunk:2" for the last two blocks of the
trunk. Towers answer with `groups`: their parameters by part and, within a part, block by block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from regionmed.errors import RecipeError

Groups = Mapping[str, Sequence[Sequence[str]]]
PARTS = ("stem", "trunk", "text")
ADAPTER = "lora_"  # in the name of every parameter that peft adds

# how the libraries number their blocks: timm blocks.3, stages.3, layer3; open_clip resblocks.3;
# transformers layer.3, layers.3
_BLOCK = re.compile(r"(?:^|\.)(?:resblocks\.|blocks\.|stages\.|layers?\.?)(\d+)\.")
# bare projections: registered before the blocks, used behind them
_LAST = re.compile(r"(?:^|\.)(?:text_projection|visual_projection|visual\.proj)(?:$|\.)")


@dataclass(frozen=True)
class TowerReading:
    """One picture batch through an image tower.

    levels     dense maps, fine to coarse, each float32 (B, C, h, w)
    pooled_BD  the picture's own feature, float32
    """

    levels: tuple[Tensor, ...]
    pooled_BD: Tensor


class ImageTower(Protocol):
    """What RegionClip needs of an image tower."""

    level_channels: tuple[int, ...]
    pooled_dim: int
    stem_is_frozen: bool  # whether early maps may be cached in training
    joint: bool  # whether pooled_BD already lies in one space with its own text tower
    image_size: int  # pixels a side
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """Early maps of normalised pictures."""
        ...

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """Dense levels and the pooled feature from early maps."""
        ...

    def groups(self) -> Groups:
        """Names of its parameters by part, of PARTS, and block, from the input to the vector."""
        ...


def dense_depths(sides: Sequence[int]) -> list[int]:
    """Which depths of a network are its dense levels, by the sides of the maps at each depth.

    Where all maps have one size (a ViT): half-way and at the end. Else the deepest map of each
    size, the last three sizes of them: strides 8, 16 and 32 of the usual CNN.
    """
    deepest = {side: depth for depth, side in enumerate(sides)}
    if len(deepest) == 1:
        return sorted({max(0, len(sides) // 2 - 1), len(sides) - 1})
    return sorted(deepest.values())[-3:]


def in_blocks(names: Iterable[str]) -> list[list[str]]:
    """Parameter names, in the order of the network, cut into its blocks.

    What comes before the first block (embeddings) is a block of its own; what comes behind a block
    without a number (norms, poolings, projections) belongs to that block.
    """
    blocks: list[list[str]] = [[]]
    last: list[str] = []
    number = None
    for name in names:
        if _LAST.search(name):
            last.append(name)
            continue
        found = _BLOCK.search(name)
        if found and found[1] != number:
            number = found[1]
            blocks.append([])
        blocks[-1].append(name)
    blocks[-1] += last
    return [block for block in blocks if block]


def part_of(model: nn.Module, part: str) -> dict[str, nn.Parameter]:
    """The parameters of a RegionClip that a stage means by `part`, by their names in the model.

    part  "stem", "trunk" or "text", or one of them with a number: "text:2" is the last two blocks
          of the text tower, with all that comes behind them

    Where a tower has adapters (model/lora.py) they stand for the part: its own weights stay as they
    came. RecipeError for a part that no tower has, and for more blocks than there are.
    """
    name, _, count = part.partition(":")
    if name not in PARTS or (count and not (count.isdigit() and int(count))):
        raise RecipeError(
            f"no part '{part}' of the towers; give {', '.join(PARTS)}, or one of them with a "
            "number of last blocks, as in 'text:2'"
        )
    towers: dict[str, Any] = {t: model.get_submodule(t) for t in ("image_tower", "text_tower")}
    blocks = [
        [f"{tower}.{own}" for own in block]
        for tower, module in towers.items()
        for block in module.groups().get(name, ())
    ]
    if count and int(count) > len(blocks):
        raise RecipeError(f"part '{part}': the {name} has {len(blocks)} blocks, fewer than asked")
    names = [own for block in blocks[-int(count or 0) :] for own in block]
    return {own: model.get_parameter(own) for own in adapters_first(names)}


def adapters_first(names: Sequence[str]) -> list[str]:
    """The adapters among parameter names, or all of the names where there is none."""
    return [name for name in names if ADAPTER in name] or list(names)
