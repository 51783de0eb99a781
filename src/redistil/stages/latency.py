"""The latency of students: how long one query waits until its passages are re-ranked.

Tokens are at hand and the model is loaded. What a student can encode ahead of the query is in
memory. Times differ from run to run: nothing is made again by them. Their file holds the record
of what was timed, which does not cover them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from redistil.errors import BadSettings
from redistil.machine import costs, latency
from redistil.machine.hardware import commit, peak_memory
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged, Tokens

WARM = 3  # queries before the first that is timed
MILLION = 1_000_000


def time_student(
    model: Path,
    query_tokens: Path,
    passage_tokens: Path,
    out: Path,
    *,
    made: Made,
    queries: int,
    passages: int,
    precision: str,
    processes: Any,
) -> None:
    """Write what a model costs to use, over texts evenly spread over two token files.

    Raises BadSettings where the files have fewer texts.
    """
    import torch

    from redistil.learning import students
    from redistil.learning.latency import Reranker
    from redistil.machine.processes import allow_tf32, check_precision

    source = commit()
    check_precision(precision, processes.device)
    allow_tf32(precision)
    query_texts = _spread(query_tokens, queries, "latency.queries")
    passage_texts = _spread(passage_tokens, passages, "latency.passages")
    scorer = students.load(model).to(processes.device).for_scoring(precision)
    with torch.inference_mode():
        reranker = Reranker(scorer, passage_texts)
        waits = _waits(reranker.scores, query_texts)
        pace = _seconds(reranker.encode) / passages if reranker.stored else None
    numbers = reranker.stored.values.numel() / passages if reranker.stored else None
    ran_on = costs.ran_on(processes, source)
    measured = latency.Latency(
        student=made.name,
        model=lineage.of(model).name,
        queries=queries,
        passages=passages,
        median=float(np.median(waits)) * 1000,
        p95=float(np.percentile(waits, 95)) * 1000,
        peak_bytes=peak_memory(processes.device),
        bytes_float32=4 * numbers if numbers else None,
        bytes_float16=2 * numbers if numbers else None,
        million_seconds=pace * MILLION if pace else None,
        device=ran_on["device"],
        threads=ran_on["threads"],
    )
    latency.write(measured, ran_on | {"record": made.dumps()}, out)


def _spread(path: Path, count: int, key: str) -> list[Tokens]:
    """Return `count` texts of a token file, evenly spread over it."""
    texts = Ragged(path)
    if len(texts) < count:
        raise BadSettings(f"{key}: {path} has {len(texts)} texts, wanted {count}: lower {key}")
    rows: npt.NDArray[np.int64] = np.linspace(0, len(texts) - 1, count).astype(np.int64)
    return [texts[row] for row in rows]


def _waits(scores: Callable[[Tokens], Any], queries: list[Tokens]) -> list[float]:
    """Return the seconds that each query takes."""
    for query in queries[:WARM]:
        scores(query)
    waits = []
    for query in queries:
        begun = time.perf_counter()
        scores(query)
        waits.append(time.perf_counter() - begun)
    return waits


def _seconds(work: Callable[[], Any]) -> float:
    """Return the seconds that a work takes whose result is on the CPU at its end."""
    begun = time.perf_counter()
    work().values.cpu()
    return time.perf_counter() - begun
