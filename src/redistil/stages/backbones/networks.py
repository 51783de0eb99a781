"""Tiny encoders of the families that the studies compare, initialised so that minutes suffice.

A randomly initialised encoder learns nothing of matching in a few hundred steps. Mimetic
initialisation (Trockman and Kolter 2023, arXiv:2305.09828) starts it where pre-training would
lead: query and key projections near the identity, so that a token attends to its own copies; value
and output projections near a multiple of it; word embeddings of unit norm.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from redistil.stages.backbones.vocabularies import LONGEST


def network(family: str, tokenizer: Any, layers: int, width: int, heads: int) -> nn.Module:
    """Return an initialised network with the head that its warm-up needs."""
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": LONGEST,
        "pad_token_id": tokenizer.pad_token_id,
        "num_labels": 1,
    }
    if family == "modernbert":
        return _modernbert(shape, tokenizer)
    # no dropout: it would cost the fused attention, and nothing here trains long enough to need it
    config = BertConfig(
        **shape,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        intermediate_size=2 * width,
    )
    if family == "splade":
        splade: nn.Module = BertForMaskedLM(config)
        _mimic_bert(splade, width)
        _bag_of_words(splade, width)
        return splade
    bert: nn.Module = BertForSequenceClassification(config)
    _mimic_bert(bert, width)
    return bert


def _modernbert(shape: dict[str, Any], tokenizer: Any) -> nn.Module:
    config = ModernBertConfig(
        **shape,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        intermediate_size=shape["hidden_size"],
        global_attn_every_n_layers=1,
        classifier_pooling="mean",
    )
    model: nn.Module = ModernBertForSequenceClassification(config)
    _mimic_modernbert(model, shape["hidden_size"])
    return model


def _near_identity(weight: Tensor, scale: float) -> None:
    """Fill a square matrix (or a stack of them) with scale x identity plus a little noise."""
    out, size = weight.shape
    eye = torch.eye(size).repeat(out // size, 1)
    weight.copy_(scale * eye + torch.randn(out, size) * 0.02)


def _unit_rows(weight: Tensor) -> None:
    weight.copy_(nn.functional.normalize(torch.randn_like(weight), dim=-1))


@torch.no_grad()
def _mimic_bert(model: Any, width: int) -> None:
    bert = model.bert
    _unit_rows(bert.embeddings.word_embeddings.weight)
    layers = bert.encoder.layer
    # tokens find their copies in the last layer but one, so that the last can add up for [CLS]
    attention = layers[max(len(layers) - 2, 0)].attention
    for projection in (attention.self.query, attention.self.key):
        _near_identity(projection.weight, 0.8)
    for projection in (attention.self.value, attention.output.dense):
        _near_identity(projection.weight, 0.5)


@torch.no_grad()
def _mimic_modernbert(model: Any, width: int) -> None:
    """Let the last layer find copies: without token types, an earlier one must mark the sides.

    The mean over tokens then adds up what it finds, as the published ModernBERT's head does.
    """
    _unit_rows(model.model.embeddings.tok_embeddings.weight)
    attention = model.model.layers[-1].attn
    stacked = attention.Wqkv.weight.view(3, width, width)
    for part, scale in zip(stacked, (0.8, 0.8, 0.5), strict=True):
        _near_identity(part, scale)
    _near_identity(attention.Wo.weight, 0.5)


@torch.no_grad()
def _bag_of_words(model: Any, width: int) -> None:
    """Let a masked LM start as a bag of its own words: branches small, output transform identity.

    A normalised state has length sqrt(width), so a word's own logit is about sqrt(width) and
    another word's about N(0, 1): the bias keeps all but the own words below zero at first.
    """
    for layer in model.bert.encoder.layer:
        layer.attention.output.dense.weight.mul_(0.2)
        layer.output.dense.weight.mul_(0.2)
    head = model.cls.predictions
    head.transform.dense.weight.copy_(torch.eye(width))
    head.decoder.bias.fill_(-math.sqrt(width) / 3)
