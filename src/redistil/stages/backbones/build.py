"""Tiny checkpoints from a corpus: tokenizer, mimetic network, warm-up."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from redistil.errors import BadTable
from redistil.learning.history import Checkpoint
from redistil.learning.optimise import Schedule, Watch, optimise, whole
from redistil.seeds import derive
from redistil.stages.backbones import warmup as warmups
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.storage.lineage import SIDECAR, Made
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
    passages = PASSAGES.read(sources[0])
    queries = _without(QUERIES.read(sources[1]), leave_out)
    qrels = QRELS.read(sources[2])
    qrels = qrels.filter(pc.greater_equal(qrels["relevance"], relevant_from))
    texts = [*passages["text"].to_pylist(), *queries["text"].to_pylist()]
    torch.manual_seed(derive(warmup["seed"], "network"))
    tokenizer = vocabulary(family, texts, vocabulary_size)
    model = network(family, tokenizer, **shape)
    pairs = warmups.Pairs(tokenizer, passages, queries, qrels)
    if not pairs.queries:
        raise BadTable(
            f"no query of {sources[1]} has a passage of {sources[0]} that {sources[2]} judges "
            f"relevant (grade {relevant_from} or above): are they of one dataset, and is any "
            "query left that no test set has?"
        )
    state = Checkpoint(out / "checkpoint.safetensors", 100, made.fingerprint)
    out.mkdir(parents=True, exist_ok=True)
    prepare = warmups.SpladeEncoder if family == "splade" else warmups.CrossEncoder
    warming = prepare(model, tokenizer, pairs, warmup)
    shown = warmup["queries"] * (warmup["negatives"] + 1)
    optimise(
        warming.learner, whole(warming.loss), _schedule(warmup), state, watch=Watch(pairs=shown)
    )
    saved: Any = model if family == "splade" else model.base_model
    saved.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with aside(out / SIDECAR) as record:
        record.write_text(made.dumps() + "\n", encoding="utf-8")
    state.done()


def _without(queries: pa.Table, leave_out: Collection[str]) -> pa.Table:
    apart = pc.is_in(queries["query_id"], pa.array(sorted(leave_out), pa.string()))
    return queries.filter(pc.invert(apart))


def _schedule(warmup: Mapping[str, Any]) -> Schedule:
    return Schedule(
        steps=warmup["steps"],
        warmup_steps=warmup["steps"] // 10,
        learning_rate=warmup["learning_rate"],
        falls=True,
        epsilon=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        seed=warmup["seed"],
    )
