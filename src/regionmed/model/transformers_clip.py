"""A CLIP or SigLIP of the transformers library as both towers, from a folder or the hub.

B images · C H W channels, rows, columns · N texts · T tokens · D tower width · E embedding
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regionmed.errors import CheckpointError
from regionmed.model.pretrained import REFUSALS, first_line, need_finite, need_tokenizer
from regionmed.model.tower import Groups, TowerReading, dense_depths, in_blocks


class TransformersTower(nn.Module):
    """A CLIPModel or SiglipModel (both its sides); dense levels are two depths of its patches.

    Its mode never changes: there is no dropout in training either.

    image_size  pixels a side; where it is not the model's own, transformers interpolates the
                position embeddings to it at each forward
    mean, std   of its own preprocessor, for pixels in 0..1
    """

    stem_is_frozen = False
    joint = True

    def __init__(
        self, clip: Any, mean: tuple[float, ...], std: tuple[float, ...], image_size: int
    ) -> None:
        super().__init__()
        self.clip = clip
        self.mean, self.std = mean, std
        vision = clip.config.vision_config
        self.image_size = image_size
        self._interpolate = image_size != int(vision.image_size)
        self._side = image_size // int(vision.patch_size)
        self._depths = dense_depths([self._side] * int(vision.num_hidden_layers))
        with torch.no_grad():
            probe = self.trunk(torch.zeros(1, 3, self.image_size, self.image_size))
        self.level_channels = tuple(level.shape[1] for level in probe.levels)
        self.pooled_dim = probe.pooled_BD.shape[1]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """The pictures themselves: this tower is read in one leg."""
        return images_BCHW

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """The patches at half depth and at the end, and the (projected) CLIP embedding."""
        read = self.clip.vision_model(
            pixel_values=early_BCHW,
            output_hidden_states=True,
            interpolate_pos_encoding=self._interpolate,
        )
        depths = read.hidden_states[1:]  # the first is what enters the first layer
        levels = tuple(self._map(depths[at]) for at in self._depths)
        # SigLIP's pooling ends in the common space, CLIP's is projected into it
        project = getattr(self.clip, "visual_projection", nn.Identity())
        return TowerReading(levels, project(read.pooler_output))

    def groups(self) -> Groups:
        """Its image side as trunk and its text side as text; its own temperature stays as it is."""
        names = [name for name, _ in self.named_parameters()]
        return {
            "trunk": in_blocks(n for n in names if n.startswith("clip.vis")),
            "text": in_blocks(n for n in names if n.startswith("clip.text_")),
        }

    def train(self, mode: bool = True) -> TransformersTower:
        """Stays in evaluation mode."""
        return super().train(False)

    def _map(self, tokens_BTD: Tensor) -> Tensor:
        patches_BTD = tokens_BTD[:, -(self._side**2) :]  # a class token, where there is one, leads
        return patches_BTD.transpose(1, 2).unflatten(2, (self._side, self._side))


class TransformersText(nn.Module):
    """The text side of the same model, by its own tokenizer; its weights stay in the tower."""

    def __init__(self, tower: TransformersTower, tokenizer: Any) -> None:
        super().__init__()
        self._tower = (tower,)  # in a tuple: not registered, so the weights are stored once
        self.tokenizer = tokenizer
        self.width = tower.pooled_dim
        self.longest = int(tower.clip.config.text_config.max_position_embeddings)

    def groups(self) -> Groups:
        """None of its own: they are the tower's."""
        return {}

    def forward(self, texts: list[str]) -> Tensor:
        """float32 (N, E), not yet of length 1; texts are cut at the model's number of positions."""
        clip = self._tower[0].clip
        # SigLIP reads its last position and was trained on padded texts without a mask
        siglip = not hasattr(clip, "text_projection")
        tokens = self.tokenizer(
            texts,
            padding="max_length" if siglip else True,
            truncation=True,
            max_length=self.longest,
            return_tensors="pt",
        ).to(clip.device)
        mask = None if siglip else tokens["attention_mask"]
        read = clip.text_model(input_ids=tokens["input_ids"], attention_mask=mask)
        return read.pooler_output if siglip else clip.text_projection(read.pooler_output)


def load_transformers(name: str, image_size: int = 0) -> tuple[TransformersTower, TransformersText]:
    """Both towers of a folder that transformers wrote, or of "ORG/NAME" on the hub.

    image_size  pixels a side of what the tower will see; 0: the model's own

    CheckpointError where something is missing, or where the model is neither CLIP nor SigLIP;
    code that comes with a model is never run.
    """
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # the library stays quiet
    local = Path(name).is_dir()
    for file in ("config.json", "preprocessor_config.json") if local else ():
        if not (Path(name) / file).is_file():
            raise CheckpointError(
                f"{name} has no {file}; give the folder of a transformers CLIP or SigLIP, with its "
                "weights, tokenizer and preprocessor"
            )
    if local:
        need_tokenizer(Path(name))
    try:
        clip, report = AutoModel.from_pretrained(
            name, local_files_only=local, output_loading_info=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        processor = AutoImageProcessor.from_pretrained(name, local_files_only=local)
    except REFUSALS as error:
        raise CheckpointError(
            f"transformers cannot load '{name}' ({first_line(error)}); give a folder with "
            "config.json, weights, tokenizer and preprocessor files of one model, or ORG/NAME of a "
            "hub that can be reached"
        ) from error
    if clip.config.model_type not in ("clip", "siglip"):
        raise CheckpointError(
            f"'{name}' is a {type(clip).__name__}; of transformers, CLIPModel and SiglipModel are "
            "read; score another model by the vectors it gives (embeddings:FOLDER)"
        )
    if missing := sorted(report["missing_keys"]):
        raise CheckpointError(
            f"the weights of '{name}' lack {len(missing)} tensors of its config.json, "
            f"'{missing[0]}' first; they would be random numbers"
        )
    need_finite(clip, name)
    own_size = int(clip.config.vision_config.image_size)
    mean, std = _normalisation(processor, own_size, name)
    tower = TransformersTower(clip.eval(), mean, std, image_size or own_size)
    return tower, TransformersText(tower, tokenizer)


def _normalisation(
    processor: Any, image_size: int, name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels in 0..1, checked to be all that is done to a square."""
    settings = processor.to_dict()
    cut = settings.get("crop_size") if settings.get("do_center_crop") else settings.get("size")
    sides = set(dict(cut or {}).values()) - {None}
    if sides != {image_size}:
        raise CheckpointError(
            f"'{name}': preprocessor_config.json makes pictures of {sorted(sides)} pixels, "
            f"config.json expects {image_size}; both must be of one model"
        )
    factor = settings.get("rescale_factor")
    scaled = settings.get("do_rescale", True) and isinstance(factor, int | float)
    if not scaled or abs(255 * factor - 1) > 1e-6:
        raise CheckpointError(
            f"'{name}': preprocessor_config.json does not bring pixels to 0..1 "
            f"(rescale_factor {factor}); 1/255 is needed"
        )
    if not settings.get("do_normalize", True):
        return (0.0,) * 3, (1.0,) * 3
    return tuple(settings["image_mean"]), tuple(settings["image_std"])
