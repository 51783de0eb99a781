"""The share of time that digests take: `python -m benchmarks.digests`.

Writes and reads a run, a corpus of passages and a token file, and takes their digests. With
`--stages` the stages tokens and runs do their whole work instead, with digests and without: token
files of passages as long as MS MARCO's, and re-ranking by a network of one layer. A network of a
real size takes longer over its pairs, and the share of digests is smaller then.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import click
import numpy as np

from benchmarks import rerank_memory, tokens
from redistil.machine.processes import Processes
from redistil.stages import runs
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.stages.corpora import pydocs
from redistil.stages.tokens import tokenize
from redistil.storage import digests, lineage, ragged
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, RUN, ranked

MADE = Made("benchmark", "digests")
ROUNDS = 3


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least time of some rounds."""
    times: list[float] = []
    for _ in range(rounds):
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


# --- whole stages ---------------------------------------------------------------------------------


@contextmanager
def bare() -> Iterator[None]:
    """Let files be written and read without digests."""
    nothing = {}
    for name in ("seal", "check", "check_if_sealed", "check_against"):
        nothing[name] = lambda *arguments: None
    with mock.patch.multiple(digests, of=lambda path: "0" * 16, **nothing):
        yield


def tokenizing(folder: Path, passages: int) -> Callable[[], None]:
    """Return the work of making a token file, on texts that lie in `folder` then."""
    texts = [text for _, text in pydocs.passages(tokens.PACKAGES)]
    vocabulary("bert", texts, 30_000).save_pretrained(folder)
    lineage.record(MADE, folder)
    collection = folder / "passages.parquet"
    tokens.write(np.array(" ".join(texts).split(), dtype=object), passages, collection)
    out = folder / "tokens.arrow"
    return lambda: tokenize(folder, PASSAGES, collection, out, MADE, tokens.LONGEST)


def reranking(folder: Path, passages: int, pairs: int) -> Callable[[], None]:
    """Return the work of re-ranking a run of `pairs` pairs over `passages` passages."""
    queries = pairs // rerank_memory.DEPTH
    rerank_memory.model(folder / "model")
    made = lineage.of(folder / "model")
    lineage.record(made, folder / "model")  # with digests of the files, as a training leaves it
    model = runs.Model(
        folder / "model",
        rerank_memory.tokens(folder / "q.arrow", "q", queries, 8),
        rerank_memory.tokens(folder / "d.arrow", "d", passages, rerank_memory.TOKENS),
    )
    candidates = rerank_memory.candidates(folder / "run.parquet", queries, passages)
    settings = {"depth": rerank_memory.DEPTH, "precision": "float32", "processes": Processes("cpu")}
    return lambda: runs.rerank(candidates, model, folder / "out.parquet", MADE, **settings)


def anew(work: Callable[[], None]) -> None:
    """Do a work whose files nothing has checked yet."""
    digests._check.cache_clear()
    digests._of.cache_clear()
    work()


def print_stages(passages: int, pairs: int) -> None:
    """Print a line for each stage; its work is done with digests and without, in turn."""
    print("stage      with s  without s   share")
    with TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("tokenize", "rerank"):
            (folder / name).mkdir()
        stages = {
            "tokenize": tokenizing(folder / "tokenize", passages),
            "rerank": reranking(folder / "rerank", passages, pairs),
        }
        for name, work in stages.items():
            sealed, unsealed = [], []
            for _ in range(ROUNDS):
                sealed.append(seconds(lambda work=work: anew(work), rounds=1))
                with bare():
                    unsealed.append(seconds(lambda work=work: anew(work), rounds=1))
            least, without = min(sealed), min(unsealed)
            print(f"{name:8} {least:8.2f}  {without:9.2f}  {least / without - 1:6.2%}")


@click.command()
@click.option("--stages", is_flag=True, help="Whole stages in place of files.")
@click.option("--passages", type=click.IntRange(1000), default=200_000, show_default=True)
@click.option("--pairs", type=click.IntRange(1000), default=200_000, show_default=True)
def main(stages: bool, passages: int, pairs: int) -> None:
    """Print what digests take: of files, or of whole stages."""
    if stages:
        print_stages(passages, pairs)
    else:
        print_files()


def print_files() -> None:
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
