"""PreTTR: the lower layers read query and passage apart, the upper ones together.

As arXiv 2010.02666 trains it (section "PreTT"), without the compression of arXiv 2004.14255. The
joined sequence reads [CLS] q [SEP] p [SEP]. With `offset: fixed` a passage's first position is the
one after the longest query, so that its states hang on it alone. With `batch`, as the authors' code
has it, it is the one after the longest query of the batch: nothing can be stored then.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask

from redistil.errors import BadSettings
from redistil.learning.batches import Rows, by_budget
from redistil.learning.pairs import Pairs
from redistil.learning.positions import first_position
from redistil.learning.speed import shortcuts
from redistil.learning.students.apart import in_float32
from redistil.learning.students.encoded import Encoded, Parts
from redistil.learning.students.interface import Kept
from redistil.learning.students.pairs import pair_template
from redistil.learning.students.states import States
from redistil.learning.students.texts import Inputs, TextTemplate, text_template
from redistil.storage.ragged import Tokens
from redistil.study import architectures

# encoders whose layers take states and a mask and nothing else, and where these layers are
LAYERS = {
    "BertModel": "encoder",
    "ElectraModel": "encoder",
    "RobertaModel": "encoder",
    "DistilBertModel": "transformer",
}


class Prettr(Encoded):
    """A cross-encoder split at a layer."""

    declared = architectures.Prettr
    called = "a map to one score, without bias"
    encodes_once = False  # its upper layers cost as much as the lower: a step goes pair by pair

    def __init__(self, parts: Parts, head: nn.Linear | None, settings: Any) -> None:
        super().__init__(parts, head, settings)
        self._check_split()
        shortcuts.first_token_alone(self.network)
        self._types = _types(self.tokenizer)
        self.reads_batch = settings.offset == "batch"
        if settings.offset == "fixed":
            self.kept = Kept("token", self.network.config.hidden_size, search=False)

    def _check_split(self) -> None:
        family = type(self.network).__name__
        if family not in LAYERS:
            raise BadSettings(
                f"architecture: prettr splits {', '.join(LAYERS)}, and the backbone is a {family}: "
                "choose another backbone or architecture"
            )
        count = len(self._layers())
        if self.settings.split >= count:
            raise BadSettings(
                f"split: the backbone has {count} layers, so that at most {count - 1} may read "
                f"query and passage apart, got {self.settings.split}"
            )

    def _layers(self) -> nn.ModuleList:
        layers: nn.ModuleList = getattr(self.network, LAYERS[type(self.network).__name__]).layer
        return layers

    @classmethod
    def head_on(cls, network: Any, settings: Any) -> nn.Linear:
        """Return the map of the first token's state to the score."""
        return nn.Linear(network.config.hidden_size, 1, bias=False)

    def templates(self) -> tuple[TextTemplate, TextTemplate]:
        """Return how texts are written: [CLS] query [SEP], and passage [SEP]."""
        queries = text_template(self.tokenizer, self.settings.query_length)
        passages = replace(queries, length=self.settings.passage_length)
        return queries, passages.without_first()

    def reads(self) -> int:
        """Return how many positions the longest pair needs."""
        return self.queries.longest + self.passages.longest

    # --- below the split --------------------------------------------------------------------------

    def encode_queries(self, texts: Sequence[Tokens]) -> States:
        """Return the states of queries after the lower layers."""
        return self._lower(self.queries.inputs(texts, self.device), 0, self._types[0])

    def encode_passages(self, texts: Sequence[Tokens]) -> States:
        """Return the states of passages after the lower layers, behind the longest query of all."""
        return self._passages(texts, self.queries.longest)

    def _passages(self, texts: Sequence[Tokens], start: int) -> States:
        return self._lower(self.passages.inputs(texts, self.device), start, self._types[1])

    def _lower(self, inputs: Inputs, start: int, kind: int) -> States:
        states = self._embedded(inputs, start, kind)
        mask = self._mask(states, inputs.mask)
        for layer in self._layers()[: self.settings.split]:
            states = layer(states, mask)
        return States.of_grid(states, inputs.sizes)

    def _embedded(self, inputs: Inputs, start: int, kind: int) -> Tensor:
        """Return the embeddings of tokens, of which the first is at position `start`."""
        first = start + first_position(self.network)
        places = torch.arange(first, first + inputs.ids.shape[1], device=inputs.ids.device)
        arguments = {"input_ids": inputs.ids, "position_ids": places.expand_as(inputs.ids)}
        if hasattr(self.network.embeddings, "token_type_embeddings"):
            arguments["token_type_ids"] = torch.full_like(inputs.ids, kind)
        states: Tensor = self.network.embeddings(**arguments)
        if hasattr(self.network, "embeddings_project"):
            states = self.network.embeddings_project(states)
        return states

    def _mask(self, states: Tensor, mask: Tensor) -> Tensor | None:
        """Return a mask [T, L] as the layers take it."""
        full_mask: Tensor | None = create_bidirectional_mask(
            config=self.network.config, inputs_embeds=states, attention_mask=mask
        )
        return full_mask

    # --- above it ---------------------------------------------------------------------------------

    def scores(self, pairs: Pairs) -> Tensor:
        """Return the raw score of each pair [N]; every text is encoded once."""
        if self.settings.offset == "fixed":
            return super().scores(pairs)
        start = int(self.queries.sizes(pairs.queries).max())
        queries = self.encode_queries(pairs.queries)
        passages = self._passages(pairs.passages, start)
        return self.interact(queries, passages, pairs.query, pairs.passage)

    def interact(self, queries: States, passages: States, query: Rows, passage: Rows) -> Tensor:
        """Return the scores of pairs: the upper layers read the states of both in one sequence."""
        lengths = queries.sizes[query] + passages.sizes[passage]
        scores = torch.empty(len(query), device=queries.values.device)
        for group in by_budget(lengths, self.budget):
            joined = States.joined(queries.at(query[group]), passages.at(passage[group]))
            places = torch.from_numpy(group).to(scores.device)
            scores = scores.index_copy(0, places, self._upper(joined))
        return scores

    def _upper(self, joined: States) -> Tensor:
        states, is_filled = joined.grid()
        mask = self._mask(states, is_filled.long())
        for layer in self._layers()[self.settings.split :]:
            states = layer(states, mask)
        assert self.head is not None
        with in_float32(states):
            scores: Tensor = self.head(states[:, 0].float()).squeeze(-1)
            return scores


def _types(tokenizer: Any) -> tuple[int, int]:
    """Return the token types of query and passage in a pair."""
    types = pair_template(tokenizer).types
    return (0, 0) if types is None else (types[1], types[3])
