"""BERT_CAT with the head of arXiv 2010.02666: one linear map of the raw [CLS] state, with bias.

The authors' DistilBERT and ELECTRA have it, where transformers puts a layer more between. Their
BERT, RoBERTa and ALBERT map what the pooler gives: that is the architecture `cat`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from redistil.learning.pairs import Pairs
from redistil.learning.speed import shortcuts
from redistil.learning.students.apart import in_float32
from redistil.learning.students.cat import lengths_in
from redistil.learning.students.encoded import Encoded
from redistil.learning.students.pairs import PAIR_FORMS, Joined, cut, pair_template, sizes_of
from redistil.study import architectures


class LinearCat(Encoded):
    """A cross-encoder with a linear head."""

    declared = architectures.LinearCat
    called = "a map to one score, with bias"
    longest = "pair_length"
    kept = None
    encodes_once = False  # it reads the two texts of a pair together

    def lay_out(self) -> None:
        """Set how the student writes a pair."""
        self.tokenizer = PAIR_FORMS[self.settings.pair_form](self.tokenizer)
        self.template = pair_template(self.tokenizer)
        self.lengths = lengths_in(self.settings)
        shortcuts.first_token_alone(self.network)

    def reads(self) -> int:
        """Return how many positions the longest pair needs."""
        return self.lengths["pair_length"]

    @classmethod
    def head_on(cls, network: Any, settings: Any) -> nn.Linear:
        """Return the map of the first token's state to the score."""
        return nn.Linear(network.config.hidden_size, 1)

    def costs(self, pairs: Pairs) -> list[int]:
        """Return how many tokens each pair has, special ones included."""
        queries, passages = sizes_of(pairs.query_texts()), sizes_of(pairs.passage_texts())
        query, passage = self.template.kept(queries, passages, **self.lengths)
        costs: list[int] = (query + passage + self.template.special).tolist()
        return costs

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw score of each pair [N]."""
        joined = self._joined(pairs)
        arrays = {"input_ids": joined.ids, "attention_mask": joined.mask}
        if joined.types is not None:
            arrays["token_type_ids"] = joined.types
        inputs = {name: torch.from_numpy(rows).to(self.device) for name, rows in arrays.items()}
        first = self.network(**inputs).last_hidden_state[:, 0]
        assert self.head is not None
        with in_float32(first):
            scores: Tensor = self.head(first.float()).squeeze(-1)
            return scores

    def _joined(self, pairs: Pairs) -> Joined:
        queries, passages = pairs.query_texts(), pairs.passage_texts()
        query, passage = self.template.kept(sizes_of(queries), sizes_of(passages), **self.lengths)
        return self.template.join(cut(queries, query), cut(passages, passage))
