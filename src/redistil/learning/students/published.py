"""The names of weights in the checkpoints that the authors of arXiv 2010.02666 published.

BERT_DOT is a plain encoder. ColBERT is an encoder under `bert_model` with the map `compressor`;
PreTTR is an encoder with the map `_classification_layer`. Ours is an encoder with the map `head`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from redistil.learning.students.checkpoints import usable

# their own name of a model, and the encoder below; its settings are transformers' defaults
MODELS = {"ColBERT": "distilbert-base-uncased"}
ENCODERS = {r"^bert_model\.": ""}  # patterns of names, and what stands in their place
HEADS = ("compressor.", "_classification_layer.")
STOCK = ("classifier.", "pre_classifier.")  # of re-rankers as transformers has them: `cat`


def settle_configuration(folder: Path) -> None:
    """Put the encoder's configuration in place of one that names a model of theirs."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    encoder = MODELS.get(config.get("model_type", ""))
    if encoder is not None and config.get("bert_model") == encoder:
        from transformers import DistilBertConfig

        DistilBertConfig().save_pretrained(folder)


def head(folder: Path, ours: str) -> Mapping[str, Tensor]:
    """Return the weights of the map on top of an encoder, without what stands before their names.

    ours: what stands before them in our own checkpoints.
    """
    weights: dict[str, Tensor] = {}
    for name, file in _weights(folder):
        for prefix in (ours, *HEADS):
            if name.startswith(prefix):
                weights[name.removeprefix(prefix)] = file.get_tensor(name)
    return weights


def maps(folder: Path, ours: str) -> list[str]:
    """Return the names of weights by which a checkpoint is no encoder alone.

    Poolers and heads of masked language models are not among them, though ModernBERT's is called
    as ours: `head.dense`.
    """
    alone = tuple(prefix + kind for prefix in (ours, *HEADS) for kind in ("weight", "bias"))
    return [name for name, _ in _weights(folder) if name in alone or name.startswith(STOCK)]


def _weights(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name of each weight, and the open file that has it."""
    for path in sorted(folder.glob("model*.safetensors")):
        with usable(folder), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file
