"""Which parameters a stage means by the name of a part.

stem, trunk, text: of the towers, as they say themselves (model/tower.py; "trunk:2" is the last two
blocks); heads: projections and temperature; roi: all that reads regions.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from regionmed.model.region_clip import RegionClip
from regionmed.model.tower import PARTS as TOWER_PARTS
from regionmed.model.tower import part_of

TOWERS = ("image_tower.", "text_tower.")  # what the names of their parameters begin with
_ROI = ("pyramid", "roi_processor", "dense", "alpha", "region_log_scale")


def part_named(model: RegionClip, part: str) -> dict[str, nn.Parameter]:
    """The parameters of one part by their names in the model, in the model's order."""
    if part.partition(":")[0] in TOWER_PARTS:
        return part_of(model, part)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(TOWERS) and (name.partition(".")[0] in _ROI) == (part == "roi")
    }


def parts_named(model: RegionClip, parts: Iterable[str]) -> dict[str, nn.Parameter]:
    """The parameters of several parts, each once, part by part in alphabetical order."""
    return {name: p for part in sorted(set(parts)) for name, p in part_named(model, part).items()}
