"""BatchNorm with stored statistics, folded into the convolution before it and unfolded again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def folded(net: Any) -> Any:
    """A timm EfficientNet, changed so that it computes the same with one pass less a convolution.

    Every BatchNorm with stored statistics is a scale and a shift of the channels before it; they
    enter the convolution's weights and bias, and only the activation stays. Equal to 1e-5.
    """
    before: nn.Conv2d | None = None
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d):
            before = module
        elif isinstance(module, BatchNormAct2d):
            assert before is not None
            assert module.running_mean is not None
            assert module.running_var is not None
            weight, bias = fuse_conv_bn_weights(
                before.weight,
                before.bias,
                module.running_mean,
                module.running_var,
                module.eps,
                module.weight,
                module.bias,
            )
            # the kernels are fast in this layout alone
            before.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
            before.bias = bias
            parent, _, leaf = name.rpartition(".")
            setattr(net.get_submodule(parent), leaf, module.act)
    return net


def unfolded(tensors: Mapping[str, Tensor], plain: Any) -> dict[str, Tensor]:
    """The state dict of `plain`, a timm EfficientNet with BatchNorm, that computes the same.

    tensors  of a folded network of its kind. A convolution's bias becomes its BatchNorm's shift;
             mean 0, variance 1 - eps and weight 1 leave the rest alone.
    """
    found = {key: value.clone() for key, value in plain.state_dict().items()}
    before = ""
    for name, module in plain.named_modules():
        if isinstance(module, nn.Conv2d):
            before = name
            found[f"{name}.weight"] = tensors[f"{name}.weight"]
        elif isinstance(module, BatchNormAct2d):
            found[f"{name}.weight"] = torch.ones_like(found[f"{name}.weight"])
            found[f"{name}.bias"] = tensors[f"{before}.bias"]
            found[f"{name}.running_mean"] = torch.zeros_like(found[f"{name}.running_mean"])
            found[f"{name}.running_var"] = torch.full_like(
                found[f"{name}.running_var"], 1 - module.eps
            )
    return found
