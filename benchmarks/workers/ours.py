"""redistil's side: `scoring.score_pairs` and `models.train`, on the token files, as in a study."""

import json
import shutil
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.protocol import Clock, serve, synchronise
from redistil.cli.runtime import quiet
from redistil.study.recipes import recipe as typed_recipe

# padded tokens in one pass and held for the way back: for the caches of a CPU, the memory of a GPU
ROOM = {
    "cpu": {"at_once": 2048, "held": 1 << 16},
    "gpu": {"at_once": 1 << 15, "held": 1 << 16},
}


def start(threads: int, device: str, tf32: bool) -> dict[str, Any]:
    """Set up as a job of the pipeline does; return versions."""
    quiet(threads)
    import torch
    import transformers

    from redistil.machine.processes import allow_tf32

    allow_tf32("tf32" if tf32 else "float32")  # for the ceiling: the rest is told each time
    return {"torch": torch.__version__, "transformers": transformers.__version__}


@cache
def _loaded(folder: Path, device: str) -> tuple[Any, Any, Any, tuple[Any, Any]]:
    from redistil.learning import students
    from redistil.storage.ragged import Ragged

    student = students.load(folder / "model").to(device)
    queries, passages = (Ragged(folder / f"{side}.arrow") for side in ("queries", "passages"))
    pairs = json.loads((folder / "work.json").read_text())["pairs"]
    rows = (
        queries.rows(pa.array([q for q, _ in pairs])),
        passages.rows(pa.array([p for _, p in pairs])),
    )
    return student, queries, passages, rows


def rerank(folder: str, device: str, precision: str, first: int, out: str) -> dict[str, Any]:
    """Score the first pairs of the work."""
    from redistil.learning.scoring import score_pairs

    student, queries, passages, (query_rows, passage_rows) = _loaded(Path(folder), device)
    rows = query_rows[:first], passage_rows[:first]
    begin = time.perf_counter()
    scores = score_pairs(student, queries, passages, rows, precision)
    seconds = time.perf_counter() - begin
    np.save(out, scores)
    return {"seconds": seconds}


def train(
    folder: str, device: str, precision: str, loss: str, batch: int, steps: int
) -> dict[str, Any]:
    """Train for some steps; return seconds of all but the first, and the loss of every step."""
    from redistil.machine.processes import Processes
    from redistil.stages import models
    from redistil.stages.models.reading import Inputs
    from redistil.storage.lineage import Made
    from redistil.storage.tables import CURVE

    work, out = Path(folder), Path(folder) / "trained"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    recipe = _recipe(work, loss, device) | {"precision": precision, "batch": batch, "steps": steps}
    learns_scores = loss == "margin-mse"
    inputs = Inputs(
        backbone=work / "backbone",
        queries=work / "queries.arrow",
        passages=work / "passages.arrow",
        negatives=work / ("triples.parquet" if learns_scores else "lists.parquet"),
        teacher=work / "teacher.parquet" if learns_scores else None,
        predecessor=work / "model",
    )
    with Processes(device) as processes, Clock(device).listening() as clock:
        made = Made("train", "bench", recipe)
        models.train(typed_recipe(recipe), inputs, out, made, processes, checkpoint_every=10**9)
    losses = CURVE.read(out / "curve.parquet")["loss"].to_pylist()
    shutil.rmtree(out)
    return {"seconds": clock.seconds, "steps": clock.steps, "losses": losses}


def _recipe(work: Path, loss: str, device: str) -> dict[str, Any]:
    """Return the recipe of morand2026 for this loss, of a student and on data of the benchmark."""
    recipe = json.loads((work / "recipes.json").read_text())[loss]
    # from weights and a head that the peers have too, those of `model`
    named = dict.fromkeys(("backbone", "negatives", "predecessor"), "bench")
    named["teacher"] = recipe["teacher"] and "bench"
    same = {"learning_rate": 1e-5, "warmup_steps": 0}  # as the peers are told
    short = {"validation": None}
    return recipe | named | same | short | {"memory": ROOM["cpu" if device == "cpu" else "gpu"]}


def ceiling(device: str, precision: str, seconds: float) -> dict[str, Any]:
    """Return the best GFLOP/s of a plain product of two square matrices."""
    import torch

    dtype = getattr(torch, precision)
    best = 0.0
    for side in (1024, 2048, 4096, 8192):
        if device == "cpu" and side > 4096:
            continue
        left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        torch.mm(left, right)
        synchronise(device)
        until = time.perf_counter() + seconds / 4
        while time.perf_counter() < until:
            begin = time.perf_counter()
            torch.mm(left, right)
            synchronise(device)
            best = max(best, 2 * side**3 / (time.perf_counter() - begin) / 1e9)
    return {"gflops": best}


if __name__ == "__main__":
    serve({"start": start, "rerank": rerank, "train": train, "ceiling": ceiling})
