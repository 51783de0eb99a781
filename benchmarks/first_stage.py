"""The exact SPLADE search beside scipy's sparse product: `python -m benchmarks.first_stage`.

Makes vectors as SPLADE-v3 gives them (some 120 of 30,522 terms a passage, 40 a query, terms as
unequally frequent as word pieces), writes them as `encode` does, and answers the queries from the
files with our `search`: read, invert, multiply, keep, merge. scipy multiplies the same queries with
the same inverted index and keeps the best with numpy's partition. Both answers must be the same.
Prints milliseconds a query, peak memory, the ratio, and what 8,841,823 passages would cost. What
else the machine does counts in: the load is printed too.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from redistil.seeds import generator
from redistil.stages.candidates.search import cut, pieces, search
from redistil.stages.candidates.splade import WINDOW, _vector_rows
from redistil.storage.cut import Candidates
from redistil.storage.lineage import Made
from redistil.storage.tables import VECTORS

VOCABULARY = 30_522
MSMARCO = 8_841_823
PASSAGE_TERMS, QUERY_TERMS = 120, 40


def likely() -> npt.NDArray[np.float64]:
    """Return how likely each term is: a power law that leaves the commonest at some 20 %."""
    weights = 1.0 / (np.arange(VOCABULARY) + 50.0) ** 0.7
    return np.cumsum(weights / weights.sum())


def texts(rng: np.random.Generator, count: int, terms: int) -> sparse.csr_matrix:
    """Return random vectors [count, vocabulary] of about `terms` weights each."""
    lengths = rng.poisson(terms, count)
    columns = np.searchsorted(likely(), rng.random(lengths.sum())).astype(np.int32)
    rows = np.repeat(np.arange(count), lengths)
    weights = rng.gamma(2.0, 0.4, len(rows)).astype(np.float32)
    made = sparse.coo_matrix((weights, (rows, columns)), shape=(count, VOCABULARY)).tocsr()
    made.sum_duplicates()
    return made


def write(folder: Path, passages: int, shards: int) -> tuple[list[Path], int]:
    """Write the vectors of some passages as `encode` would, window by window."""
    paths, postings, start = [], 0, 0
    for shard in range(shards):
        end = passages * (shard + 1) // shards
        paths.append(folder / f"{shard}.parquet")
        with VECTORS.writer(paths[-1], Made("benchmark", str(shard))) as put:
            for first in range(start, end, WINDOW):
                ids = pa.array([str(row) for row in range(first, min(first + WINDOW, end))])
                vectors = texts(generator(1, f"passages {first}"), len(ids), PASSAGE_TERMS)
                postings += vectors.nnz
                put(_vector_rows(ids, vectors))
        start = end
    return paths, postings


def by_scipy(queries: sparse.csr_matrix, index: sparse.csr_matrix, depth: int) -> Candidates:
    """Answer as one would with scipy alone: the whole product, then the best of each row."""
    scores = (queries @ index).tocsr()
    kept = []
    for row in range(scores.shape[0]):
        places = slice(scores.indptr[row], scores.indptr[row + 1])
        values, passages = scores.data[places], scores.indices[places]
        if len(values) > depth:
            best = values >= np.partition(values, -depth)[-depth]
            values, passages = values[best], passages[best]
        kept.append((np.full(len(values), row, np.int32), passages.astype(np.int64), values))
    query, passage, score = zip(*kept, strict=True)
    candidates = Candidates(np.concatenate(query), np.concatenate(passage), np.concatenate(score))
    return cut(candidates, depth)


def timed(queries: int, work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what `work` gives, and milliseconds a query of time and of CPU on all threads."""
    time_, cpu = time.perf_counter(), time.process_time()
    answer = work()
    each = (
        1000 * (now - then) / queries
        for now, then in ((time.perf_counter(), time_), (time.process_time(), cpu))
    )
    return answer, *each


def peak() -> float:
    """Return the most memory this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@click.command()
@click.option("--passages", default=1_000_000, show_default=True)
@click.option("--queries", default=512, show_default=True)
@click.option("--depth", default=1000, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--shards", default=2, show_default=True)
@click.option("--peer/--no-peer", default=True, help="Measure scipy too.")
def main(passages: int, queries: int, depth: int, threads: int, shards: int, peer: bool) -> None:
    """Measure the exact search over synthetic SPLADE vectors, ours beside scipy's."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        paths, postings = write(Path(folder), passages, shards)
        vectors = texts(generator(1, "queries"), queries, QUERY_TERMS)
        spent = time.perf_counter() - begun
        print(f"{passages:,} passages, {postings:,} postings in {shards} files ({spent:.0f} s)")
        print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

        begun = time.perf_counter()
        indexes = list(pieces(paths, VOCABULARY))
        reading = time.perf_counter() - begun
        (ours, _), each, busy = timed(queries, lambda: search(vectors, indexes, depth, threads))
        print(f"ours:  {each:7.2f} ms a query on {threads} threads ({busy:.2f} ms of CPU)")
        print(f"       {peak():7.2f} GiB at most")
        print(f"       {reading:7.1f} s to read and invert the files, once for all queries")
        scale = MSMARCO / passages
        print(
            f"at {MSMARCO:,} passages, {scale:.1f} times as many: {each * scale:.0f} ms a query; "
            f"with the reading {(each * 6.98 + reading) * scale / 60:.0f} min for 6,980 queries"
        )
        if peer:
            index = sparse.hstack([one for one, _ in indexes]).tocsr()
            theirs, other, theirs_busy = timed(queries, lambda: by_scipy(vectors, index, depth))
            print(f"scipy: {other:7.2f} ms a query on its one thread ({theirs_busy:.2f} ms of CPU)")
            print(f"scipy / ours: {other / each:.2f} in time, {theirs_busy / busy:.2f} in CPU")
            same = np.array_equal(ours.score, theirs.score)
            alike = {*zip(ours.query.tolist(), ours.passage.tolist(), strict=True)} == {
                *zip(theirs.query.tolist(), theirs.passage.tolist(), strict=True)
            }
            print(f"same pairs: {alike}; same scores to the last bit: {same}")


if __name__ == "__main__":
    main()
