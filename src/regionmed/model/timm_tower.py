"""Any image tower of timm: a CNN or a ViT, by name, from a folder, or from a file of weights.

    NAME          as timm lists it ("resnet50.a1_in1k"), or hf-hub:ORG/REPO; weights from the hub
    NAME=FILE     that architecture with the weights of a local .safetensors, .pth or .bin
    FOLDER        config.json and model.safetensors (or pytorch_model.bin), as timm writes them

Size, mean and deviation of pixels are those of timm's own config.
B images · C H W channels, rows, columns · D tower width
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from regionmed.errors import CheckpointError
from regionmed.model.pretrained import REFUSALS, first_line, need_finite, read_tensors
from regionmed.model.tower import Groups, TowerReading, dense_depths, in_blocks

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class TimmTower(nn.Module):
    """A timm network without its classifier; dense levels are two or three of its depths.

    Its mode never changes: no dropout, and BatchNorm keeps its stored statistics in training too.
    """

    stem_is_frozen = False
    joint = False

    def __init__(self, net: Any, image_size: int) -> None:
        super().__init__()
        self.net = net.eval()
        self.image_size = image_size
        self.mean: tuple[float, ...] = tuple(net.pretrained_cfg["mean"])
        self.std: tuple[float, ...] = tuple(net.pretrained_cfg["std"])
        black_BCHW = torch.zeros(1, 3, image_size, image_size)
        with torch.no_grad():
            _, every = self._read(black_BCHW, None)
            self._depths = dense_depths([level.shape[-1] for level in every])
            probe = self.trunk(black_BCHW)
        self.level_channels = tuple(level.shape[1] for level in probe.levels)
        self.pooled_dim = probe.pooled_BD.shape[1]

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """The pictures themselves: this tower is read in one leg."""
        return images_BCHW

    def trunk(self, early_BCHW: Tensor) -> TowerReading:
        """Some depths, fine to coarse, and what timm would give to its classifier."""
        last, levels = self._read(early_BCHW, self._depths)
        return TowerReading(tuple(levels), self.net.forward_head(last, pre_logits=True))

    def _read(self, images_BCHW: Tensor, depths: list[int] | None) -> tuple[Tensor, list[Tensor]]:
        return self.net.forward_intermediates(images_BCHW, indices=depths, output_fmt="NCHW")

    def groups(self) -> Groups:
        """All its parameters as trunk, block by block (of a CNN: stage by stage)."""
        return {"trunk": in_blocks(name for name, _ in self.named_parameters())}

    def train(self, mode: bool = True) -> TimmTower:
        """Stays in evaluation mode."""
        return super().train(False)


def load_timm(name: str, image_size: int = 0) -> TimmTower:
    """The image tower `name` (see the head of the file) with its weights.

    image_size  pixels a side of what it will see; 0: its own. A ViT's position embeddings are
                resampled by timm where that is another size than its own.

    CheckpointError where timm does not know the name, weights cannot be had or do not fit, or the
    network cannot be read at this size or has no dense maps.
    """
    try:
        net: Any = _local(name) or timm.create_model(name, pretrained=True, num_classes=0)
    except REFUSALS as error:
        raise CheckpointError(
            f"timm cannot load '{name}' ({first_line(error)}); give a name of "
            "timm.list_pretrained() whose weights lie in the local cache or on a hub that can be "
            "reached (is HF_HUB_OFFLINE set?), NAME=FILE, or a folder that timm wrote"
        ) from error
    need_finite(net, name)
    own_size = int(net.pretrained_cfg["input_size"][-1])
    size = image_size or own_size
    try:
        if size != own_size and hasattr(net, "set_input_size"):
            net.set_input_size(img_size=size)
        return TimmTower(net, size)
    except REFUSALS as error:
        raise CheckpointError(
            f"timm's '{name}' cannot be read at {size} pixels with dense maps "
            f"({first_line(error)}); give image_size {own_size}, or another network"
        ) from error


def _local(name: str) -> Any:
    """The network of a folder, or of NAME=FILE; None for a name."""
    architecture, _, file = name.partition("=")
    if file:
        net = timm.create_model(architecture, pretrained=False, num_classes=0)
        return _filled(net, Path(file))
    if not Path(name).is_dir():
        return None
    weights = [Path(name) / own for own in _WEIGHTS if (Path(name) / own).is_file()]
    for own in ("config.json",) if weights else (_WEIGHTS[0],):
        if not (Path(name) / own).is_file():
            raise CheckpointError(
                f"{name} has no {own}; give a folder with config.json and model.safetensors, as "
                "timm.models.hub.save_for_hf writes it"
            )
    net = timm.create_model(f"local-dir:{name}", pretrained=False, num_classes=0)
    return _filled(net, weights[0])


def _filled(net: Any, file: Path) -> Any:
    """The network with the weights of a file, the classifier's aside; nothing stays random."""
    tensors, own = read_tensors(file), net.state_dict()
    classifier = net.pretrained_cfg.get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    left = {key for key in tensors if key.rpartition(".")[0] in heads}
    wrong = sorted(set(own) ^ (set(tensors) - left)) or sorted(
        key for key, tensor in own.items() if tensors[key].shape != tensor.shape
    )
    if wrong:
        raise CheckpointError(
            f"the weights {file} are not those of timm's {net.pretrained_cfg['architecture']}: "
            f"'{wrong[0]}' is missing, left over or of another shape; give the file of this "
            "architecture in timm's own names"
        )
    net.load_state_dict({key: tensors[key] for key in own})
    return net
