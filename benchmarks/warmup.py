"""Warm-ups under many seeds and arithmetics: `python -m benchmarks.warmup`.

The warm-up of a tiny encoder is a phase transition: after some hundred steps that teach nothing it
learns what a match is. Under a rate too high, seed and rounding decide whether it ever does. Each
warm-up of params.yaml runs in a process of its own, whose environment names the arithmetic.

Prints a row for each: the loss in tenths of the steps, and nDCG@10 on the development queries. The
encoder's own score ranks each query's passage among 19 drawn at random. A finished row is not run
again until settings or code of the warm-up change. `--first` runs the beginning of each schedule
alone, with the rates and batches of the whole. A full warm-up takes minutes of one core
(docs/benchmarks.md).
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml

from benchmarks.arithmetics import ARITHMETICS

PROJECT = Path(__file__).parents[1]
OUT = PROJECT / "benchmarks" / "out" / "warmup"
SOURCES = (
    "src/redistil/stages/backbones",
    "src/redistil/learning/objectives.py",
    "src/redistil/learning/optimise.py",
)

DEPTH = 20  # candidates of a development query
# of --quick: a small package, a small network, few steps
QUICK_CORPUS = {"pydocs": ["click"]}
QUICK_SPLITS = {"dev": 0.2, "test": 0.1}
QUICK_BUILD = {"vocabulary": 600, "layers": 1, "width": 16}
QUICK_WARMUP = {"steps": 20, "gate": {"queries": 10, "depth": 5, "least": 0.0}}


# --- the process of one warm-up: the only place that knows redistil ------------------------------


class Enough(Exception):
    """The steps that `--first` wants are done."""


def warmed_up(task: Mapping[str, Any]) -> dict[str, Any]:
    """Warm one encoder up and return its row: losses, values, seconds of its process."""
    from redistil.cli.runtime import quiet

    quiet(task["threads"])
    from redistil.stages.backbones.build import prepare, warm_up
    from redistil.stages.backbones.pairs import Pairs
    from redistil.stages.backbones.warmup import CrossEncoder
    from redistil.storage.overlaps import overlapping
    from redistil.storage.tables import PASSAGES, QRELS, QUERIES

    passages, queries, qrels = map(Path, task["sources"])
    test_queries = [Path(path) for path in task["apart"]]
    build = task["build"]
    warming = prepare(
        (passages, queries, qrels),
        family=build["family"],
        vocabulary_size=build["vocabulary"],
        shape={key: build[key] for key in ("layers", "width", "heads")},
        warmup=build["warmup"],
        relevant_from=1,
        leave_out=overlapping(queries, test_queries),
    )
    assert isinstance(warming, CrossEncoder)
    losses: list[float] = []

    def tell(point: Any) -> None:
        losses.append(point.loss)
        if len(losses) == task["first"]:
            raise Enough

    begun = time.process_time()
    try:
        warm_up(warming, build["warmup"], tell=tell)
    except Enough:
        pass
    seconds = time.process_time() - begun
    queries, qrels = map(Path, task["development"])
    tables = PASSAGES.read(passages), QUERIES.read(queries), QRELS.read(qrels)
    pairs = Pairs.of(warming.tokenizer, *tables)
    development = warming.examined(pairs, DEPTH, least=0.0)
    gate = warming.verdict()
    return {
        "losses": [float(np.mean(tenth)) for tenth in np.array_split(losses, 10)],
        "seconds": seconds,
        "development": development.encoder,
        "random": development.random,
        "bm25": development.bm25,
        "gate": gate.encoder if gate else None,
        "learned": gate.passed if gate else None,
    }


# --- what is run ---------------------------------------------------------------------------------


def collection(folder: Path, corpus: Mapping[str, Any], splits: Mapping[str, float]) -> None:
    """Export the corpus, and the queries of each part; files that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    source = ["--corpus", json.dumps(corpus)]
    passages = folder / "passages.parquet"
    if not passages.exists():
        _redistil("export-passages", passages, *source)
    for part in ("train", "dev", "test"):
        out = [folder / f"{part}-queries.parquet", folder / f"{part}-qrels.parquet"]
        if not all(path.exists() for path in out):
            dataset = json.dumps({"part": part, **splits})
            options = ["--passages", passages, *source, "--dataset", dataset]
            _redistil("export-queries", *out, *options)


def _redistil(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "redistil", *map(str, words)])
    if done.returncode:
        sys.exit(f"redistil {words[0]} failed")


def tasks(
    folder: Path,
    builds: Mapping[str, Any],
    seeds: Sequence[int],
    arithmetics: Sequence[str],
    first: int | None,
) -> list[dict[str, Any]]:
    """Return the settings of each process, in the order of the table."""
    sources = [
        folder / f"{table}.parquet" for table in ("passages", "train-queries", "train-qrels")
    ]
    development = [folder / f"dev-{table}.parquet" for table in ("queries", "qrels")]
    table = []
    for name, seed, arithmetic in itertools.product(builds, seeds, arithmetics):
        environment, threads = ARITHMETICS[arithmetic]
        warmup = builds[name]["warmup"] | {"seed": seed}
        table.append(
            {
                "backbone": name,
                "seed": seed,
                "arithmetic": arithmetic,
                "environment": environment,
                "threads": threads,
                "build": {**builds[name], "warmup": warmup},
                "first": first or warmup["steps"],
                "sources": [str(path) for path in sources],
                "apart": [str(folder / "test-queries.parquet")],
                "development": [str(path) for path in development],
            }
        )
    return table


def row(folder: Path, task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a task: the one on the disk, or that of a new process."""
    spelled = json.dumps(task, sort_keys=True) + _code()
    file = folder / "rows" / f"{hashlib.sha256(spelled.encode()).hexdigest()[:16]}.json"
    if not file.exists():
        environment = os.environ | task["environment"]
        environment["OMP_NUM_THREADS"] = str(task["threads"])
        words = [sys.executable, "-m", "benchmarks.warmup", "--task", json.dumps(task)]
        done = subprocess.run(
            words, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"the warm-up of {task['backbone']}, seed {task['seed']}, failed")
        file.parent.mkdir(exist_ok=True)
        file.write_text(done.stdout)
    values: dict[str, Any] = json.loads(file.read_text())
    return values


def _code() -> str:
    """Return a hash of the sources that decide the result of a warm-up."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = PROJECT / name
        for file in [path] if path.is_file() else sorted(path.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


# --- the command ---------------------------------------------------------------------------------


def catalogue(names: Sequence[str], quick: bool) -> tuple[dict[str, Any], Any, dict[str, float]]:
    """Return the builds of these backbones, their corpus and its parts, from params.yaml."""
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    builds = {}
    for name in names:
        build = params["backbones"].get(name, {}).get("build", {})
        if "bm25" not in build.get("warmup", {}):
            raise click.BadParameter(f"params.yaml builds no cross-encoder {name!r}")
        if quick:
            build |= {**QUICK_BUILD, "warmup": build["warmup"] | QUICK_WARMUP}
        builds[name] = build
    if quick:
        return builds, QUICK_CORPUS, QUICK_SPLITS
    first = builds[names[0]]
    corpus = {"pydocs": params["corpora"][first["corpus"]]["pydocs"]}
    dataset = params["datasets"][first["dataset"]]
    return builds, corpus, {"dev": dataset["dev"], "test": dataset["test"]}


def line(task: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return a row of the table."""
    learned = {True: "yes", False: "NO", None: "no gate"}[values["learned"]]
    cells = [
        task["backbone"],
        str(task["seed"]),
        task["arithmetic"],
        " ".join(f"{loss:.1f}" for loss in values["losses"]),
        f"{values['development']:.3f}",
        f"{values['gate'] or 0:.3f}",
        learned,
        f"{values['seconds']:.0f}",
    ]
    return " | ".join(cells)


@click.command()
@click.option("--backbones", default="tiny-bert,tiny-modernbert", show_default=True)
@click.option("--seeds", default="1,2,3,4,5,6,7,8", show_default=True, help="Of the warm-up.")
@click.option("--arithmetics", default=",".join(ARITHMETICS), show_default=True)
@click.option("--first", type=click.IntRange(10), help="Steps of each schedule; else all.")
@click.option("--folder", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option("--quick", is_flag=True, help="Few steps of a small network on a small package.")
@click.option("--task", hidden=True, help="One warm-up, as JSON.")
def main(
    backbones: str,
    seeds: str,
    arithmetics: str,
    first: int | None,
    folder: Path,
    quick: bool,
    task: str | None,
) -> None:
    """Warm encoders up under many seeds and arithmetics; print whether each learned."""
    if task is not None:
        print(json.dumps(warmed_up(json.loads(task))))
        return
    wanted = arithmetics.split(",")
    unknown = sorted(set(wanted) - ARITHMETICS.keys())
    if unknown:
        choices = ", ".join(ARITHMETICS)
        raise click.BadParameter(f"no arithmetic {unknown[0]!r} (there is: {choices})")
    builds, corpus, splits = catalogue(backbones.split(","), quick)
    folder = (folder / ("quick" if quick else "whole")).resolve()
    collection(folder, corpus, splits)
    numbers = [int(seed) for seed in seeds.split(",")]
    print("backbone | seed | arithmetic | loss in tenths | nDCG@10 | of the gate | learned | CPU s")
    print("---|---|---|---|---|---|---|---", flush=True)
    failed = 0
    for each in tasks(folder, builds, numbers, wanted, first):
        values = row(folder, each)
        failed += values["learned"] is False
        print(line(each, values), flush=True)
    others = f"random order {values['random']:.3f}; BM25 {values['bm25']:.3f}"
    print(f"{others} (of the last row's tokens); {failed} did not learn")


if __name__ == "__main__":
    main()
