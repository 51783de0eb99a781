"""Tiny checkpoints built from a corpus: tokenizer, mimetic network, warm-up."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redistil.errors import BadTable
from redistil.learning import objectives
from redistil.learning.batches import step_rows
from redistil.learning.history import Checkpoint
from redistil.learning.optimise import Schedule, Watch, optimise, whole
from redistil.learning.splade import Splade, flops
from redistil.learning.students.cat import Cat
from redistil.seeds import derive, generator
from redistil.stages.backbones.lexicon import Lexicon
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.storage.lineage import SIDECAR, Made
from redistil.storage.ragged import Tokens
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, aside


def build(
    sources: tuple[Path, Path, Path],
    out: Path,
    made: Made,
    *,
    family: str,
    vocabulary_size: int,
    shape: Mapping[str, int],
    warmup: Mapping[str, Any],
    relevant_from: int,
    leave_out: Collection[str] = (),
) -> None:
    """Write a warmed-up checkpoint of `family` into the folder `out`.

    sources: passages, queries and qrels of the training set; shape: layers, width, heads;
    relevant_from: least grade of a relevant passage; leave_out: queries that neither the tokenizer
    nor the warm-up sees. The encoder is saved without the head it was warmed up with: every
    student draws its own. Raises BadTable when no query is left.
    """
    passages, queries, qrels = (
        table.read(path) for table, path in zip((PASSAGES, QUERIES, QRELS), sources, strict=True)
    )
    apart = pc.is_in(queries["query_id"], pa.array(sorted(leave_out), pa.string()))
    queries = queries.filter(pc.invert(apart))
    qrels = qrels.filter(pc.greater_equal(qrels["relevance"], relevant_from))
    texts = [*passages["text"].to_pylist(), *queries["text"].to_pylist()]
    torch.manual_seed(derive(warmup["seed"], "network"))
    tokenizer = vocabulary(family, texts, vocabulary_size)
    model = network(family, tokenizer, **shape)
    pairs = _Pairs(tokenizer, passages, queries, qrels)
    if not pairs.queries:
        raise BadTable(
            f"no query of {sources[1]} has a passage of {sources[0]} that {sources[2]} judges "
            f"relevant (grade {relevant_from} or above): are they of one dataset, and is any "
            "query left that no test set asks?"
        )
    state = Checkpoint(out / "checkpoint.safetensors", 100, made.fingerprint)
    schedule = Schedule(
        steps=warmup["steps"],
        warmup_steps=warmup["steps"] // 10,
        learning_rate=warmup["learning_rate"],
        falls=True,
        epsilon=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        seed=warmup["seed"],
    )
    out.mkdir(parents=True, exist_ok=True)
    learner, loss = (_splade if family == "splade" else _cross_encoder)(
        model, tokenizer, pairs, warmup
    )
    shown = warmup["queries"] * (warmup["negatives"] + 1)
    optimise(learner, whole(loss), schedule, state, watch=Watch(pairs=shown))
    saved: Any = model if family == "splade" else model.base_model
    saved.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with aside(out / SIDECAR) as record:
        record.write_text(made.dumps() + "\n", encoding="utf-8")
    state.done()


class _Pairs:
    """The training pairs as token ids: queries[i] with its relevant passage, a row of passages.

    qrels: of relevant passages alone; those of queries that are not in `queries` are passed over.
    """

    def __init__(
        self, tokenizer: Any, passages: pa.Table, queries: pa.Table, qrels: pa.Table
    ) -> None:
        self.passages = _tokens(tokenizer, passages["text"].to_pylist())
        by_id = dict(zip(queries["query_id"].to_pylist(), queries["text"].to_pylist(), strict=True))
        place = {doc_id: row for row, doc_id in enumerate(passages["doc_id"].to_pylist())}
        pairs = zip(qrels["query_id"].to_pylist(), qrels["doc_id"].to_pylist(), strict=True)
        kept = [(by_id[q], place[d]) for q, d in pairs if q in by_id and d in place]
        self.positives = [row for _, row in kept]
        self.queries = _tokens(tokenizer, [text for text, _ in kept])


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[Tokens]:
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return [np.asarray(ids, np.int32) for ids in encoded]


Warmup = tuple[nn.Module, Callable[[int], Tensor]]


def _cross_encoder(model: Any, tokenizer: Any, pairs: _Pairs, warmup: Mapping[str, Any]) -> Warmup:
    """What matching is: the query's own passage against lexically near ones and a random one.

    One bit a pair takes thousands of steps to be heard by a fresh encoder. So the logit also learns
    BM25's margins, and every token is asked, through a probe that is thrown away afterwards,
    whether it occurs on the other side and what that is worth (docs/protocol.md: what was tried).
    """
    query, passage = warmup["query_length"], warmup["passage_length"]
    lengths = {"query_length": query, "passage_length": passage, "pair_length": query + passage + 4}
    student = Cat(model, tokenizer, lengths)
    probe = nn.Linear(model.config.hidden_size, 2)
    student.add_module("probe", probe)
    bm25 = warmup["bm25"]
    cut = [tokens[:passage] for tokens in pairs.passages]
    lexicon = Lexicon.of(cut, len(tokenizer), bm25["k1"], bm25["b"])
    near = lexicon.neighbours([t[:query] for t in pairs.queries], cut, bm25["depth"])
    seed, count, width = warmup["seed"], warmup["queries"], warmup["negatives"] + 1

    def loss(step: int) -> Tensor:
        rows = step_rows(len(pairs.queries), count, seed, step)
        rng = generator(seed, "warm-up negatives", step)
        chosen = rng.integers(len(pairs.passages), size=(count, width))
        for place, row in enumerate(rows):
            some = rng.permutation(near[row])[: width - 2]
            chosen[place, : len(some) + 1] = [pairs.positives[row], *some]
        queries = [pairs.queries[row] for row in rows for _ in range(width)]
        inputs = student.inputs(queries, [pairs.passages[i] for i in chosen.flat])
        output = model(**inputs, output_hidden_states=True)
        labels = torch.zeros(count, width)
        labels[:, 0] = 1
        # a passage drawn may be the query's own: it is then no negative
        mask = torch.from_numpy(chosen != chosen[:, :1]) | (labels > 0)
        scores = output.logits.view(count, width)
        contrast = objectives.infonce(scores, labels, mask, temperature=1.0)
        shared, worth, words = _matches(inputs["input_ids"], tokenizer, lexicon)
        asked, worth = probe(output.hidden_states[-1]), worth / bm25["scale"]
        tokens = F.binary_cross_entropy_with_logits(asked[..., 0][words], shared[words])
        tokens = tokens + F.mse_loss(asked[..., 1][words], worth[words])
        margins = objectives.margin_mse(scores, worth.sum(1).view(count, width), mask)
        total: Tensor = contrast + bm25["margins"] * margins + bm25["tokens"] * tokens
        return total

    return student, loss


def _matches(ids: Tensor, tokenizer: Any, lexicon: Lexicon) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for tokens [N, L] of pairs: is it on the other side, what is it worth, is it a word.

    Only query tokens are worth anything: their sum is the pair's BM25.
    """
    separators = ids == tokenizer.sep_token_id
    side = separators.cumsum(1) - separators.long()  # 0 for the query, 1 for the passage
    words = ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))
    across = side[:, :, None] != side[:, None, :]
    counts = ((ids[:, :, None] == ids[:, None, :]) & across).sum(2).float() * words
    lengths = (words & (side == 1)).sum(1, keepdim=True)
    worth = lexicon.worth(ids, counts, lengths) * (words & (side == 0))
    return (counts > 0).float(), worth, words


def _splade(model: nn.Module, tokenizer: Any, pairs: _Pairs, warmup: Mapping[str, Any]) -> Warmup:
    """In-batch InfoNCE with the FLOPS penalty on both sides."""
    encoder = Splade(model, tokenizer)
    seed, count = warmup["seed"], warmup["queries"]

    def loss(step: int) -> Tensor:
        rows = step_rows(len(pairs.queries), count, seed, step)
        queries = encoder.vectors([pairs.queries[row] for row in rows], warmup["query_length"])
        own = [pairs.passages[pairs.positives[row]] for row in rows]
        passages = encoder.vectors(own, warmup["passage_length"])
        labels, mask = torch.eye(count), torch.ones(count, count, dtype=torch.bool)
        contrast = objectives.infonce(queries @ passages.T, labels, mask, temperature=1.0)
        total: Tensor = contrast + warmup["flops"] * (flops(queries) + flops(passages))
        return total

    return encoder, loss
