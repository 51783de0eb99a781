"""Shortcuts that make an encoder faster and leave its scores as they are, beyond rounding.

Each looks for the modules it knows and leaves any other as it is: a family that is not known here
is slower, never wrong. `benchmarks/` measures what they bring.
"""

import copy
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from redistil.learning.speed import packed, products

# heads that read position 0 of what the last layer leaves, and nothing else; ModernBERT's has a
# choice. The layers that are known stand below their functions
KNOWN = ("Bert", "DistilBert", "Electra", "Roberta")
HEADS = {f"{family}ForSequenceClassification" for family in KNOWN}
MODERN = "ModernBertForSequenceClassification"


def taken(network: Any) -> Any:
    """Return a cross-encoder that computes what its logit needs and nothing more."""
    packed.while_training(network)
    only_first_token(network)
    return network


def only_first_token(network: Any) -> None:
    """Let the last layer compute the one position that the head reads.

    Keys and values are still of all tokens; attention, its projection and the feed-forward network
    are of the first (and BERT's queries, which have a map of their own): of 12 width^2
    multiplications a token 2 remain. Exact, forwards and backwards.
    """
    head, config = type(network).__name__, network.config
    if head in HEADS or (head == MODERN and config.classifier_pooling == "cls"):
        first_token_alone(network.base_model)


def first_token_alone(encoder: Any) -> None:
    """Let the last layer of an encoder compute the first position, as `only_first_token` says."""
    config = encoder.config
    # other kinds of attention take masks of other shapes
    if config._attn_implementation not in {"sdpa", packed.NAME}:
        return
    if getattr(config, "is_decoder", False):
        return
    last = _layers(encoder)[-1:]
    if last and type(last[0]).__name__ in LAYERS:
        last[0].forward = MethodType(LAYERS[type(last[0]).__name__], last[0])


def _layers(encoder: Any) -> Any:
    """Return the layers of an encoder, wherever its family keeps them."""
    for place in ("encoder", "transformer"):
        inner: Any = getattr(encoder, place, None)
        if hasattr(inner, "layer"):
            return inner.layer
    return getattr(encoder, "layers", [])


def _first_token(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *_: Any,
    packing: packed.Packing | None = None,
    **__: Any,
) -> Tensor:
    """Return what `BertLayer.forward` has at position 0, [N, 1, width]."""
    inner = layer.attention.self
    first = _first(hidden_states, packing)
    query = _heads(inner, inner.query(first))
    key = packed.heads_padded(_heads(inner, inner.key(hidden_states)), packing)
    value = packed.heads_padded(_heads(inner, inner.value(hidden_states)), packing)
    dropout = inner.dropout.p if inner.training else 0.0
    attended = _attended(query, key, value, attention_mask, dropout)
    attended = layer.attention.output(attended, first)
    output: Tensor = layer.feed_forward_chunk(attended)
    return output


def _heads(attention: Any, states: Tensor) -> Tensor:
    return _by_heads(states, attention.num_attention_heads)


def _by_heads(states: Tensor, heads: int) -> Tensor:
    """Return states [N, L, width] by heads, [N, H, L, d]."""
    return states.view(*states.shape[:-1], heads, -1).transpose(1, 2)


def _first_token_of_modernbert(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    position_embeddings: Any = None,
    packing: packed.Packing | None = None,
    **_: Any,
) -> Tensor:
    """Return what `ModernBertEncoderLayer.forward` has at position 0, [N, 1, width]."""
    inner = layer.attn
    states = inner.Wqkv(layer.attn_norm(hidden_states)).unflatten(-1, (3, -1, inner.head_dim))
    query, key, value = states.unbind(-3)
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    query, key = apply_rotary_pos_emb(query, key, *position_embeddings, unsqueeze_dim=1)
    query = _first(query.transpose(1, 2), packing).transpose(1, 2)
    key, value = packed.heads_padded(key, packing), packed.heads_padded(value, packing)
    dropout = inner.attention_dropout if inner.training else 0.0
    attended = _attended(query, key, value, attention_mask, dropout)
    summed = _first(hidden_states, packing) + inner.out_drop(inner.Wo(attended))
    return summed + layer.mlp(layer.mlp_norm(summed))  # type: ignore[no-any-return]


def _first_token_of_distilbert(
    layer: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    *_: Any,
    packing: packed.Packing | None = None,
    **__: Any,
) -> Tensor:
    """Return what DistilBERT's `TransformerBlock.forward` has at position 0, [N, 1, width]."""
    inner = layer.attention
    first = _first(hidden_states, packing)
    query = _by_heads(inner.q_lin(first), inner.n_heads)
    key = packed.heads_padded(_by_heads(inner.k_lin(hidden_states), inner.n_heads), packing)
    value = packed.heads_padded(_by_heads(inner.v_lin(hidden_states), inner.n_heads), packing)
    dropout = inner.dropout.p if inner.training else 0.0
    attended = inner.out_lin(_attended(query, key, value, attention_mask, dropout))
    attended = layer.sa_layer_norm(attended + first)
    output: Tensor = layer.output_layer_norm(layer.ffn(attended) + attended)
    return output


LAYERS: dict[str, Callable[..., Tensor]] = {
    "BertLayer": _first_token,
    "ElectraLayer": _first_token,
    "RobertaLayer": _first_token,
    "TransformerBlock": _first_token_of_distilbert,
    "ModernBertEncoderLayer": _first_token_of_modernbert,
}


def _first(states: Tensor, packing: packed.Packing | None) -> Tensor:
    """Return the first token's of states [N, L, ...], or packed [1, T, ...]: [N, 1, ...]."""
    return states[:, :1] if packing is None else states[0, packing.starts][:, None]


def _attended(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """Return what first tokens [N, H, 1, d] take from all [N, H, L, d], heads joined."""
    attended = nn.functional.scaled_dot_product_attention(
        query, key, value, None if mask is None else mask[:, :, :1], dropout
    )
    return attended.transpose(1, 2).flatten(2)


def for_scoring(network: Any, precision: str) -> Any:
    """Return `network`, of weights in `precision`, laid out for scoring on a CPU.

    In bfloat16 its attention goes by products. The copy is a snapshot: a training of `network`
    does not change it.
    """
    device = next(network.parameters()).device
    if device.type == "cpu" and _lays_out(precision):
        # weights of a copy are those of the original until each linear map has its own layout
        shared = {id(weight): weight for weight in network.parameters()}
        network = copy.deepcopy(network, shared)
        _lay_out(network.base_model)
        if precision == "bfloat16" and packed.known(network):
            network.config._attn_implementation = products.NAME
    return network.eval()


def _lays_out(precision: str) -> bool:
    """Whether torch has oneDNN's linear maps, and the processor their arithmetic."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return False
    return precision != "bfloat16" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _lay_out(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            setattr(module, name, OneDnnLinear(child))
        else:
            _lay_out(child)


class OneDnnLinear(nn.Module):
    """A linear map whose weights lie as oneDNN's kernels want them, for inference on a CPU.

    torch lays them out anew at every call in bfloat16. In float32 it takes MKL, which is slower
    on processors that are not Intel's. These are the operators that torch.compile puts in place.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # some modules ask for their type
        self.laid_out = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return inputs [..., in] mapped to [..., out]."""
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.laid_out, self.bias, "none", [], ""
        )
        return outputs
