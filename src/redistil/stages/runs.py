"""Re-ranked runs: the first stage's candidates in the order of a model, an ensemble, or chance."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from redistil.machine.energy import Meter, Spent
from redistil.machine.hardware import commit
from redistil.seeds import generator
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces
from redistil.storage.shards import Shards
from redistil.storage.tables import RUN, ranked, top


class Member(NamedTuple):
    """A model folder, and the token files of queries and passages under its tokenizer."""

    model: Path
    queries: Path
    passages: Path


SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed
LOOKED_UP = 1 << 20  # pairs whose token rows are looked up together: each time hashes all ids


def rerank(
    candidates: Path,
    members: Sequence[tuple[Path, Path, Path]],
    out: Path,
    made: Made,
    *,
    depth: int,
    precision: str,
    processes: Any,
) -> None:
    """Write the first `depth` candidates of each query, scored by the mean logit of `members`.

    The processes share out shards of queries: memory does not grow with the run, and a resumed job
    does not score finished shards again. Time and energy are written beside `out`, to a file of
    that name with .cost.json. The run itself is the same however long it took.
    """
    from redistil.learning import students  # torch stays behind the door: `shuffle` does without
    from redistil.learning.scoring import mean_scores
    from redistil.machine.costs import account
    from redistil.machine.processes import check_precision
    from redistil.storage.ragged import Ragged, rows_of

    source = commit() if processes.first else ""
    check_precision(precision, processes.device)
    ready, tokens = [], []
    for member in map(Member._make, members):
        queries, passages = Ragged(member.queries), Ragged(member.passages)
        student = students.load(member.model).to(processes.device)
        ready.append((student, queries, passages))
        tokens.append((queries, passages))
    shards, count = Shards(RUN, out, made), 0
    killed = shards.spent()
    before = Spent() if killed is None else Spent.of(killed)
    with Meter(processes.gpus if processes.first else ()) as meter:
        for number, pairs in enumerate(in_pieces(_looked_up(candidates, depth, tokens), SHARD)):
            count += 1
            if number % processes.count == processes.rank and not shards.has(number):
                scores = mean_scores(ready, rows_of(pairs, len(ready)), precision)
                scored = ranked(pairs["query_id"], pairs["doc_id"], scores)
                RUN.write(scored, shards.path(number), made)
                if processes.first:
                    shards.spend(asdict(before + meter.spent()))
        processes.wait()
        spent = before + meter.spent()
    if processes.first:
        rows = shards.join(count)
        account(spent, rows, processes, source, out.with_suffix(".cost.json"))


def _looked_up(candidates: Path, depth: int, tokens: Sequence[Any]) -> Iterator[pa.Table]:
    """Yield the first `depth` candidates of each query, with their rows in all token files."""
    from redistil.storage.ragged import with_rows

    for pairs in in_pieces(_cut(candidates, depth), LOOKED_UP):
        yield with_rows(pairs, tokens)


def _cut(candidates: Path, depth: int) -> Iterator[pa.Table]:
    for batch in RUN.batches(candidates):
        yield top(pa.Table.from_batches([batch]), depth)


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
