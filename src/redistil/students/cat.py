"""BERT_CAT: query and passage read together by one encoder with one output.

arXiv 2603.03010 trains nine of these; the raw logit of `AutoModelForSequenceClassification` with
one label is the score, with the head and pooling that each family has.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from redistil.batches import PairTemplate, padded
from redistil.errors import BadSource
from redistil.ragged import Tokens

LENGTHS = ("query_length", "passage_length", "pair_length")


class Cat(nn.Module):
    """A cross-encoder.

    Inputs are token ids without special tokens; they are cut to `query_length` and
    `passage_length` tokens, then the passage to what `pair_length` leaves (special tokens counted).
    """

    def __init__(self, network: nn.Module, tokenizer: Any, lengths: dict[str, int]) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        self.lengths = lengths
        self.template = pair_template(tokenizer)

    @classmethod
    def new(cls, backbone: Path, lengths: dict[str, int], seed: int) -> Self:
        """Return a student on the checkpoint in `backbone`, its head drawn from `seed`."""
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(seed)
        tokenizer = load_tokenizer(backbone)
        with usable(backbone):
            network = AutoModelForSequenceClassification.from_pretrained(
                backbone, num_labels=1, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        return cls(network, tokenizer, lengths)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the trained student that `save` wrote."""
        from transformers import AutoModelForSequenceClassification

        with usable(folder):
            lengths = json.loads((folder / "lengths.json").read_text())
            network = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        return cls(network, load_tokenizer(folder), lengths)

    def save(self, folder: Path) -> None:
        """Write a folder that `transformers` and `sentence_transformers.CrossEncoder` load."""
        partial = folder / ".partial"
        self.network.save_pretrained(partial)  # type: ignore[operator]
        self.tokenizer.save_pretrained(partial)
        (partial / "lengths.json").write_text(json.dumps(self.lengths, sort_keys=True) + "\n")
        for file in sorted(partial.iterdir()):
            file.replace(folder / file.name)
        shutil.rmtree(partial)

    def _cut(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens]
    ) -> list[tuple[Tokens, Tokens]]:
        return [
            self.template.cut(q, p, *(self.lengths[key] for key in LENGTHS))
            for q, p in zip(queries, passages, strict=True)
        ]

    def lengths_of(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> list[int]:
        """Return how many tokens each pair has, special ones included."""
        cut = self._cut(queries, passages)
        return [len(q) + len(p) + self.template.special for q, p in cut]

    def score(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Tensor:
        """Return the raw logits [N] of N pairs."""
        logits: Tensor = self.network(**self.inputs(queries, passages)).logits
        return logits.squeeze(-1)

    def inputs(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> dict[str, Tensor]:
        """Return what the network reads for N pairs: ids, mask and, where it has them, types."""
        cut = self._cut(queries, passages)
        ids = [self.template.join(q, p) for q, p in cut]
        device = next(self.parameters()).device
        inputs = {
            "input_ids": padded(ids, self.template.pad),
            "attention_mask": padded([np.ones(len(row), np.int64) for row in ids], 0),
        }
        if self.template.types is not None:
            inputs["token_type_ids"] = padded([self.template.type_ids(q, p) for q, p in cut], 0)
        return {key: torch.from_numpy(value).to(device) for key, value in inputs.items()}


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a checkpoint folder; BadSource if there is none."""
    from transformers import AutoTokenizer

    with usable(folder):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


class usable:
    """Turn what transformers raises over a bad checkpoint folder into one sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (OSError, ValueError, KeyError)):
            reason = str(error).strip().splitlines()[0] if str(error).strip() else kind.__name__
            raise BadSource(f"{self.folder} is not a usable checkpoint: {reason}") from None


def pair_template(tokenizer: Any) -> PairTemplate:
    """Return how `tokenizer` joins a pair, found by letting it join one.

    Two one-token texts are encoded as a native pair; what stands around them is the template.
    """
    first, second = _two_words(tokenizer)
    encoded = tokenizer(first[0], second[0])
    ids, types = encoded["input_ids"], encoded.get("token_type_ids")
    q = ids.index(first[1])
    p = ids.index(second[1], q + 1)
    parts = (slice(0, q), slice(q, q + 1), slice(q + 1, p), slice(p, p + 1), slice(p + 1, None))
    before, _, between, _, after = (tuple(ids[part]) for part in parts)
    kinds = None
    if types is not None:
        kinds = (tuple(types[:q]), types[q], tuple(types[q + 1 : p]), types[p], tuple(types[p + 1 :]))
    return PairTemplate(before, between, after, kinds, tokenizer.pad_token_id)


def _two_words(tokenizer: Any) -> list[tuple[str, int]]:
    """Return two texts, with their ids, that `tokenizer` turns into one token each."""
    special, found = set(tokenizer.all_special_ids), []
    for text in "abcdefghijklmnopqrstuvwxyz0123456789":
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) == 1 and ids[0] not in special:
            found.append((text, ids[0]))
        if len(found) == 2:
            return found
    raise BadSource("the tokenizer has no two letters of its own: is this its vocabulary?")
