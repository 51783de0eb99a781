"""Checkpoint folders: tokenizer and network read together, and refused when they cannot be used.

Tokenizers are what `AutoTokenizer` makes of a folder. For some families it does not take the file
`tokenizer.json` as it is but builds its own pipeline over the vocabulary: `fetch` writes that
pipeline back, so that token files, students and whoever loads a student later read the same ids.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from redistil.errors import BadSource
from redistil.learning import positions
from redistil.storage import lineage


def load_pair(auto: Any, folder: Path, **how: Any) -> tuple[Any, Any]:
    """Return the network and the tokenizer of a checkpoint folder.

    how: as `load_network` takes it. Raises BadSource when the two do not belong together.
    """
    tokenizer = load_tokenizer(folder)
    network = load_network(auto, folder, **how)
    check_vocabulary(tokenizer, network.get_input_embeddings().num_embeddings, folder)
    return network, tokenizer


def load_encoder(folder: Path, **how: Any) -> tuple[Any, Any]:
    """Return the encoder of a checkpoint folder, without any head or pooler, and the tokenizer.

    how: as transformers' `AutoModel` takes it.
    """
    from transformers import AutoModel

    tokenizer = load_tokenizer(folder)
    network, report = _read(AutoModel, folder, **how)
    needed = [name for name in sorted(report["missing_keys"]) if not name.startswith("pooler.")]
    if needed:
        raise BadSource(
            f"{folder} is not a usable checkpoint: {len(needed)} weights of a "
            f"{type(network).__name__} are not in it (first: {needed[0]})"
        )
    if getattr(network, "pooler", None) is not None:
        network.pooler = None
    _move_weights(network)
    check_vocabulary(tokenizer, network.get_input_embeddings().num_embeddings, folder)
    return network, tokenizer


def check_vocabulary(tokenizer: Any, rows: int, folder: Path) -> None:
    """Refuse a tokenizer with ids beyond the `rows` of the embedding: it is another model's.

    Fewer tokens than rows are no mistake: many vocabularies are rounded up for speed.
    """
    tokens = max(tokenizer.get_vocab().values()) + 1
    if tokens > rows:
        raise BadSource(
            f"{folder} is not a usable checkpoint: its tokenizer has {tokens} tokens and its "
            f"embedding {rows} rows: put the tokenizer there that the model was trained with"
        )


def reach(network: Any) -> int | None:
    """Return how many tokens a network can place, or None where nothing bounds them.

    A table of positions ends with its rows. Rotary positions (ModernBERT) were trained up to a
    length. DeBERTa-v3 tells near distances apart and takes all far ones for one, however far.
    """
    table = positions.table_of(network)
    if table is not None:
        return table.num_embeddings - positions.first_position(network)
    if getattr(network.config, "relative_attention", False):
        return None
    longest: int | None = getattr(network.config, "max_position_embeddings", None)
    return longest


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a checkpoint folder; BadSource if there is none."""
    from transformers import AutoTokenizer

    with usable(folder):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    # without its files, transformers makes a tokenizer up: one that knows special tokens only
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise BadSource(f"{folder} is not a usable checkpoint: it has no tokenizer")
    return tokenizer


def _read(auto: Any, folder: Path, **more: Any) -> tuple[Any, Any]:
    """Return a float32 network of safetensors on this disk alone, and what its weights lacked."""
    with usable(folder):
        network, report = auto.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **more,
        )
    return network, report


def load_network(auto: Any, folder: Path, new_head: bool = False, **more: Any) -> Any:
    """Return the float32 network of a checkpoint folder, read by one of transformers' `Auto...`.

    new_head: what lies above the encoder need not be there, and is then drawn by torch; where all
    of it is there, the checkpoint is refused. Raises BadSource for that, and when other weights are
    missing, which transformers would draw as well.
    """
    network, report = _read(auto, folder, **more)
    _check_weights(network, report["missing_keys"], folder, new_head)
    _move_weights(network)
    return network


def _move_weights(network: nn.Module) -> None:
    """Give every weight memory of its own.

    The last digit of a product depends on where in a file its factors lie, and equal weights are
    to give equal scores.
    """
    for weight in network.parameters():
        weight.data = weight.data.clone()


def _check_weights(network: Any, missing: Collection[str], folder: Path, new_head: bool) -> None:
    """Refuse a network with missing weights, or one with a head where that is to be new."""
    of_encoder: list[str] = []
    of_head: list[str] = []
    for name in sorted(missing):
        part = of_encoder if name.startswith(network.base_model_prefix + ".") else of_head
        part.append(name)
    needed = sorted([*of_encoder, *of_head])
    if new_head:
        needed = [name for name in of_encoder if ".pooler." not in name]
    if needed:
        head = "" if of_encoder else ": the encoder is there, but no trained head"
        raise BadSource(
            f"{folder} is not a usable checkpoint: {len(needed)} weights of a "
            f"{type(network).__name__} are not in it (first: {needed[0]}){head}"
        )
    if new_head and not of_head:
        raise BadSource(
            f"{folder} is a trained re-ranker, with its head: use it as a teacher (`checkpoint`), "
            "or train a student from an encoder"
        )


class usable:
    """Turn what transformers raises over a bad checkpoint folder into one sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        lineage.checked_folder(self.folder)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RuntimeError):
            raise BadSource(
                f"{self.folder} is not a usable checkpoint: the shapes of its weights are not "
                "those that its configuration asks for"
            ) from None
        # tokenizers raises bare Exceptions
        is_known = isinstance(error, (OSError, ValueError, KeyError, SafetensorError))
        if is_known or type(error) is Exception:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else kind.__name__
            raise BadSource(f"{self.folder} is not a usable checkpoint: {reason}") from None
