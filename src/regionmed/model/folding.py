"""BatchNorm folded into the convolution before it, for a network that learns no more."""

from __future__ import annotations

import copy
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def folded(net: Any) -> Any:
    """A copy of a timm EfficientNet that computes the same with one pass less a convolution.

    Every BatchNorm with stored statistics is a scale and a shift of the channels before it; they
    enter the convolution's weights and bias, and only the activation stays. Equal to 1e-5.
    """
    copied = copy.deepcopy(net)
    before: nn.Conv2d | None = None
    for name, module in list(copied.named_modules()):
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
            setattr(copied.get_submodule(parent), leaf, module.act)
    return copied
