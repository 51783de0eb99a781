"""An encoder with a head of its own: what re-rankers of others are, whatever library made them.

`transformers` knows for each family one head alone. Here the head is declared: a pooling, and the
maps from the pooled state to one logit. It is saved and loaded as any network of transformers for
sequence classification.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers import PretrainedConfig as Config
from transformers import PreTrainedModel as Network
from transformers.modeling_outputs import SequenceClassifierOutput

MODEL_TYPE = "redistil-headed"

LINEAR, NORM = "linear", "layer-norm"
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


class HeadedConfig(Config):  # type: ignore[misc]
    """The configuration of an encoder, and the head on it.

    pooling: a key of POOLINGS. layers: mappings with a `kind`, and of linear maps and norms their
    `inputs`, `outputs` and whether they have a `bias`.
    """

    model_type = MODEL_TYPE
    sub_configs: ClassVar[dict[str, Any]] = {"encoder": AutoConfig}

    def __init__(
        self,
        encoder: Any = None,
        pooling: str = "first",
        layers: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> None:
        if isinstance(encoder, Mapping):
            stated = dict(encoder)
            encoder = AutoConfig.for_model(stated.pop("model_type"), **stated)
        self.encoder = encoder
        self.pooling = pooling
        self.layers = list(layers)
        for key in ("hidden_size", "max_position_embeddings", "vocab_size", "pad_token_id"):
            more.setdefault(key, getattr(encoder, key, None))
        super().__init__(**{"num_labels": 1, **more})


class Headed(Network):  # type: ignore[misc]
    """A network of transformers for sequence classification, with a declared head."""

    config_class = HeadedConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: HeadedConfig) -> None:
        super().__init__(config)
        self.encoder = AutoModel.from_config(config.encoder)
        self.head = nn.Sequential(*map(layer, config.layers))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of tokens."""
        embeddings: nn.Module = self.encoder.get_input_embeddings()
        return embeddings

    def forward(self, attention_mask: Tensor, **inputs: Any) -> SequenceClassifierOutput:
        """Return the logits [N, 1] of N texts; inputs are those of the encoder."""
        states = self.encoder(attention_mask=attention_mask, **inputs).last_hidden_state
        pooled = POOLINGS[self.config.pooling](states, attention_mask)
        return SequenceClassifierOutput(logits=self.head(pooled))


def layer(stated: Mapping[str, Any]) -> nn.Module:
    """Return one map of a head."""
    kind = stated["kind"]
    if kind == LINEAR:
        return nn.Linear(stated["inputs"], stated["outputs"], bias=stated["bias"])
    if kind == NORM:
        return nn.LayerNorm(stated["inputs"], bias=stated["bias"])
    return ACTIVATIONS[kind]()


def first(states: Tensor, mask: Tensor) -> Tensor:
    """Return the state [N, width] of each text's first token."""
    return states[:, 0]


def last(states: Tensor, mask: Tensor) -> Tensor:
    """Return the state [N, width] of each text's last token; padding is on the right."""
    ends = mask.sum(dim=1) - 1
    return states[torch.arange(len(states), device=states.device), ends]


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean [N, width] of the states of each text's tokens."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


POOLINGS = {"first": first, "last": last, "mean": mean}


AutoConfig.register(MODEL_TYPE, HeadedConfig, exist_ok=True)
AutoModelForSequenceClassification.register(HeadedConfig, Headed, exist_ok=True)
