"""BERT_DOT: the inner product of the [CLS] states of query and passage (arXiv 2010.02666).

One encoder reads both; there is no projection, no normalisation and no temperature.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from redistil.learning.batches import Rows
from redistil.learning.speed import shortcuts
from redistil.learning.students import others
from redistil.learning.students.apart import in_float32
from redistil.learning.students.encoded import Encoded, Parts
from redistil.learning.students.interface import Kept
from redistil.learning.students.states import States
from redistil.learning.students.texts import TextTemplate, text_template
from redistil.storage.ragged import Tokens
from redistil.study import architectures


class Dot(Encoded):
    """A bi-encoder."""

    declared = architectures.Dot
    called = "no map"

    def __init__(self, parts: Parts, head: nn.Linear | None, settings: Any) -> None:
        super().__init__(parts, head, settings)
        shortcuts.first_token_alone(self.network)
        self.kept = Kept("text", self.network.config.hidden_size, search=True)

    def templates(self) -> tuple[TextTemplate, TextTemplate]:
        """Return how queries and passages are written: [CLS] text [SEP]."""
        return (
            text_template(self.tokenizer, self.settings.query_length),
            text_template(self.tokenizer, self.settings.passage_length),
        )

    def encode_queries(self, texts: Sequence[Tokens]) -> States:
        """Return the [CLS] state of each query."""
        return self._encode(self.queries, texts)

    def encode_passages(self, texts: Sequence[Tokens]) -> States:
        """Return the [CLS] state of each passage."""
        return self._encode(self.passages, texts)

    def _encode(self, template: TextTemplate, texts: Sequence[Tokens]) -> States:
        states = self.last_states(template.inputs(texts, self.device))
        return States.of_texts(states[:, 0])

    def interact(self, queries: States, passages: States, query: Rows, passage: Rows) -> Tensor:
        """Return the inner product of each pair."""
        with in_float32(queries.values):
            of_queries = queries.values.float()[torch.from_numpy(query)]
            of_passages = passages.values.float()[torch.from_numpy(passage)]
            return (of_queries * of_passages).sum(-1)

    def describe(self, folder: Path) -> None:
        """Let sentence-transformers load it as a SentenceTransformer."""
        width = self.network.config.hidden_size
        others.sentence_transformer(folder, self.queries, self.passages, width)
