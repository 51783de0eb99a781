"""The table of positions of an encoder, and where it puts a first token."""

from typing import Any

from torch import nn


def table_of(network: Any) -> nn.Embedding | None:
    """Return a network's table of positions, or None if it has another way to place tokens."""
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return module
    return None


def first_position(network: Any) -> int:
    """Return the position of a first token: 0, but RoBERTa keeps the first rows for padding."""
    padding = getattr(table_of(network), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1
