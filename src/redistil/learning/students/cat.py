"""BERT_CAT: query and passage read together by one encoder with one output.

arXiv 2603.03010 trains nine of these; the raw logit of `AutoModelForSequenceClassification` with
one label is the score, with the head and pooling that each family has.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from redistil.errors import BadSettings, BadSource
from redistil.learning.pairs import Pairs
from redistil.learning.speed import shortcuts
from redistil.learning.students import (
    headed,  # noqa: F401 - transformers learns its class
    probe,
)
from redistil.learning.students.checkpoints import load_pair, reach, usable
from redistil.learning.students.interface import Base
from redistil.learning.students.logit import exact_logit
from redistil.learning.students.pairs import PAIR_FORMS, cut, pair_template, sizes_of
from redistil.storage.aside import files_aside
from redistil.storage.ragged import Tokens

LENGTHS = ("query_length", "passage_length", "pair_length")


def lengths_in(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the lengths alone of a recipe, or of other settings that have them."""
    return {key: settings[key] for key in LENGTHS}


class Cat(Base):
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
        longest = reach(network)
        if longest is not None and lengths["pair_length"] > longest:
            raise BadSettings(
                f"pair_length: the backbone reads {longest} tokens at most, "
                f"got {lengths['pair_length']}"
            )

    @classmethod
    def new(cls, backbone: Path, settings: Mapping[str, Any], seed: int) -> Self:
        """Return a student on the checkpoint in `backbone`, its head drawn from `seed`.

        settings: the lengths, and as pair_form "native", the form that the tokenizer gives a pair,
        or "joined", [CLS] q [SEP] p [SEP].
        Raises BadSource where the checkpoint has a trained head already.
        """
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(seed)
        network, tokenizer = load_pair(
            AutoModelForSequenceClassification, backbone, new_head=True, num_labels=1
        )
        form = PAIR_FORMS[settings["pair_form"]]
        return cls._probed(network, form(tokenizer), lengths_in(settings), backbone)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the trained student that `save` wrote."""
        from transformers import AutoModelForSequenceClassification

        with usable(folder):
            lengths = lengths_in(json.loads((folder / "lengths.json").read_text()))
        network, tokenizer = load_pair(AutoModelForSequenceClassification, folder)
        return cls._probed(network, tokenizer, lengths, folder)

    @classmethod
    def adopt(cls, checkpoint: Path, settings: Mapping[str, Any]) -> Self:
        """Return the re-ranker that others trained and published in `checkpoint`.

        Raises BadSource where the checkpoint has no trained head, or one of several labels.
        """
        from transformers import AutoModelForSequenceClassification

        network, tokenizer = load_pair(AutoModelForSequenceClassification, checkpoint)
        labels = network.config.num_labels
        if labels != 1:
            raise BadSource(
                f"{checkpoint}: its head gives {labels} numbers for a pair, and the score of a "
                "re-ranker is one raw logit: choose a checkpoint with one label"
            )
        form = PAIR_FORMS[settings["pair_form"]]
        return cls._probed(network, form(tokenizer), lengths_in(settings), checkpoint)

    @classmethod
    def _probed(
        cls, network: Any, tokenizer: Any, lengths: dict[str, int], checkpoint: Path
    ) -> Self:
        """Return a student whose scores do not depend on the batch; BadSource if they do."""
        student = cls(_ready(network), tokenizer, lengths)
        probe.check(student, checkpoint)
        probe.check_left(student, checkpoint)
        return student

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, faster, with weights in `precision`.

        bfloat16: weights, activations and products in it. To cast weights once is faster than
        autocast, which casts at every use.
        """
        network = self.network
        if precision == "bfloat16":
            network = copy.deepcopy(network).to(torch.bfloat16)
        network = shortcuts.for_scoring(network, precision)
        return type(self)(network, self.tokenizer, self.lengths).eval()

    def save(self, folder: Path) -> None:
        """Write a folder that `transformers` and `sentence_transformers.CrossEncoder` load.

        It tells the latter that a score is the raw logit, its own default being a sigmoid, and
        where to cut a pair: at the length the student was trained on (docs/protocol.md).
        """
        self.network.config.sentence_transformers = {
            "activation_fn": "torch.nn.modules.linear.Identity"
        }
        self.tokenizer.model_max_length = self.lengths["pair_length"]
        with files_aside(folder) as partial:
            self.network.save_pretrained(partial)
            self.tokenizer.save_pretrained(partial)
            lengths = json.dumps(self.lengths, sort_keys=True)
            (partial / "lengths.json").write_text(lengths + "\n")

    def _kept(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many tokens of each query and passage are read."""
        return self.template.kept(sizes_of(queries), sizes_of(passages), **self.lengths)

    def lengths_of(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> list[int]:
        """Return how many tokens each pair has, special ones included."""
        q, p = self._kept(queries, passages)
        lengths: list[int] = (q + p + self.template.special).tolist()
        return lengths

    def costs(self, pairs: Pairs) -> list[int]:
        """Return how many tokens each pair has."""
        return self.lengths_of(pairs.query_texts(), pairs.passage_texts())

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw logits [N] of N pairs."""
        inputs = self.inputs(pairs.query_texts(), pairs.passage_texts())
        logits: Tensor = self.network(**inputs).logits
        return logits.squeeze(-1)

    def inputs(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> dict[str, Tensor]:
        """Return what the network reads for N pairs: ids, mask and, where it has them, types."""
        query_sizes, passage_sizes = self._kept(queries, passages)
        pairs = self.template.join(cut(queries, query_sizes), cut(passages, passage_sizes))
        inputs = {"input_ids": pairs.ids, "attention_mask": pairs.mask}
        if pairs.types is not None:
            inputs["token_type_ids"] = pairs.types
        return {key: torch.from_numpy(value).to(self.device) for key, value in inputs.items()}


def _ready(network: Any) -> Any:
    """Return a network whose logit is exact, made faster where `speed` knows its family."""
    exact_logit(network)
    return shortcuts.taken(network)
