"""The share of a stage's time that digests take: `python -m benchmarks.digests`.

Writes and reads a run, a corpus of passages and a token file, with digests and without.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from redistil.storage import digests, ragged
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, RUN, ranked

MADE = Made("benchmark", "digests")
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """Return the least time of some rounds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def write_run(path: Path) -> None:
    """Write 2 million scored pairs."""
    rng = np.random.default_rng(1)
    queries = np.repeat(np.arange(2000), 1000).astype(str).tolist()
    docs = np.tile(np.arange(1000), 2000).astype(str).tolist()
    RUN.write(ranked(queries, docs, rng.random(len(queries)).tolist()), path, MADE)


def write_passages(path: Path) -> None:
    """Write 200,000 passages of 60 words."""
    rng = np.random.default_rng(1)
    words = rng.integers(50_000, size=(200_000, 60)).astype(str)
    texts = [" ".join(row) for row in words]
    ids = list(map(str, range(len(texts))))
    PASSAGES.write(PASSAGES.rows({"doc_id": ids, "text": texts}), path, MADE)


def write_tokens(path: Path) -> None:
    """Write 500,000 rows of 80 token ids."""
    rng = np.random.default_rng(1)
    rows = rng.integers(30_000, size=(5000, 80)).tolist()
    with ragged.writer(path, MADE) as append:
        for start in range(0, 500_000, len(rows)):
            append([str(start + i) for i in range(len(rows))], rows)


def read_tokens(path: Path) -> None:
    """Read every row once, as a job that scores the whole corpus does."""
    tokens = ragged.Ragged(path)
    for row in range(len(tokens)):
        tokens[row]


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "run": (write_run, RUN.read),
    "passages": (write_passages, PASSAGES.read),
    "tokens": (write_tokens, read_tokens),
}


def main() -> None:
    """Print a line for each kind of file."""
    print("file      MB    written s  read s  digest s  of writing  of reading")
    with TemporaryDirectory() as folder:
        for name, (write, read) in KINDS.items():
            path = Path(folder) / name
            written = seconds(lambda write=write, path=path: write(path))
            digest = seconds(lambda path=path: digests.of(path))
            taken = seconds(lambda read=read, path=path: read(path))
            megabytes = path.stat().st_size / 1e6
            shares = f"{digest / written:10.2%}  {digest / taken:10.2%}"
            print(f"{name:8} {megabytes:5.0f}  {written:9.2f} {taken:7.2f} {digest:9.4f}  {shares}")


if __name__ == "__main__":
    main()
