"""The exact dense search beside faiss alone and numpy: `python -m benchmarks.search`.

Writes random vectors as `embed` stores them, and answers queries from them. Ours reads the stores
by memory map, block by block. faiss holds all vectors in an IndexFlatIP, with blocks of its default
size and of ours. numpy multiplies blocks, cuts each with argpartition and merges. Every contestant
runs in a process of its own, in each round, in an order that rotates. All must find the same
passages, but for ties at the cut. The table has milliseconds a query (median over the rounds), CPU
time of all threads, peak memory, and the ratio to ours. What else the machine does counts in: the
load is printed too.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.seeds import generator
from redistil.stages.retrieved.embed import BLOCK, rows_of_shard
from redistil.storage import states
from redistil.storage.lineage import Made
from redistil.storage.states import WINDOW, Stored
from redistil.storage.stretches import positions

Floats = npt.NDArray[np.float32]
Found = tuple[Floats, npt.NDArray[np.int64]]  # scores and rows [queries, depth], best first
QUERIES, FOUND = "queries.npy", "found.npy"
CONTESTANTS = ("ours", "ours, float16", "faiss", "faiss, our blocks", "numpy")


def write(folder: Path, passages: int, width: int, shards: int) -> None:
    """Write random vectors as stores of both kinds; all are float16 numbers, to be equal."""
    rng = generator(1, "passages")
    for shard in range(shards):
        part = rows_of_shard(passages, shard, shards)
        writers = {}
        for kind in states.KINDS:
            writers[kind] = states.writer(_store(folder, kind, shard), Made("x", "x"), kind, width)
        with writers["float32"] as whole, writers["float16"] as half:
            for start in range(0, len(part), WINDOW):
                rows = part[start : start + WINDOW]
                vectors = rng.standard_normal((len(rows), width)).astype(np.float16)
                for append in (whole, half):
                    ids = pa.array(list(map(str, rows)))
                    append(ids, vectors, np.ones(len(rows), np.int64))


def _store(folder: Path, kind: str, shard: int) -> Path:
    return folder / f"{kind}-{shard}.arrow"


def _stores(folder: Path, kind: str) -> list[Stored]:
    return list(map(Stored, sorted(folder.glob(f"{kind}-*.arrow"))))


def _whole(folder: Path) -> Floats:
    parts: list[Any] = []
    for stored in _stores(folder, "float32"):
        parts += stored.rows()
    return np.concatenate(parts)


# --- who answers: each returns a function of queries, once its vectors are in place ---------------


def ours(folder: Path, kind: str, depth: int) -> Callable[[Floats], Found]:
    """Return our search of the stores, which it reads anew for each call."""
    from redistil.stages.retrieved import search

    stores = _stores(folder, kind)

    def answer(queries: Floats) -> Found:
        hits = search.best(queries, stores, depth)
        ordered = hits.at(np.lexsort((-hits.score, hits.query)))
        kept = ordered.at(positions(ordered.query) <= depth)  # of those that tie, the first
        shape = (len(queries), depth)
        return kept.score.reshape(shape), kept.passage.reshape(shape)

    return answer


def by_faiss(folder: Path, block: int, depth: int) -> Callable[[Floats], Found]:
    """Return faiss's own search of all vectors in memory; block: passages that it multiplies."""
    import faiss

    if block:
        faiss.cvar.distance_compute_blas_database_bs = block
    vectors = _whole(folder)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    del vectors

    def answer(queries: Floats) -> Found:
        hits: Found = index.search(queries, depth)
        return hits

    return answer


def by_numpy(folder: Path, depth: int) -> Callable[[Floats], Found]:
    """Return a search by numpy alone: blocks multiplied, cut, merged."""
    vectors = _whole(folder)

    def answer(queries: Floats) -> Found:
        scores = np.empty((len(queries), 0), np.float32)
        rows = np.empty((len(queries), 0), np.int64)
        for start in range(0, len(vectors), BLOCK):
            products = queries @ vectors[start : start + BLOCK].T
            places = np.arange(start, start + products.shape[1])
            scores = np.concatenate([scores, products], axis=1)
            rows = np.concatenate([rows, np.broadcast_to(places, products.shape)], axis=1)
            if scores.shape[1] > depth:
                best = np.argpartition(scores, -depth, axis=1)[:, -depth:]
                scores = np.take_along_axis(scores, best, axis=1)
                rows = np.take_along_axis(rows, best, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)

    return answer


def contest(who: str, folder: Path, depth: int, threads: int) -> None:
    """Run one contestant in this process; print what it took, and save what it found."""
    import faiss
    import torch

    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    answers = {
        "ours": lambda: ours(folder, "float32", depth),
        "ours, float16": lambda: ours(folder, "float16", depth),
        "faiss": lambda: by_faiss(folder, 0, depth),
        "faiss, our blocks": lambda: by_faiss(folder, BLOCK, depth),
        "numpy": lambda: by_numpy(folder, depth),
    }
    answer = answers[who]()
    queries = np.load(folder / QUERIES)
    answer(queries[:1])
    wall, cpu = time.perf_counter(), time.process_time()
    scores, rows = answer(queries)
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    np.save(folder / f"{CONTESTANTS.index(who)}-{FOUND}", np.sort(rows, axis=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(took | {"peak": peak, "sum": float(scores.sum())}))


def _in_its_process(who: str, folder: Path, depth: int, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.search", "--who", who, "--folder", str(folder)]
    command += ["--depth", str(depth), "--threads", str(threads)]
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took


@click.command()
@click.option("--passages", default=200_000, show_default=True)
@click.option("--queries", default=1024, show_default=True)
@click.option("--width", default=768, show_default=True)
@click.option("--depth", default=1000, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--shards", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--who", type=click.Choice(CONTESTANTS), hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(
    passages: int,
    queries: int,
    width: int,
    depth: int,
    threads: int,
    shards: int,
    rounds: int,
    who: str | None,
    folder: Path | None,
) -> None:
    """Measure the exact dense search over random vectors, ours beside faiss and numpy."""
    if who is not None and folder is not None:
        contest(who, folder, depth, threads)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write(folder, passages, width, shards)
        vectors = generator(1, "queries").standard_normal((queries, width), dtype=np.float32)
        np.save(folder / QUERIES, vectors)
        print(f"{passages:,} passages of {width} numbers, {queries} queries, depth {depth}")
        print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        took: dict[str, list[dict[str, float]]] = {}
        for turn in range(rounds):
            for place in range(len(CONTESTANTS)):
                one = CONTESTANTS[(place + turn) % len(CONTESTANTS)]
                took.setdefault(one, []).append(_in_its_process(one, folder, depth, threads))
        print(*table(took, queries), sep="\n")
        same = np.load(folder / f"0-{FOUND}")
        for place, one in enumerate(CONTESTANTS):
            differ = (np.load(folder / f"{place}-{FOUND}") != same).any(axis=1).sum()
            print(f"{one}: {differ} of {queries} queries have other passages than ours")


def table(took: dict[str, list[dict[str, float]]], queries: int) -> list[str]:
    """Return the lines of the table; ratios are round by round."""
    lines = [
        "| who | ms a query | CPU ms a query | memory at most, GiB | time / ours | CPU / ours |",
        "|---|---|---|---|---|---|",
    ]
    for one in CONTESTANTS:
        cells = [one]
        for key in ("wall", "cpu"):
            cells.append(f"{1000 * median(run[key] for run in took[one]) / queries:.2f}")
        cells.append(f"{max(run['peak'] for run in took[one]):.2f}")
        for key in ("wall", "cpu"):
            rounds = zip(took[one], took["ours"], strict=True)
            cells.append(f"{median(mine[key] / base[key] for mine, base in rounds):.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
