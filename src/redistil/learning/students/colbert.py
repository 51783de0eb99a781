"""ColBERT: every query token meets the passage token that answers it best.

As arXiv 2010.02666 trains it: inner products without normalisation, one linear map with bias,
[CLS] and [SEP] take part, and there is no list of words to skip.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from redistil.errors import BadSource
from redistil.learning.batches import Rows
from redistil.learning.students import others
from redistil.learning.students.apart import by_query, in_float32
from redistil.learning.students.encoded import Encoded, Parts
from redistil.learning.students.interface import Kept
from redistil.learning.students.states import States
from redistil.learning.students.texts import TextTemplate, text_template
from redistil.storage.ragged import Tokens
from redistil.study import architectures


class Colbert(Encoded):
    """A late-interaction student."""

    declared = architectures.Colbert
    called = "a projection"

    def __init__(self, parts: Parts, head: nn.Linear | None, settings: Any) -> None:
        super().__init__(parts, head, settings)
        self.kept = Kept("token", settings.dimensions, search=False)

    @classmethod
    def head_on(cls, network: Any, settings: Any) -> nn.Linear:
        """Return the projection of a token's state."""
        projection = nn.Linear(network.config.hidden_size, settings.dimensions)
        if settings.spread is not None:
            nn.init.normal_(projection.weight, std=settings.spread)
            nn.init.zeros_(projection.bias)
        return projection

    def templates(self) -> tuple[TextTemplate, TextTemplate]:
        """Return how texts are written: [CLS] text [SEP]; a query with its [MASK] tokens."""
        settings, mask = self.settings, self.tokenizer.mask_token_id
        queries = text_template(self.tokenizer, settings.query_length)
        if settings.masks and mask is None:
            raise BadSource("the tokenizer has no [MASK] token: set `masks` to 0")
        if settings.masks:
            queries = queries.with_masks(mask, settings.masks, settings.mask_position)
        return queries, text_template(self.tokenizer, settings.passage_length)

    def encode_queries(self, texts: Sequence[Tokens]) -> States:
        """Return a vector for each token of queries, special ones included."""
        return self._encode(self.queries, texts)

    def encode_passages(self, texts: Sequence[Tokens]) -> States:
        """Return a vector for each token of passages, special ones included."""
        return self._encode(self.passages, texts)

    def _encode(self, template: TextTemplate, texts: Sequence[Tokens]) -> States:
        inputs = template.inputs(texts, self.device)
        states = States.of_grid(self.last_states(inputs), inputs.sizes)
        assert self.head is not None
        kind = states.values.dtype
        weight, bias = self.head.weight.to(kind), self.head.bias.to(kind)
        return States(nn.functional.linear(states.values, weight, bias), states.offsets)

    def interact(self, queries: States, passages: States, query: Rows, passage: Rows) -> Tensor:
        """Return the sum over query tokens of the best product with a passage token."""
        scores = torch.empty(len(query), device=queries.values.device)
        with in_float32(queries.values):
            for text, places in by_query(query):
                sums = _max_sim(queries.rows_of(text), passages.at(passage[places]))
                scores = scores.index_copy(0, torch.from_numpy(places).to(sums.device), sums)
        return scores

    def describe(self, folder: Path) -> None:
        """Let sentence-transformers load it as a MultiVectorEncoder."""
        assert self.head is not None
        others.multi_vector_encoder(folder, self.queries, self.passages, self.head)


def _max_sim(query: Tensor, passages: States) -> Tensor:
    """Return the scores [T] of T passages for a query [tokens, width]."""
    products = passages.values.float() @ query.float().T
    offsets = torch.from_numpy(passages.offsets).to(products.device)
    best = torch.segment_reduce(products, "max", offsets=offsets, axis=0)
    return best.sum(-1)
