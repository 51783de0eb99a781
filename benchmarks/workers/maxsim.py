"""Late interaction of PyLate, in its own environment."""

import os
import time
from typing import Any

import numpy as np

from benchmarks.protocol import serve


def start(threads: int, device: str, tf32: bool) -> dict[str, Any]:
    """Set up; return versions."""
    os.environ["PYLATE_SCORES_BACKEND"] = "torch" if device == "cpu" else "auto"
    from importlib.metadata import version

    import torch

    torch.set_num_threads(threads)
    return {"pylate": version("pylate")}


def score(file: str, turns: int) -> dict[str, Any]:
    """Score a query [1, M, width] against padded passages [N, L, width] with their mask [N, L]."""
    import torch
    from pylate.scores import colbert_scores

    arrays = np.load(file)
    query, passages, mask = (torch.from_numpy(arrays[name]) for name in ("query", "grid", "mask"))
    seconds = []
    for _ in range(turns + 1):
        begun = time.perf_counter()
        scores = colbert_scores(query, passages, documents_mask=mask)
        seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds[1:], "scores": scores[0].tolist()}


if __name__ == "__main__":
    serve({"start": start, "score": score})
