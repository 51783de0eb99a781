"""Tiny checkpoints from a corpus: tokenizer, mimetic network, warm-up, gate."""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from redistil.errors import BadTable
from redistil.learning.history import Checkpoint, History, Point
from redistil.learning.optimise import Schedule, Watch, optimise, whole
from redistil.machine.costs import account
from redistil.machine.energy import Note
from redistil.machine.hardware import commit
from redistil.machine.processes import Processes
from redistil.seeds import derive
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.pairs import Pairs
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.stages.backbones.warmup import CrossEncoder, SpladeEncoder
from redistil.storage import lineage
from redistil.storage.aside import files_aside
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES

_log = logging.getLogger(__name__)

COST = "cost.json"  # beside the weights


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
    nor the warm-up sees. Raises BadTable when no query is left, and UserError when the encoder does
    not pass the gate of its warm-up; no weights are written then.
    """
    warming = prepare(
        sources,
        family=family,
        vocabulary_size=vocabulary_size,
        shape=shape,
        warmup=warmup,
        relevant_from=relevant_from,
        leave_out=leave_out,
    )
    out.mkdir(parents=True, exist_ok=True)
    source = commit()
    state = Checkpoint(out / "checkpoint.safetensors", 100, made.fingerprint)
    note = Note.beside(out / COST, made.fingerprint)
    history = warm_up(warming, warmup, state, note)
    verdict = warming.verdict()
    if verdict:
        verdict.refuse(made.name)
        verdict.write(out)
        _log.info("%s: %s", made.name, verdict)
    with files_aside(out) as partial:
        warming.encoder.save_pretrained(partial)
        warming.tokenizer.save_pretrained(partial)
    pairs = len(history.points) * _shown(warmup)
    account(history.spent, pairs, Processes("cpu"), source, out / COST)
    lineage.record(made, out)
    state.done()


def prepare(
    sources: tuple[Path, Path, Path],
    *,
    family: str,
    vocabulary_size: int,
    shape: Mapping[str, int],
    warmup: Mapping[str, Any],
    relevant_from: int,
    leave_out: Collection[str] = (),
) -> CrossEncoder | SpladeEncoder:
    """Return the warm-up of a fresh network; the arguments are those of `build`."""
    passages = PASSAGES.read(sources[0])
    queries = _without(QUERIES.read(sources[1]), leave_out)
    qrels = _relevant(QRELS.read(sources[2]), relevant_from)
    texts = [*passages["text"].to_pylist(), *queries["text"].to_pylist()]
    torch.manual_seed(derive(warmup["seed"], "network"))
    tokenizer = vocabulary(family, texts, vocabulary_size)
    model = network(family, tokenizer, **shape)
    pairs = Pairs.of(tokenizer, passages, queries, qrels)
    if not pairs.queries:
        raise BadTable(
            f"no query of {sources[1]} has a passage of {sources[0]} that {sources[2]} judges "
            f"relevant (grade {relevant_from} or above): are they of one dataset, and is any "
            "query left that no test set has?"
        )
    encoder = SpladeEncoder if family == "splade" else CrossEncoder
    return encoder(model, tokenizer, pairs, warmup)


def warm_up(
    warming: CrossEncoder | SpladeEncoder,
    warmup: Mapping[str, Any],
    state: Checkpoint | None = None,
    note: Note | None = None,
    tell: Callable[[Point], None] = lambda point: None,
) -> History:
    """Train the network in place; note: of its cost so far; tell: called after every step."""
    watch = Watch(pairs=_shown(warmup), tell=tell, note=note)
    return optimise(warming.learner, whole(warming.loss), _schedule(warmup), state, watch=watch)


def _shown(warmup: Mapping[str, Any]) -> int:
    """Return how many pairs of query and passage a step shows."""
    shown: int = warmup["queries"] * (warmup["negatives"] + 1)
    return shown


def _without(queries: pa.Table, leave_out: Collection[str]) -> pa.Table:
    apart = pc.is_in(queries["query_id"], pa.array(sorted(leave_out), pa.string()))
    return queries.filter(pc.invert(apart))


def _relevant(qrels: pa.Table, least: int) -> pa.Table:
    return qrels.filter(pc.greater_equal(qrels["relevance"], least))


def _schedule(warmup: Mapping[str, Any]) -> Schedule:
    return Schedule(
        steps=warmup["steps"],
        warmup_steps=warmup["steps"] // 10,
        learning_rate=warmup["learning_rate"],
        shape="linear",
        epsilon=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        seed=warmup["seed"],
    )
