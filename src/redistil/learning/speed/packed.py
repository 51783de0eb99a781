"""Pairs in one row, so that an encoder that learns works on tokens and on no padding.

The pairs of a training step differ in length, and a padded batch is as long as its longest. Here
embeddings, linear maps, norms and feed-forward networks see the T real tokens of N pairs as one
row [1, T]. Attention is the small part of the work at these lengths. It lays what it reads out in a
grid [N, L]. What goes into the encoder and comes out of it is padded as ever, so that no head
knows. Exact, forwards and backwards, with any kernel, dropout, window and precision.

Scoring has no use for it: its pairs are sorted over so many that hardly any token is padding.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import (
    create_bidirectional_mask,
    create_bidirectional_sliding_window_mask,
    sdpa_mask,
)

from redistil.learning.positions import first_position

NAME = "sdpa-packed"
# their layers hand what they do not know on to the attention, and their masks may come ready-made
ENCODERS = {"BertModel", "DistilBertModel", "ElectraModel", "RobertaModel", "ModernBertModel"}


@dataclass(frozen=True)
class Packing:
    """Where T tokens of N pairs lie in a row and in a grid [N, L], padded on the right.

    mask: [N, L], true where the grid has a token; cells: [T], places of the tokens in the flat
    grid; starts: [N], places in the row of the pairs' first tokens.
    """

    mask: Tensor
    cells: Tensor
    starts: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> "Packing":
        """Return the packing of a padded batch, of its attention mask [N, L]."""
        mask = mask.bool()
        lengths = mask.sum(1)
        return cls(mask, mask.flatten().nonzero().squeeze(1), lengths.cumsum(0) - lengths)

    def row(self, grid: Tensor) -> Tensor:
        """Return the tokens of a grid [N, L, ...] as a row [1, T, ...]."""
        return grid.flatten(0, 1)[self.cells][None]

    def grid(self, row: Tensor) -> Tensor:
        """Return a row [1, T, ...] as a grid [N, L, ...], zero where there is no token."""
        empty = row.new_zeros(self.mask.numel(), *row.shape[2:])
        return empty.index_copy(0, self.cells, row[0]).view(*self.mask.shape, *row.shape[2:])


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packing: Packing | None = None,
    **how: Any,
) -> tuple[Tensor, None]:
    """Return what transformers' sdpa attention does, of states [N, H, L, d] or packed [1, H, T, d].

    attention_mask: of the grid, either way. Returns [N, L, H, d], or [1, T, H, d].
    """
    query, key = heads_padded(query, packing), heads_padded(key, packing)
    value = heads_padded(value, packing)
    attended, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **how)
    return attended if packing is None else packing.row(attended), None


def heads_padded(states: Tensor, packing: Packing | None) -> Tensor:
    """Return packed states [1, H, T, d] as [N, H, L, d]; others as they are."""
    if packing is None:
        return states
    return packing.grid(states.transpose(1, 2)).transpose(1, 2)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def while_training(network: Any) -> None:
    """Let the encoder of a cross-encoder pack its batches while it trains, if it is a known one."""
    if known(network):
        network.config._attn_implementation = NAME
        network.base_model.register_forward_pre_hook(_pack, with_kwargs=True)
        network.base_model.register_forward_hook(_unpack, with_kwargs=True)


def known(network: Any) -> bool:
    """Whether the encoder of a cross-encoder is one whose attention may be another function."""
    encoder, config = network.base_model, network.config
    plain = type(encoder).__name__ in ENCODERS and not getattr(config, "is_decoder", False)
    return plain and config._attn_implementation in {"sdpa", NAME}


def _pack(encoder: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
    """Turn the padded inputs of an encoder into packed ones."""
    if not encoder.training:
        return None
    ids = args[0] if args else inputs["input_ids"]
    packing = Packing.of(inputs["attention_mask"])
    places = packing.cells % packing.mask.shape[1] + first_position(encoder)
    packed = {
        "input_ids": packing.row(ids),
        "position_ids": places[None],
        "attention_mask": _masks(encoder, packing.mask),
        "packing": packing,
    }
    if inputs.get("token_type_ids") is not None:
        packed["token_type_ids"] = packing.row(inputs["token_type_ids"])
    return (), inputs | packed


def _masks(encoder: Any, mask: Tensor) -> Any:
    """Return the attention masks that the encoder makes of a padding mask [N, L]."""
    settings = {
        "config": encoder.config,
        "inputs_embeds": torch.empty(*mask.shape, 0, device=mask.device),
        "attention_mask": mask,
    }
    full = create_bidirectional_mask(**settings)
    if type(encoder).__name__ != "ModernBertModel":
        return full
    window = create_bidirectional_sliding_window_mask(**settings)
    return {"full_attention": full, "sliding_attention": window}


def _unpack(encoder: Any, args: tuple[Any, ...], inputs: dict[str, Any], output: Any) -> Any:
    """Lay the last states out as a padded batch again, unless they are of first tokens only."""
    packing, states = inputs.get("packing"), output.last_hidden_state
    if packing is not None and states.shape[1] > 1:
        output.last_hidden_state = packing.grid(states)
    return output
