"""What a RegionClip is made of; stored beside its weights as config.json."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from regionmed.errors import RecipeError

Regions = Literal["none", "crop", "alpha", "pooled", "zoom"]
# how a region is read. none, crop: its crop is encoded as a picture (crop: and was trained so);
# alpha: a forward of its own, with the region as one more channel; pooled: from the picture's
# dense maps; zoom: so, and small ones once more from the frame's finer pixels


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The parts of a RegionClip and their sizes."""

    image_tower: str = "lite0"  # or timm:, open_clip: or transformers: with a NAME or FOLDER
    text_tower: str = "minilm"  # or, for the last two, the same name as the image tower
    image_size: int = 0  # pixels a side of what the tower sees of a picture; 0: its own size
    detail: int = 1  # pixels of the model frame for each of these, a side
    embedding_dim: int = 256  # of pictures, regions and texts; other towers bring their own
    regions: Regions = "pooled"
    roi_width: int = 256  # of region queries
    pyramid_width: int = 128  # channels of each pyramid level
    coordinates: bool = True  # whether a region's place and size enter its query
    context: bool = True  # whether it attends to the rest of the picture
    gate: bool = True  # whether each region weighs detail against context
    sigmoid: bool = False  # whether it has the scale and bias of the loss `global-sigmoid`
    lora: int = 0  # rank of the adapters that learn in place of the towers' weights; 0: none

    def __post_init__(self) -> None:
        if self.regions not in get_args(Regions):
            raise RecipeError(
                f"regions must be one of {', '.join(get_args(Regions))}, got {self.regions!r}"
            )
        for name in ("detail", "embedding_dim", "roi_width", "pyramid_width"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise RecipeError(f"{name} must be a whole number above 0, got {value!r}")
        for name in ("image_size", "lora"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise RecipeError(f"{name} must be a whole number, 0 or above, got {value!r}")
        if self.image_tower == "lite0" and self.image_size % 32:
            raise RecipeError(
                f"image_size of lite0 must be a multiple of 32, got {self.image_size}"
            )
        if self.regions == "zoom" and self.image_tower != "lite0":
            raise RecipeError(
                f"regions='zoom' reads again by a frozen stem, which '{self.image_tower}' has not; "
                "give regions='pooled'"
            )
        towers = {self.image_tower, self.text_tower}
        if (
            any(name.startswith(("open_clip:", "transformers:")) for name in towers)
            and len(towers) > 1
        ):
            raise RecipeError(
                f"an open_clip or transformers model gives both towers or none, got image tower "
                f"'{self.image_tower}' and text tower '{self.text_tower}'"
            )

    @property
    def roi(self) -> bool:
        """Whether the model has an ROI processor."""
        return self.regions in ("pooled", "zoom")

    @classmethod
    def from_json(cls, values: Any) -> ModelConfig:
        """The config of a stored JSON object; anything else and unknown keys are refused."""
        if not isinstance(values, dict):
            raise RecipeError(f"a model config is a JSON object, got {type(values).__name__}")
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise RecipeError(f"a model config has no field {', '.join(sorted(unknown))}")
        return cls(**values)


TINY = ModelConfig(regions="zoom", detail=2)
