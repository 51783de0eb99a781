"""Warm-ups: what a built encoder learns before a study sees it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redistil.learning import objectives
from redistil.learning.batches import step_rows
from redistil.learning.splade import Splade, flops
from redistil.learning.students.cat import Cat
from redistil.seeds import generator
from redistil.stages.backbones.lexicon import Lexicon
from redistil.storage.ragged import Tokens


class Pairs:
    """The training pairs as token ids: queries[i] with its relevant passage, a row of passages.

    qrels: of relevant passages alone; those of queries that are not in `queries` are passed over.
    """

    def __init__(
        self, tokenizer: Any, passages: pa.Table, queries: pa.Table, qrels: pa.Table
    ) -> None:
        text_of = dict(
            zip(queries["query_id"].to_pylist(), queries["text"].to_pylist(), strict=True)
        )
        row_of = {doc_id: row for row, doc_id in enumerate(passages["doc_id"].to_pylist())}
        texts: list[str] = []
        positives: list[int] = []
        for judgement in qrels.select(["query_id", "doc_id"]).to_pylist():
            query_id, doc_id = judgement["query_id"], judgement["doc_id"]
            if query_id in text_of and doc_id in row_of:
                texts.append(text_of[query_id])
                positives.append(row_of[doc_id])
        self.passages = _tokens(tokenizer, passages["text"].to_pylist())
        self.queries = _tokens(tokenizer, texts)
        self.positives = np.array(positives, np.int64)


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return [np.asarray(ids, np.int32) for ids in encoded]


def _rows(texts: Sequence[Tokens], rows: Iterable[int]) -> list[Tokens]:
    return [texts[row] for row in rows]


class CrossEncoder:
    """The warm-up of a cross-encoder: a query's own passage against near ones and a random one.

    A fresh encoder needs thousands of steps to learn from one bit a pair. So the logit also learns
    BM25's margins. A probe, thrown away afterwards, learns of every token whether it occurs on the
    other side, and how much that adds (docs/protocol.md: what was tried).
    """

    def __init__(
        self, model: Any, tokenizer: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._pairs, self._settings = pairs, settings
        query, passage = settings["query_length"], settings["passage_length"]
        lengths = {"query_length": query, "passage_length": passage}
        self.learner = Cat(model, tokenizer, lengths | {"pair_length": query + passage + 4})
        self._probe = nn.Linear(model.config.hidden_size, 2)
        self.learner.add_module("probe", self._probe)
        bm25 = settings["bm25"]
        passages = [tokens[:passage] for tokens in pairs.passages]
        queries = [tokens[:query] for tokens in pairs.queries]
        self._lexicon = Lexicon.of(passages, len(tokenizer), bm25["k1"], bm25["b"])
        self._near = self._lexicon.neighbours(queries, passages, bm25["depth"])

    def loss(self, step: int) -> Tensor:
        """Return the loss of a step, counted from 0."""
        pairs, count, seed = self._pairs, self._settings["queries"], self._settings["seed"]
        width = self._settings["negatives"] + 1
        rows = step_rows(len(pairs.queries), count, seed, step)
        rng = generator(seed, "warm-up negatives", step)
        chosen = _candidates(pairs, self._near, rows, width, rng)
        queries = _rows(pairs.queries, np.repeat(rows, width))
        inputs = self.learner.inputs(queries, _rows(pairs.passages, chosen.ravel()))
        output = self._model(**inputs, output_hidden_states=True)
        labels = torch.zeros(count, width)
        labels[:, 0] = 1
        # a passage drawn may be the query's own: it is then no negative
        mask = torch.from_numpy(chosen != chosen[:, :1]) | (labels > 0)
        scores = output.logits.view(count, width)
        contrast = objectives.infonce(scores, labels, mask, temperature=1.0)
        bm25 = self._settings["bm25"]
        matches = _matches(inputs["input_ids"], self._tokenizer, self._lexicon)
        worth = matches.worth / bm25["scale"]
        tokens = _probed(self._probe(output.hidden_states[-1]), matches, worth)
        margins = objectives.margin_mse(scores, worth.sum(1).view(count, width), mask)
        total: Tensor = contrast + bm25["margins"] * margins + bm25["tokens"] * tokens
        return total


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
    """The warm-up of a SPLADE: each query against the passages of its batch, with FLOPS penalty."""

    def __init__(
        self, model: nn.Module, tokenizer: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> None:
        self._pairs, self._settings = pairs, settings
        self.learner = Splade(model, tokenizer)

    def loss(self, step: int) -> Tensor:
        """Return the loss of a step, counted from 0."""
        pairs, settings, count = self._pairs, self._settings, self._settings["queries"]
        rows = step_rows(len(pairs.queries), count, settings["seed"], step)
        own = pairs.positives[rows]
        texts, answers = _rows(pairs.queries, rows), _rows(pairs.passages, own)
        queries = self.learner.vectors(texts, settings["query_length"])
        passages = self.learner.vectors(answers, settings["passage_length"])
        labels, mask = torch.eye(count), torch.ones(count, count, dtype=torch.bool)
        contrast = objectives.infonce(queries @ passages.T, labels, mask, temperature=1.0)
        total: Tensor = contrast + settings["flops"] * (flops(queries) + flops(passages))
        return total
