"""The names of weights in the checkpoints that the authors of arXiv 2010.02666 published.

BERT_DOT is a plain encoder. ColBERT is an encoder under `bert_model` with the map `compressor`;
PreTTR is an encoder with the map `_classification_layer`. Ours is an encoder with the map `head`.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from redistil.learning.students.checkpoints import usable

ENCODERS = {r"^bert_model\.": ""}  # patterns of names, and what stands in their place
HEADS = ("compressor.", "_classification_layer.")


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
