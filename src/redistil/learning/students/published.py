"""The names of weights in the checkpoints that the authors of arXiv 2010.02666 published.

BERT_DOT is a plain encoder. ColBERT is an encoder under `bert_model` with the map `compressor`;
PreTTR is an encoder with the map `_classification_layer`. Ours is an encoder with the map `head`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from redistil.learning.students.checkpoints import usable

# their own name of a model, and the encoder below; its settings are transformers' defaults
MODELS = {"ColBERT": "distilbert-base-uncased"}
ENCODERS = {r"^bert_model\.": ""}  # patterns of names, and what stands in their place
HEADS = ("compressor.", "_classification_layer.")


def settle_configuration(folder: Path) -> None:
    """Put the encoder's configuration in place of one that names a model of theirs."""
    path = folder / "config.json"
    said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    encoder = MODELS.get(said.get("model_type", ""))
    if encoder is not None and said.get("bert_model") == encoder:
        from transformers import DistilBertConfig

        DistilBertConfig().save_pretrained(folder)


def head(folder: Path, ours: str) -> Mapping[str, Tensor]:
    """Return the weights of the map on top of an encoder, without what stands before their names.

    ours: what stands before them in our own checkpoints.
    """
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with usable(folder), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                for prefix in (ours, *HEADS):
                    if name.startswith(prefix):
                        found[name.removeprefix(prefix)] = file.get_tensor(name)
    return found
