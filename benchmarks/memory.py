"""What the stages hold in memory that millions of rows pass through: `python -m benchmarks.memory`.

Writes a collection in BEIR layout and a TREC run, both synthetic and of the sizes given, and lets
`redistil export-passages` and `redistil import-run` read them in processes of their own, at half
that size and at the whole: memory that grew with the rows would be twice as much. Prints rows a
second, the most memory each held (not what is only mapped from the disk), and how long MS MARCO's
8,841,823 passages and the 251,469,500 rows of ColBERTv2's top 500 would take.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as csv

from redistil.lineage import Made
from redistil.seeds import generator
from redistil.tables import QRELS

PASSAGES, RUN_ROWS = 8_841_823, 502_939 * 500
WORDS = 56  # of a passage, as MS MARCO's
DEPTH = 500


def collection(folder: Path, passages: int) -> Path:
    """Write corpus.jsonl with random words."""
    rng = generator(1, "collection")
    vocabulary = np.array([f"w{number:x}" for number in range(100_000)])
    folder.mkdir()
    with (folder / "corpus.jsonl").open("w") as out:
        for start in range(0, passages, 10_000):
            words = vocabulary[rng.integers(len(vocabulary), size=(10_000, WORDS))]
            for row, text in enumerate(words[: passages - start]):
                line = " ".join(text.tolist())
                out.write(f'{{"_id": "{start + row}", "title": "", "text": "{line}"}}\n')
    return folder


def run(path: Path, rows: int) -> Path:
    """Write a TREC run of `DEPTH` passages a query, queries in the order of their numbers."""
    rng = generator(1, "run")
    ranks = np.tile(np.arange(1, DEPTH + 1), 1000)
    no_header = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    with path.open("wb") as out:
        for first in range(0, rows // DEPTH, 1000):
            queries = np.repeat(np.arange(first, first + 1000), DEPTH)
            docs = np.concatenate([rng.choice(PASSAGES, DEPTH, shuffle=False) for _ in range(1000)])
            docs = docs // DEPTH * DEPTH + ranks - 1  # no passage twice
            words = [pa.repeat(word, len(docs)) for word in ("Q0", "colbert")]
            columns = [queries, words[0], docs, ranks, 40 - ranks / 64, words[1]]
            some = pa.table(columns, names=list("abcdef"))[: (rows - first * DEPTH)]
            csv.write_csv(some, out, no_header)
    return path


def measured(*command: str) -> tuple[float, float]:
    """Run one of our commands; return seconds, and the most GiB it held that is its own."""
    begun, most = time.perf_counter(), 0.0
    line = [sys.executable, "-c", "from redistil.cli import main; main()", *command]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL) as job:
        process = psutil.Process(job.pid)
        while job.poll() is None:
            try:
                held = process.memory_info()
                most = max(most, (held.rss - held.shared) / 2**30)
            except psutil.Error:
                break
            time.sleep(0.02)
    if job.wait():
        raise click.ClickException(f"{' '.join(command[:1])} failed")
    return time.perf_counter() - begun, most


def told(what: str, rows: int, whole: int, found: list[tuple[float, float]]) -> None:
    """Print what was measured at half of `rows` and at all, and how long `whole` would take."""
    (_, half), (seconds, full) = found
    print(f"{what}: {rows:,} rows in {seconds:.0f} s, {rows / seconds:,.0f} a second")
    print(f"  {half:.2f} GiB at {rows // 2:,} rows, {full:.2f} GiB at {rows:,}")
    print(f"  {whole:,} rows would take {seconds / rows * whole / 60:.0f} min")


@click.command()
@click.option("--passages", default=600_000, show_default=True)
@click.option("--rows", default=10_000_000, show_default=True, help="Of the run.")
def main(passages: int, rows: int) -> None:
    """Measure the memory that exporting a corpus and importing a run take."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), []
        for count in (passages // 2, passages):
            corpus = collection(folder / f"{count}", count)
            out = folder / "passages.parquet"
            entry = f'{{"folder": "{corpus}", "documents": {count}}}'
            found.append(measured("export-passages", str(out), "--corpus", entry))
        told("export-passages", passages, PASSAGES, found)
        judged = QRELS.rows({"query_id": ["0"], "doc_id": ["none"], "relevance": pa.array([0])})
        QRELS.write(judged, folder / "qrels.parquet", Made("benchmark", "qrels"))
        found = []
        for count in (rows // 2, rows):
            source = run(folder / f"{count}.run", count)
            words = ["import-run", str(source), str(folder / "qrels.parquet"), str(folder / "out")]
            found.append(measured(*words, "--drop-identical", "no", "--least-success", "0"))
        told("import-run", rows, RUN_ROWS, found)


if __name__ == "__main__":
    main()
