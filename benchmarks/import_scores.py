"""Import a file of scored triples, beside pyarrow.csv reading the same file and doing nothing else.

The file has the shape of arXiv 2010.02666's T2: a positive and many negatives for each query, in
random order, ids below MS MARCO's sizes. Ours is the whole `redistil import-scores`: known ids
read, rows checked, sorted, deduplicated, two Parquet tables written. Each round runs both, each in
a process of its own. `python benchmarks/import_scores.py --rows 10000000`
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES

QUERIES_KNOWN, PASSAGES_KNOWN = 502_939, 8_841_823  # msmarco-passage/train/judged
NEGATIVES = 100  # of a query
FULL = 39_780_704  # rows of the published file
PIECE = 1_000_000

PEER = """
import sys, pyarrow as pa, pyarrow.csv as csv
names = csv.ReadOptions(column_names=["a", "b", "q", "p", "n"])
parse = csv.ParseOptions(delimiter="\\t", quote_char=False)
text = dict(a=pa.float32(), b=pa.float32(), q=pa.string(), p=pa.string(), n=pa.string())
kinds = csv.ConvertOptions(column_types=text if sys.argv[2] == "text" else None)
csv.read_csv(sys.argv[1], read_options=names, parse_options=parse, convert_options=kinds)
"""
PEERS = {"pyarrow.csv": "numbers", "pyarrow.csv, ids as text": "text"}


def known(folder: Path) -> list[Path]:
    """Write the queries and passages that the file may name; the texts are empty."""
    rng = np.random.default_rng(1)
    ids = [rng.choice(1_200_000, QUERIES_KNOWN, replace=False), np.arange(PASSAGES_KNOWN)]
    paths = []
    for table, numbers in zip((QUERIES, PASSAGES), ids, strict=True):
        path = folder / f"{table.name}.parquet"
        text = pa.nulls(len(numbers), pa.string()).fill_null("").cast(pa.large_string())
        columns = [pa.array(numbers).cast(pa.string()), text]
        with table.writer(path, Made("benchmark", table.name)) as write:
            write(pa.table(columns, schema=table.schema).sort_by(table.schema.names[0]))
        paths.append(path)
    return paths


def scored_triples(path: Path, rows: int) -> None:
    """Write the file: scores with six digits, as a function of the pair."""
    rng = np.random.default_rng(2)
    names = np.random.default_rng(1).choice(1_200_000, QUERIES_KNOWN, replace=False)
    names = names[: max(rows // NEGATIVES, 1)]
    positives = rng.integers(0, PASSAGES_KNOWN, len(names))
    plain = csv.WriteOptions(include_header=False, delimiter="\t")
    with path.open("wb") as out:
        for start in range(0, rows, PIECE):
            query = rng.integers(0, len(names), min(PIECE, rows - start))
            negative = rng.integers(0, PASSAGES_KNOWN, len(query))
            docs = positives[query], negative
            scores = [np.sin(names[query] * 0.7 + doc * 1.3) * 11 for doc in docs]
            columns = [*(s.astype(np.float32) for s in scores), names[query]]
            table = pa.table([*columns, *docs], names=list("abqpn"))
            csv.write_csv(table, out, plain)


def run(words: list[str]) -> tuple[float, float, float]:
    """Return the seconds, the CPU seconds and the peak memory (MiB) of a process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        log.seek(0)
        why = log.read()[-500:].decode()
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"it failed: {' '.join(words)}\n{why}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Run both, and print rows a second, the ratio, and what the full file would take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tsv, (queries, passages) = folder / "t2.tsv", known(folder)
        scored_triples(tsv, args.rows)
        ours = [sys.executable, "-c", "from redistil.cli import main; main()", "import-scores"]
        ours += map(str, (tsv, queries, passages, folder / "scores.parquet", folder / "p.parquet"))
        ours += "--format scored-triples --unknown 0 --tolerance 0 --threads".split()
        ours.append(str(args.threads))
        runs = {"ours": ours}
        runs |= {name: [sys.executable, "-c", PEER, str(tsv), how] for name, how in PEERS.items()}
        print(f"{args.rows:,} rows, {tsv.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores")
        best = {who: (math.inf, math.inf, 0.0) for who in runs}
        for _ in range(args.rounds):
            for who, words in runs.items():
                seconds, cpu, memory = run(words)
                print(
                    f"  {who}: {seconds:.2f} s, {cpu:.2f} s of CPU, {memory:,.0f} MiB", flush=True
                )
                before = best[who]
                best[who] = min(seconds, before[0]), min(cpu, before[1]), max(memory, before[2])
    for who, (seconds, cpu, memory) in best.items():
        print(f"{who}: {args.rows / seconds / 1e6:.2f} M rows/s, peak {memory:,.0f} MiB", end="")
        if who == "ours":
            print(
                f"; the full file's {FULL:,} rows at this rate: {FULL * seconds / args.rows:.0f} s"
            )
        else:
            ratios = (seconds / best["ours"][0], cpu / best["ours"][1])
            print("; ours has {:.2f} of its speed ({:.2f} by CPU time)".format(*ratios))


if __name__ == "__main__":
    main()
