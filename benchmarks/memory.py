"""Memory of the stages that millions of rows pass through: `python -m benchmarks.memory`.

Writes synthetic sources of the sizes given, and lets our commands read them in processes of their
own, at half that size and at the whole: memory that grew with the rows would be twice as much.
Prints rows a second, the most memory each held (not what is only mapped from the disk), and how
long MS MARCO's sizes would take. `--only` names what is measured:

- export: `export-passages` of a folder in BEIR layout;
- irds: `export-passages` of a collection of ir_datasets, registered here;
- bm25: `retrieve-bm25` over the same passages;
- docpairs: `export-docpairs`, of which half the rows are kept, and `distinct_pairs` of these: what
  a teacher scores;
- run: `import-run` of a TREC file.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as csv

from redistil.seeds import generator
from redistil.storage.lineage import Made
from redistil.storage.tables import QRELS, QUERIES, Table

PASSAGES, RUN_ROWS, DOCPAIRS = 8_841_823, 502_939 * 500, 269_919_004  # as MS MARCO has them
JUDGED = 502_939  # its training queries
WORDS = 56  # of a passage, as MS MARCO's
DEPTH = 500
MADE = Made("benchmark", "memory")

COMMAND = "from redistil.cli import main; main()"
# a collection of ir_datasets that it reads from files of ours
REGISTERED = """
import sys, ir_datasets
from ir_datasets.formats import TsvDocs, TsvDocPairs
from ir_datasets.util import LocalDownload
kind, file = sys.argv.pop(1), LocalDownload(sys.argv.pop(1))
read = {"docs": TsvDocs, "docpairs": TsvDocPairs}[kind]
ir_datasets.registry.register("own", ir_datasets.Dataset(read(file)))
"""
DISTINCT = """
import sys
from pathlib import Path
from redistil.stages.teachers import distinct_pairs
print(sum(map(len, distinct_pairs([Path(sys.argv[1])]))))
"""


def collection(folder: Path, passages: int, words: int) -> None:
    """Write corpus.jsonl with random words, and the same as a TSV."""
    rng = generator(1, "collection")
    vocabulary = np.array([f"w{number:x}" for number in range(100_000)])
    folder.mkdir()
    with (folder / "corpus.jsonl").open("w") as out, (folder / "docs.tsv").open("w") as tsv:
        for start in range(0, passages, 10_000):
            drawn = vocabulary[rng.integers(len(vocabulary), size=(10_000, words))]
            for row, text in enumerate(drawn[: passages - start]):
                line = " ".join(text.tolist())
                out.write(f'{{"_id": "{start + row}", "title": "", "text": "{line}"}}\n')
                tsv.write(f"{start + row}\t{line}\n")


def docpairs(path: Path, rows: int) -> None:
    """Write triples of ids, a hundred in a row of each query, as MS MARCO's file has them."""
    rng = generator(1, "docpairs")
    plain = csv.WriteOptions(include_header=False, delimiter="\t")
    with path.open("wb") as out:
        for start in range(0, rows, 1_000_000):
            query = np.arange(start, min(start + 1_000_000, rows)) // 100 % JUDGED
            positive, negative = query * 17 % PASSAGES, rng.integers(PASSAGES, size=len(query))
            csv.write_csv(pa.table([query, positive, negative], names=list("abc")), out, plain)


def table(path: Path, kind: Table, *columns: Sequence[object]) -> None:
    """Write one of our tables."""
    kind.write(kind.rows(dict(zip(kind.schema.names, columns, strict=True))), path, MADE)


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


def measured(program: str, *words: object) -> tuple[float, float]:
    """Run a program of Python; return seconds, and the most GiB it held that is its own."""
    begun, most = time.perf_counter(), 0.0
    line = [sys.executable, "-c", program, *map(str, words)]
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=log) as job:
            process = psutil.Process(job.pid)
            while job.poll() is None:
                try:
                    held = process.memory_info()
                    most = max(most, (held.rss - held.shared) / 2**30)
                except psutil.Error:
                    break
                time.sleep(0.02)
        if job.returncode:
            log.seek(0)
            raise click.ClickException(f"{line[3:5]} failed: {log.read()[-1000:].decode()}")
    return time.perf_counter() - begun, most


def told(what: str, rows: int, whole: int, costs: list[tuple[float, float]]) -> None:
    """Print what was measured at half of `rows` and at all, and how long `whole` would take."""
    (_, half), (seconds, full) = costs
    print(f"{what}: {rows:,} rows in {seconds:.0f} s, {rows / seconds:,.0f} a second")
    print(f"  {half:.2f} GiB at {rows // 2:,} rows, {full:.2f} GiB at {rows:,}")
    print(f"  {whole:,} rows would take {seconds / rows * whole / 60:.0f} min", flush=True)


def of_passages(folder: Path, passages: int, words: int, only: set[str]) -> None:
    """Measure what goes through the passages of a collection."""
    costs: dict[str, list[tuple[float, float]]] = {"export": [], "irds": [], "bm25": []}
    out, queries = folder / "passages.parquet", folder / "queries.parquet"
    table(queries, QUERIES, [f"q{i}" for i in range(64)], [f"w{i:x} w{i * 7:x}" for i in range(64)])
    for count in (passages // 2, passages):
        corpus = folder / f"{count}"
        collection(corpus, count, words)
        entry = f'{{"folder": "{corpus}", "documents": {count}}}'
        if only & {"export", "bm25"}:
            ran = measured(COMMAND, "export-passages", out, "--corpus", entry)
            costs["export"].append(ran)
        if "irds" in only:
            source = ["docs", corpus / "docs.tsv", "export-passages", folder / "irds.parquet"]
            entry = f'{{"irds": "own", "documents": {count}}}'
            costs["irds"].append(measured(REGISTERED + COMMAND, *source, "--corpus", entry))
        if "bm25" in only:
            arguments = ["retrieve-bm25", out, queries, folder / "qrels.parquet", folder / "bm25"]
            how = "--k1 0.9 --b 0.4 --stemmer english --depth 1000 --drop-identical no"
            how += " --least-success 0"
            costs["bm25"].append(measured(COMMAND, *arguments, *how.split()))
    for what, ran in costs.items():
        if what in only:
            told(what, passages, PASSAGES, ran)


def of_docpairs(folder: Path, rows: int) -> None:
    """Measure a sample of docpairs, half of them, and the pairs that a teacher would score."""
    costs: dict[str, list[tuple[float, float]]] = {"docpairs": [], "distinct pairs": []}
    queries, out = folder / "queries.parquet", folder / "docpairs.parquet"
    ids = sorted(map(str, range(JUDGED)))
    table(queries, QUERIES, ids, ids)
    for count in (rows // 2, rows):
        docpairs(folder / "docpairs.tsv", count)
        words = ["docpairs", folder / "docpairs.tsv", "export-docpairs", queries, out]
        words += ["--irds", "own", "--at-most", count // 2, "--seed", 1]
        costs["docpairs"].append(measured(REGISTERED + COMMAND, *words))
        costs["distinct pairs"].append(measured(DISTINCT, out))
    told("docpairs", rows, DOCPAIRS, costs["docpairs"])
    told("distinct pairs", rows // 2, 12_800_000, costs["distinct pairs"])


def of_runs(folder: Path, rows: int) -> None:
    """Measure the import of a run."""
    costs = []
    for count in (rows // 2, rows):
        source = run(folder / f"{count}.run", count)
        words = ["import-run", source, folder / "qrels.parquet", folder / "out"]
        costs.append(measured(COMMAND, *words, "--drop-identical", "no", "--least-success", "0"))
    told("import-run", rows, RUN_ROWS, costs)


@click.command()
@click.option("--passages", default=600_000, show_default=True)
@click.option("--words", default=WORDS, show_default=True, help="Of a passage.")
@click.option("--rows", default=10_000_000, show_default=True, help="Of the run.")
@click.option("--docpairs", "triples", default=4_000_000, show_default=True)
@click.option("--only", default="export,irds,bm25,docpairs,run", show_default=True)
def main(passages: int, words: int, rows: int, triples: int, only: str) -> None:
    """Measure the memory of what reads collections, docpairs and runs."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    kinds = set(only.split(","))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table(folder / "qrels.parquet", QRELS, ["0"], ["none"], [0])
        if kinds & {"export", "irds", "bm25"}:
            of_passages(folder, passages, words, kinds)
        if "docpairs" in kinds:
            of_docpairs(folder, triples)
        if "run" in kinds:
            of_runs(folder, rows)


if __name__ == "__main__":
    main()
