"""Re-ranked runs: the first stage's candidates in another order.

The order is that of a model, of BM25, of an ensemble, or chance.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from redistil.errors import BadSource
from redistil.learning import ensembles
from redistil.learning.lexical import PairScorer
from redistil.machine import costs
from redistil.machine.energy import Meter, Note
from redistil.machine.hardware import commit
from redistil.seeds import generator
from redistil.storage import states
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces
from redistil.storage.shards import Shards
from redistil.storage.states import Corpus, Stored
from redistil.storage.tables import RUN, ranked, top


class Model(NamedTuple):
    """A model's folder, and the token files of queries and passages under its tokenizer.

    states: what it computed of the passages before, all shards in order, if that is stored.
    """

    folder: Path
    queries: Path
    passages: Path
    states: Sequence[Path] = ()


SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed
LOOKED_UP = 1 << 20  # pairs whose token rows are looked up together: each time hashes all ids
COST = ".cost.json"  # in the place of a run's suffix: what it cost


def rerank(
    candidates: Path,
    model: Model,
    out: Path,
    made: Made,
    *,
    depth: int,
    precision: str,
    processes: Any,
) -> None:
    """Write the first `depth` candidates of each query, scored by a model's raw logit.

    The processes share out shards of queries: memory does not grow with the run, and a resumed job
    does not score finished shards again. Time and energy are written beside `out`, to a file of
    that name with .cost.json. The run itself is the same however long it took.
    Raises Stale where stored states are not this model's of these passages, and BadSource where
    the model can have none.
    """
    from redistil.learning import students  # torch stays behind the door: others do without
    from redistil.machine.processes import check_precision
    from redistil.storage.ragged import Ragged, rows_of

    source = commit() if processes.first else ""
    check_precision(precision, processes.device)
    queries, passages = Ragged(model.queries), Ragged(model.passages)
    student = students.load(model.folder).to(processes.device)
    score = _scorer(student, model, queries, passages)
    shards = Shards(RUN, out, made)
    count = 0
    note = Note.beside(out.with_suffix(COST), made.fingerprint) if processes.first else None
    looked_up = _looked_up(candidates, depth, queries, passages)
    with Meter(processes.gpus if processes.first else (), note=note) as meter:
        for number, pairs in enumerate(in_pieces(looked_up, SHARD)):
            count += 1
            if number % processes.count == processes.rank and not shards.has(number):
                scores = score(rows_of(pairs), precision)
                scored = ranked(pairs["query_id"], pairs["doc_id"], scores)
                RUN.write(scored, shards.path(number), made)
        processes.wait()
        spent = meter.spent()
    if processes.first:
        rows = shards.join(count)
        costs.account(spent, rows, processes, source, out.with_suffix(COST))


def _scorer(student: Any, model: Model, queries: Any, passages: Any) -> Callable[..., Any]:
    """Return what scores pairs by their rows: it encodes passages, or reads what is stored."""
    from redistil.learning.scoring import score_pairs
    from redistil.learning.stored import score_stored

    if not model.states:
        return partial(score_pairs, student, queries, passages)
    if student.kept is None:
        raise BadSource(
            f"{model.folder}: its architecture reads query and passage together, so that no states "
            "of passages can be read: leave --states out"
        )
    stores = list(map(Stored, model.states))
    states.check_tokens(model.folder, model.queries)
    states.check_stores(model.folder, stores)
    states.check_passages(passages, stores)
    return partial(score_stored, student, queries, Corpus(stores))


def _looked_up(candidates: Path, depth: int, queries: Any, passages: Any) -> Iterator[pa.Table]:
    """Yield the first `depth` candidates of each query, with their rows in two token files."""
    from redistil.storage.ragged import with_rows

    for pairs in in_pieces(_cut(candidates, depth), LOOKED_UP):
        yield with_rows(pairs, queries, passages)


def _cut(candidates: Path, depth: int) -> Iterator[pa.Table]:
    for batch in RUN.batches(candidates):
        yield top(pa.Table.from_batches([batch]), depth)


def rerank_bm25(
    candidates: Path,
    queries: Path,
    passages: Path,
    out: Path,
    made: Made,
    *,
    depth: int,
    k1: float,
    b: float,
    stemmer: str,
) -> None:
    """Write the first `depth` candidates of each query, scored by BM25 over all passages.

    Time and energy are written beside `out`, as by `rerank`.
    """
    source = commit()
    with Meter(note=Note.beside(out.with_suffix(COST), made.fingerprint)) as meter:
        scorer = PairScorer(queries, passages, k1=k1, b=b, stemmer=stemmer)
        with RUN.writer(out, made) as write:
            for pairs in in_pieces(_cut(candidates, depth), SHARD):
                write(ranked(pairs["query_id"], pairs["doc_id"], scorer.scores(pairs)))
        spent = meter.spent()
    costs.account_alone(spent, RUN.count(out), source, out.with_suffix(COST))


def fuse(members: Sequence[Path], out: Path, made: Made, standardise: str | None = None) -> None:
    """Write the run of an ensemble: the mean score of each pair over the runs of its members.

    standardise: as of `ensembles.mean`. What all members cost is written beside `out`, if it is
    known. Raises UserError when members scored different pairs.
    """
    with RUN.writer(out, made) as write:
        for scored in ensembles.together(RUN, members):
            mean = ensembles.mean(scored, standardise)
            write(ranked(scored.pairs["query_id"], scored.pairs["doc_id"], mean))
    spent = [member.with_suffix(COST) for member in members]
    costs.account_together(spent, RUN.count(out), out.with_suffix(COST))


def shuffle(candidates: Path, out: Path, made: Made, *, depth: int, seed: int) -> None:
    """Write the first `depth` candidates of each query in random order: every table's floor."""
    RUN.write(shuffled(top(RUN.read(candidates), depth), seed), out, made)


def shuffled(run: pa.Table, seed: int) -> pa.Table:
    """Return a run with scores drawn anew; each query draws from a stream of its own."""
    counts = run["query_id"].combine_chunks().value_counts()
    scores: list[float] = []
    for row in counts.to_pylist():
        scores += generator(seed, "shuffle", row["values"]).random(row["counts"]).tolist()
    return ranked(run["query_id"], run["doc_id"], scores)
