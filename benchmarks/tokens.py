"""The token cache beside the tokenizer's own speed, and its memory: `python -m benchmarks.tokens`.

Passages are stretches of docstrings as long as MS MARCO's passages (log-normal, mean near 65
tokens). In each round the tokenizer encodes the texts of the smaller collection, in memory, in
batches; then `redistil tokenize` makes the token file of the same collection, reading and writing
included, with as many threads. Then the peak memory of `redistil tokenize` at every size (Linux).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from redistil.seeds import generator
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.stages.corpora import pydocs
from redistil.stages.tokens import TEXTS, load
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.tables import PASSAGES

PACKAGES = {"pydocs": ["numpy", "scipy", "torch"]}
LONGEST = 512
BATCH = 20_000  # passages written at once
MADE = Made("benchmark", "benchmark")


@click.command()
@click.option("--passages", multiple=True, type=click.IntRange(1000), default=(200_000, 2_000_000))
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), show_default=True)
@click.option("--rounds", type=click.IntRange(0), default=3, show_default=True)
@click.option("--family", type=click.Choice(["bert", "modernbert"]), default="bert")
@click.option("--vocabulary", "size", type=click.IntRange(300), default=30_000, show_default=True)
def main(passages: tuple[int, ...], threads: int, rounds: int, family: str, size: int) -> None:
    """Measure speed at the smallest size and memory at every size."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    texts = [text for _, text in pydocs.passages(PACKAGES)]
    with tempfile.TemporaryDirectory(prefix="redistil-tokens-") as place:
        folder = Path(place)
        vocabulary(family, texts, size).save_pretrained(folder)
        words = np.array(" ".join(texts).split(), dtype=object)
        files = {count: folder / f"{count}.parquet" for count in sorted(passages)}
        for count, file in files.items():
            write(words, count, file)
        smallest = min(passages)
        click.echo(f"{family}, {threads} threads, {rounds} rounds of {smallest:,} passages")
        if rounds:
            speed(folder, files[smallest], threads, rounds)
        for count, file in files.items():
            seconds, _, peak = tokenize(folder, file, threads)
            click.echo(f"{count:>10,} passages: {seconds:6.1f} s, peak memory {peak:6.0f} MiB")


def write(words: np.ndarray, count: int, file: Path) -> None:
    """Write a collection of `count` passages."""
    with PASSAGES.writer(file, MADE) as append:
        for batch in stretches(words, count):
            append(batch)


def stretches(words: np.ndarray, count: int) -> Iterator[pa.Table]:
    """Yield `count` passages in tables: runs of words from anywhere in the docstrings."""
    rng = generator(1, "passages")
    for start in range(0, count, BATCH):
        many = min(BATCH, count - start)
        lengths = np.clip(rng.lognormal(3.4, 0.5, many), 8, 300).astype(int)
        places = rng.integers(0, len(words) - 300, many)
        texts = [" ".join(words[p : p + n]) for p, n in zip(places, lengths, strict=True)]
        ids = [f"d{i:09}" for i in range(start, start + many)]
        yield PASSAGES.rows({"doc_id": ids, "text": texts})


def speed(folder: Path, file: Path, threads: int, rounds: int) -> None:
    """Print what the tokenizer, its faster call and ours do, in alternation: medians of rounds.

    Tokens in a second, and in a second of the processor, which neighbours disturb less.
    """
    tokenizer = load(folder / "tokenizer.json")
    texts = PASSAGES.read(file)["text"].to_pylist()
    rates: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name in ("encode_batch", "encode_batch_fast"):
            encode, tokens = getattr(tokenizer, name), 0
            start = np.array([time.perf_counter(), time.process_time()])
            for place in range(0, len(texts), TEXTS):
                encoded = encode(texts[place : place + TEXTS], add_special_tokens=False)
                tokens += sum(map(len, encoded))
            took = np.array([time.perf_counter(), time.process_time()]) - start
            rates.setdefault(name, []).append(tuple(tokens / took))
        seconds, processor, _ = tokenize(folder, file, threads)
        kept = int(Ragged(file.with_suffix(".arrow")).lengths().sum())
        rates.setdefault("redistil tokenize", []).append((kept / seconds, kept / processor))
    middle = {name: np.median(values, axis=0) for name, values in rates.items()}
    for name, value in middle.items():
        wall, processor = middle["redistil tokenize"] / value
        click.echo(
            f"{name:>20}: {value[0] / 1e6:5.2f} M tokens/s (ours / this {wall:.2f}), "
            f"{value[1] / 1e6:5.2f} M/s of the processor ({processor:.2f})"
        )
    click.echo(f"{kept / len(texts):.1f} tokens a passage")


# in a process of its own, so that its memory is its own; it says what it took after the imports
OURS = """
import sys, time
from pathlib import Path
from redistil.stages import tokens
from redistil.storage.tables import PASSAGES
from redistil.storage.lineage import Made
folder, file = map(Path, sys.argv[1:3])
out, longest = file.with_suffix(".arrow"), int(sys.argv[3])
start, busy = time.perf_counter(), time.process_time()
tokens.tokenize(folder, PASSAGES, file, out, Made("b", "b"), longest)
seconds, processor = time.perf_counter() - start, time.process_time() - busy
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(seconds, processor, status["VmHWM"].split()[0])
"""


def tokenize(folder: Path, file: Path, threads: int) -> tuple[float, float, float]:
    """Return what a token file takes: seconds, seconds of the processor, peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", OURS, str(folder), str(file), str(LONGEST)],
        env=os.environ | {"RAYON_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds, processor, peak = map(float, done.stdout.split())
    return seconds, processor, peak / 1024


if __name__ == "__main__":
    main()
