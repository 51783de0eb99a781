"""Warm-ups: what a built encoder learns before a study sees it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redistil.learning import objectives
from redistil.learning.batches import step_rows
from redistil.learning.splade import Splade, flops
from redistil.learning.students.cat import Cat
from redistil.seeds import generator
from redistil.stages.backbones.gate import Gate, Verdict, held_out
from redistil.stages.backbones.lexicon import Lexicon
from redistil.stages.backbones.pairs import Pairs, Relevant, taken
from redistil.storage.ragged import Tokens


class CrossEncoder:
    """The warm-up of a cross-encoder: a query's own passage against near ones and a random one.

    A fresh encoder needs thousands of steps to learn from one bit a pair. So the logit also learns
    BM25's margins. A probe, thrown away afterwards, learns of every token whether it occurs on the
    other side, and how much that adds (docs/protocol.md: what was tried). The encoder is saved
    without the head, and every student draws its own. settings["gate"] holds queries back.
    """

    def __init__(
        self, model: Any, tokenizer: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> None:
        self.encoder, self.tokenizer = model.base_model, tokenizer
        self._model, self._settings = model, settings
        gate = settings.get("gate")
        held = held_out(pairs.ids, gate["queries"]) if gate else set()
        self._pairs, self._held = pairs.parted(held)
        self.learner = _student(model, tokenizer, settings)
        self._probe = nn.Linear(model.config.hidden_size, 2)
        self.learner.add_module("probe", self._probe)
        bm25 = settings["bm25"]
        self._passages = _cut(pairs.passages, settings["passage_length"])
        self._relevant = Relevant(self._pairs, settings["passage_length"])
        self._lexicon = Lexicon.of(self._passages, len(tokenizer), bm25["k1"], bm25["b"])
        queries = _cut(self._pairs.queries, settings["query_length"])
        self._near = self._lexicon.neighbours(queries, self._passages, bm25["depth"])

    def loss(self, step: int) -> Tensor:
        """Return the loss of a step, counted from 0."""
        batch = self._batch(step)
        inputs = self.learner.inputs(batch.queries, batch.passages)
        output = self._model(**inputs, output_hidden_states=True)
        scores = output.logits.view(batch.mask.shape)
        labels = torch.zeros(batch.mask.shape)
        labels[:, 0] = 1
        contrast = objectives.infonce(scores, labels, batch.mask, temperature=1.0)
        bm25 = self._settings["bm25"]
        matches = _matches(inputs["input_ids"], self.tokenizer, self._lexicon)
        worth = matches.worth / bm25["scale"]
        margins = objectives.margin_mse(scores, worth.sum(1).view(scores.shape), batch.mask)
        tokens = _probed(self._probe(output.hidden_states[-1]), matches, worth)
        total: Tensor = contrast + bm25["margins"] * margins + bm25["tokens"] * tokens
        return total

    def _batch(self, step: int) -> "_Batch":
        pairs, count, seed = self._pairs, self._settings["queries"], self._settings["seed"]
        width = self._settings["negatives"] + 1
        rows = step_rows(len(pairs.queries), count, seed, step)
        rng = generator(seed, "warm-up negatives", step)
        chosen = _candidates(pairs, self._near, rows, width, rng)
        mask = torch.from_numpy(~self._relevant.among(rows, chosen))
        mask[:, 0] = True
        queries = taken(pairs.queries, np.repeat(rows, width))
        return _Batch(queries, taken(pairs.passages, chosen.ravel()), mask)

    def verdict(self) -> Verdict | None:
        """Return how well the encoder ranks for the queries held back; None if none are."""
        if not self._held.queries:
            return None
        gate = self._settings["gate"]
        return self.examined(self._held, gate["depth"], gate["least"])

    def examined(self, pairs: Pairs, depth: int, least: float) -> Verdict:
        """Return how well the encoder ranks for the queries of `pairs`, of the same passages."""
        queries = _cut(pairs.queries, self._settings["query_length"])
        gate = Gate(queries, pairs.positives, self._passages, self._lexicon, depth)
        return gate.verdict(self.learner, least)


def _student(model: Any, tokenizer: Any, settings: Mapping[str, Any]) -> Cat:
    lengths = {key: settings[key] for key in ("query_length", "passage_length")}
    return Cat(model, tokenizer, lengths | {"pair_length": sum(lengths.values()) + 4})


def _cut(texts: Sequence[Tokens], length: int) -> list[Tokens]:
    return [tokens[:length] for tokens in texts]


class _Batch(NamedTuple):
    """The pairs of a step, query by query, and a mask [queries, width]; the first is relevant."""

    queries: list[Tokens]
    passages: list[Tokens]
    mask: Tensor


def _candidates(
    pairs: Pairs,
    near: Sequence[npt.NDArray[np.int64]],
    rows: npt.NDArray[np.int64],
    width: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Return passages [rows, width]: the query's own, near ones, and random ones to the end."""
    chosen = rng.integers(len(pairs.passages), size=(len(rows), width))
    for place, row in enumerate(rows):
        some = rng.permutation(near[row])[: width - 2]
        chosen[place, : len(some) + 1] = [pairs.positives[row], *some]
    return chosen


class _Matches(NamedTuple):
    """Tokens [N, L] of pairs: whether the other side shares each, its part of BM25, if a word."""

    shared: Tensor
    worth: Tensor
    words: Tensor


def _matches(ids: Tensor, tokenizer: Any, lexicon: Lexicon) -> _Matches:
    """Return the matches of tokens [N, L]; only query tokens add to the BM25 of a pair."""
    separators = ids == tokenizer.sep_token_id
    side = separators.cumsum(1) - separators.long()  # 0 for the query, 1 for the passage
    words = ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    across = side[:, :, None] != side[:, None, :]
    same = ids[:, :, None] == ids[:, None, :]
    counts = (same & across).sum(2).float() * words
    lengths = (words & (side == 1)).sum(1, keepdim=True)
    worth = lexicon.worth(ids, counts, lengths) * (words & (side == 0))
    return _Matches((counts > 0).float(), worth, words)


def _probed(answers: Tensor, matches: _Matches, worth: Tensor) -> Tensor:
    """Return the loss of the probe's two answers [N, L, 2] over all words."""
    words = matches.words
    shared = F.binary_cross_entropy_with_logits(answers[..., 0][words], matches.shared[words])
    return shared + F.mse_loss(answers[..., 1][words], worth[words])


class SpladeEncoder:
    """The warm-up of a SPLADE: each query against the passages of its batch, with FLOPS penalty.

    The encoder is saved with its head.
    """

    def __init__(
        self, model: Any, tokenizer: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> None:
        self.encoder, self.tokenizer = model, tokenizer
        self._pairs, self._settings = pairs, settings
        self._relevant = Relevant(pairs, settings["passage_length"])
        self.learner = Splade(model, tokenizer)

    def loss(self, step: int) -> Tensor:
        """Return the loss of a step, counted from 0."""
        pairs, settings, count = self._pairs, self._settings, self._settings["queries"]
        rows = step_rows(len(pairs.queries), count, settings["seed"], step)
        own = pairs.positives[rows]
        queries = self.learner.vectors(taken(pairs.queries, rows), settings["query_length"])
        passages = self.learner.vectors(taken(pairs.passages, own), settings["passage_length"])
        in_batch = np.broadcast_to(own, (count, count))
        mask = torch.from_numpy(~self._relevant.among(rows, in_batch))
        mask.fill_diagonal_(True)
        labels = torch.eye(count)
        contrast = objectives.infonce(queries @ passages.T, labels, mask, temperature=1.0)
        total: Tensor = contrast + settings["flops"] * (flops(queries) + flops(passages))
        return total

    def verdict(self) -> None:
        """A SPLADE has no gate."""
