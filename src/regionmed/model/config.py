"""What a RegionClip is made of; stored beside its weights as config.json."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from regionmed.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The parts of a RegionClip and their sizes."""

    image_tower: str = "lite0"  # or open_clip: or transformers: with a NAME or FOLDER
    text_tower: str = "minilm"  # or the same name as the image tower
    image_size: int = 224  # pixels a side of the model frame
    embedding_dim: int = 256  # of pictures, regions and texts; other towers bring their own
    roi: bool = True  # False: a plain CLIP
    roi_width: int = 256  # of region queries
    pyramid_width: int = 128  # channels of each pyramid level
    coordinates: bool = True  # whether a region's place and size enter its query

    def __post_init__(self) -> None:
        for name in ("image_size", "embedding_dim", "roi_width", "pyramid_width"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise RecipeError(f"{name} must be a whole number above 0, got {value!r}")
        if self.image_size % 32:
            raise RecipeError(f"image_size must be a multiple of 32, got {self.image_size}")
        towers = {self.image_tower, self.text_tower}
        if (
            any(name.startswith(("open_clip:", "transformers:")) for name in towers)
            and len(towers) > 1
        ):
            raise RecipeError(
                f"an open_clip or transformers model gives both towers or none, got image tower "
                f"'{self.image_tower}' and text tower '{self.text_tower}'"
            )

    @classmethod
    def from_json(cls, values: Any) -> ModelConfig:
        """The config of a stored JSON object; anything else and unknown keys are refused."""
        if not isinstance(values, dict):
            raise RecipeError(f"a model config is a JSON object, got {type(values).__name__}")
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise RecipeError(f"a model config has no field {', '.join(sorted(unknown))}")
        return cls(**values)


TINY = ModelConfig()
