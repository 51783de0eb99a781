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
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, processors
from torch import Tensor, nn

from redistil.errors import BadSettings, BadSource
from redistil.learning.batches import PairTemplate
from redistil.learning.speed import shortcuts
from redistil.learning.students.checkpoints import load_pair, reach, usable
from redistil.storage.ragged import Tokens

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
        longest = reach(network)
        if longest is not None and lengths["pair_length"] > longest:
            raise BadSettings(
                f"pair_length: the backbone reads {longest} tokens at most, "
                f"got {lengths['pair_length']}"
            )

    @classmethod
    def new(cls, backbone: Path, lengths: dict[str, int], seed: int, pair_form: str) -> Self:
        """Return a student on the checkpoint in `backbone`, its head drawn from `seed`.

        pair_form: "native", as the tokenizer joins a pair, or "joined", [CLS] q [SEP] p [SEP].
        Raises BadSource where the checkpoint has a trained head already.
        """
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(seed)
        network, tokenizer = load_pair(
            AutoModelForSequenceClassification, backbone, new_head=True, num_labels=1
        )
        return cls(shortcuts.taken(network), PAIR_FORMS[pair_form](tokenizer), lengths)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the trained student that `save` wrote."""
        from transformers import AutoModelForSequenceClassification

        with usable(folder):
            found = json.loads((folder / "lengths.json").read_text())
            lengths = {key: found[key] for key in LENGTHS}
        network, tokenizer = load_pair(AutoModelForSequenceClassification, folder)
        return cls(shortcuts.taken(network), tokenizer, lengths)

    @classmethod
    def adopt(cls, checkpoint: Path, lengths: dict[str, int], pair_form: str) -> Self:
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
        return cls(shortcuts.taken(network), PAIR_FORMS[pair_form](tokenizer), lengths)

    def for_scoring(self, precision: str) -> Self:
        """Return a snapshot that only scores, faster, with weights in `precision`."""
        network = shortcuts.for_scoring(self.network, precision)
        return type(self)(network, self.tokenizer, self.lengths).eval()

    def save(self, folder: Path) -> None:
        """Write a folder that `transformers` and `sentence_transformers.CrossEncoder` load.

        It tells the latter that a score is the raw logit, its own default being a sigmoid, and
        where to cut a pair: at the length the student was trained on (docs/protocol.md).
        """
        partial = folder / ".partial"
        shutil.rmtree(partial, ignore_errors=True)  # of a save that was killed
        self.network.config.sentence_transformers = {  # type: ignore[union-attr]
            "activation_fn": "torch.nn.modules.linear.Identity"
        }
        self.network.save_pretrained(partial)  # type: ignore[operator]
        self.tokenizer.model_max_length = self.lengths["pair_length"]
        self.tokenizer.save_pretrained(partial)
        (partial / "lengths.json").write_text(json.dumps(self.lengths, sort_keys=True) + "\n")
        for file in sorted(partial.iterdir()):
            file.replace(folder / file.name)
        shutil.rmtree(partial)

    def _kept(
        self, queries: Sequence[Tokens], passages: Sequence[Tokens]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return how many tokens of each query and passage are read."""
        q, p = (np.fromiter(map(len, side), np.int64, len(side)) for side in (queries, passages))
        return self.template.kept(q, p, *(self.lengths[key] for key in LENGTHS))

    def lengths_of(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> list[int]:
        """Return how many tokens each pair has, special ones included."""
        q, p = self._kept(queries, passages)
        lengths: list[int] = (q + p + self.template.special).tolist()
        return lengths

    def score(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Tensor:
        """Return the raw logits [N] of N pairs."""
        logits: Tensor = self.network(**self.inputs(queries, passages)).logits
        return logits.squeeze(-1)

    def inputs(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> dict[str, Tensor]:
        """Return what the network reads for N pairs: ids, mask and, where it has them, types."""
        kept = self._kept(queries, passages)
        cut = (
            [tokens[:size] for tokens, size in zip(side, sizes.tolist(), strict=True)]
            for side, sizes in zip((queries, passages), kept, strict=True)
        )
        ids, mask, types = self.template.join(*cut)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if types is not None:
            inputs["token_type_ids"] = types
        device = next(self.parameters()).device
        return {key: torch.from_numpy(value).to(device) for key, value in inputs.items()}


def pair_template(tokenizer: Any) -> PairTemplate:
    """Return how `tokenizer` joins a pair, found by letting it join one.

    Two short texts are encoded as a native pair; what stands around them is the template.
    """
    if tokenizer.pad_token_id is None:
        raise BadSource("the tokenizer has no padding token: it is not one of an encoder")
    (first, query), (second, passage) = _two_texts(tokenizer)
    encoded = tokenizer(first, second)
    ids, types = encoded["input_ids"], encoded.get("token_type_ids")
    q = _find(query, ids, 0)
    between = q + len(query)
    p = _find(passage, ids, between)
    after = p + len(passage)
    kinds = None
    if types is not None:
        kinds = tuple(types[:q]), types[q], tuple(types[between:p]), types[p], tuple(types[after:])
    return PairTemplate(
        tuple(ids[:q]), tuple(ids[between:p]), tuple(ids[after:]), kinds, tokenizer.pad_token_id
    )


def _two_texts(tokenizer: Any) -> list[tuple[str, list[int]]]:
    """Return two texts, with their ids, that `tokenizer` knows."""
    special, found = set(tokenizer.all_special_ids), []
    for text in "abcdefghijklmnopqrstuvwxyz0123456789":
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids and special.isdisjoint(ids):
            found.append((text, ids))
        if len(found) == 2:
            return found
    raise BadSource("the tokenizer has no two letters of its own: is this its vocabulary?")


def _find(part: list[int], ids: list[int], start: int) -> int:
    """Return where `part` begins in `ids`, from `start` on; BadSource if it is not there."""
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise BadSource("the tokenizer encodes a text otherwise in a pair than alone")


def joined(tokenizer: Any) -> Any:
    """Return a tokenizer that joins a pair as [CLS] q [SEP] p [SEP], whatever its family does.

    So the later code of arXiv:2603.03010 (preset `morand-rerun`) joins ids for every backbone. Of
    the nine only RoBERTa has another form. What is returned is of no family: reading it back,
    transformers would give a `RobertaTokenizer` its own form again.
    """
    from transformers import PreTrainedTokenizerFast

    cls, sep = tokenizer.cls_token, tokenizer.sep_token
    own, wanted = pair_template(tokenizer), ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
    if [*map(list, (own.before, own.between, own.after))] == [*wanted, wanted[1]]:
        return tokenizer
    second = 0 if own.types is None else own.types[3]
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", f"$B:{second}", f"{sep}:{second}"],
        special_tokens=[(cls, tokenizer.cls_token_id), (sep, tokenizer.sep_token_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        **tokenizer.special_tokens_map,
    )


PAIR_FORMS = {"native": lambda tokenizer: tokenizer, "joined": joined}
