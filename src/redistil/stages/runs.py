"""Re-ranked runs: the first stage's candidates in the order of a model, an ensemble, or chance."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from redistil.machine.energy import Meter, Spent
from redistil.machine.hardware import commit
from redistil.seeds import generator
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_pieces
from redistil.storage.shards import Shards
from redistil.storage.tables import RUN, ranked, top

Member = tuple[Path, Path, Path]  # a model folder, and token files of queries and passages

SHARD = 1 << 16  # pairs scored and written together, and lost at most when a job is killed
LOOKED_UP = 1 << 20  # pairs whose token rows are found together: each time, all ids are hashed


def rerank(
    candidates: Path,
    members: Sequence[Member],
    out: Path,
    made: Made,
    *,
    depth: int,
    precision: str,
    processes: Any,
) -> None:
    """Write the first `depth` candidates of each query, scored by the mean logit of `members`.

    Goes through the queries in shards, dealt out to the processes: memory does not grow with the
    run, and what a killed job had finished is not scored again. What it cost is told beside `out`,
    in a file named as that with .cost.json: the run itself is the same however long it took.
    """
    from redistil.learning import students  # torch stays behind the door: `shuffle` does without
    from redistil.learning.scoring import mean_scores
    from redistil.machine.costs import account
    from redistil.machine.processes import check_precision
    from redistil.storage.ragged import Ragged, rows_of, with_rows

    source = commit() if processes.first else ""
    check_precision(precision, processes.device)
    ready = [
        (students.load(model).to(processes.device), Ragged(queries), Ragged(passages))
        for model, queries, passages in members
    ]
    tokens = [(queries, passages) for _, queries, passages in ready]
    found = (with_rows(pairs, tokens) for pairs in in_pieces(_cut(candidates, depth), LOOKED_UP))
    shards, count = Shards(RUN, out, made), 0
    told = shards.spent()
    before = Spent() if told is None else Spent.of(told)
    with Meter(processes.gpus if processes.first else ()) as meter:
        for number, pairs in enumerate(in_pieces(found, SHARD)):
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


def _cut(candidates: Path, depth: int) -> Iterator[pa.Table]:
    for batch in RUN.batches(candidates):
        yield top(pa.Table.from_batches([batch]), depth)


def shuffle(candidates: Path, out: Path, made: Made, *, depth: int, seed: int) -> None:
    """Write the first `depth` candidates of each query in random order: every table's floor."""
    RUN.write(shuffled(top(RUN.read(candidates), depth), seed), out, made)


def shuffled(run: pa.Table, seed: int) -> pa.Table:
    """Return a run with scores drawn anew; each query draws from a stream of its own."""
    scores: list[float] = []
    for query_id, count in _sizes(run):
        scores += generator(seed, "shuffle", query_id).random(count).tolist()
    return ranked(run["query_id"], run["doc_id"], scores)


def _sizes(run: pa.Table) -> list[tuple[str, int]]:
    """Return each query with its number of candidates, in the order of the run."""
    counts = run["query_id"].combine_chunks().value_counts()
    return [(row["values"], row["counts"]) for row in counts.to_pylist()]
