"""Peak memory of re-ranking as the run grows: `python -m benchmarks.rerank_memory`.

Runs `redistil rerank` on runs of 1,000 candidates a query over one corpus, with a checkpoint so
small that millions of pairs take minutes: what grows with the pairs shows, what the model needs
does not. Prints peak resident memory for each number of pairs, and the pairs/s.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import torch

from redistil.learning import students
from redistil.seeds import generator
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.storage import ragged
from redistil.storage.lineage import SIDECAR, Made
from redistil.storage.tables import RUN

MADE = Made("benchmark", "memory")
DEPTH = 1000  # candidates of a query
TOKENS = 60  # of a passage


def model(folder: Path) -> Path:
    """Write a student of one layer, 16 wide, with a random head."""
    torch.manual_seed(1)
    tokenizer = vocabulary("bert", ["a re ranker is taught by its teachers"] * 9, 300)
    encoder = network("bert", tokenizer, layers=1, width=16, heads=1)
    encoder.base_model.save_pretrained(folder / "backbone")
    tokenizer.save_pretrained(folder / "backbone")
    lengths = {"query_length": 32, "passage_length": 96, "pair_length": 131}
    recipe = lengths | {"architecture": "cat", "pair_form": "native"}
    students.new(recipe, folder / "backbone", 1).save(folder)
    (folder / SIDECAR).write_text(Made("train", "tiny", recipe).dumps())
    return folder / SIDECAR


def tokens(path: Path, prefix: str, count: int, length: int) -> Path:
    """Write a token file of random texts."""
    rng = generator(1, prefix)
    with ragged.writer(path, MADE) as append:
        for start in range(0, count, 1 << 14):
            rows = range(start, min(start + (1 << 14), count))
            ids = rng.integers(5, 30, (len(rows), length), dtype=np.int32)
            append([f"{prefix}{row:07}" for row in rows], ids.tolist())
    return path


def candidates(path: Path, queries: int, passages: int) -> Path:
    """Write a run of DEPTH random candidates for each query."""
    rng, ranks = generator(1, "run"), np.arange(1, DEPTH + 1, dtype=np.int32)
    with RUN.writer(path, MADE) as write:
        for query in range(queries):
            chosen = rng.choice(passages, DEPTH, replace=False)
            columns = [
                pa.repeat(f"q{query:07}", DEPTH),
                pa.array([f"d{row:07}" for row in chosen]),
                pa.array(ranks),
                pa.array(-ranks.astype(np.float32)),
            ]
            write(pa.table(columns, schema=RUN.schema))
    return path


def reranked(folder: Path, run: Path) -> tuple[float, float]:
    """Return the seconds and the peak GiB of one `redistil rerank`."""
    words = ["rerank", run, folder / "model" / SIDECAR, folder / "q.arrow", folder / "d.arrow"]
    words += [folder / "out.parquet", "--depth", DEPTH, "--precision", "float32"]
    words += ["--threads", os.cpu_count(), "--device", "cpu"]
    begun = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "redistil", *map(str, words)])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit("redistil rerank failed")
    return time.monotonic() - begun, used.ru_maxrss / 2**20


@click.command()
@click.option("--pairs", default="100000,1000000", show_default=True, help="In each run.")
@click.option("--passages", default=200_000, show_default=True, help="In the corpus.")
def main(pairs: str, passages: int) -> None:
    """Print the peak memory of re-ranking runs of several sizes."""
    sizes = [int(size) for size in pairs.split(",")]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model(folder / "model")
        tokens(folder / "q.arrow", "q", max(sizes) // DEPTH, 8)
        tokens(folder / "d.arrow", "d", passages, TOKENS)
        print("pairs | peak GiB | pairs/s\n---|---|---")
        for size in sizes:
            run = candidates(folder / "run.parquet", size // DEPTH, passages)
            seconds, peak = reranked(folder, run)
            print(f"{size:,} | {peak:.2f} | {size / seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
