"""The logit of a cross-encoder in float32, whatever the precision of the rest."""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


def exact_logit(network: Any) -> None:
    """Let the map to the logit compute in float32, whatever the rest of the network does.

    A bfloat16 has 8 significant bits: near 5, logits would be a thirtieth apart, and many of the
    candidates of a query tied. The map reads one vector for each pair, so that it costs nothing.
    """
    labels = network.config.num_labels
    encoder = set(network.base_model.modules())
    for module in network.modules():
        if type(module) is nn.Linear and module.out_features == labels and module not in encoder:
            module.forward = MethodType(_in_float32, module)  # type: ignore[method-assign]


def _in_float32(linear: nn.Linear, inputs: Tensor) -> Tensor:
    with torch.autocast(inputs.device.type, enabled=False):
        bias = None if linear.bias is None else linear.bias.float()
        return nn.functional.linear(inputs.float(), linear.weight.float(), bias)
