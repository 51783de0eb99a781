"""sentence-transformers' side on a CPU as its documentation advises: the OpenVINO backend."""

import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.protocol import serve
from benchmarks.workers.cross_encoder import pairs_of

PRECISION = {"float32": "f32", "bfloat16": "bf16"}  # left alone, it takes bf16 where it can
THREADS = [1]


def start(threads: int, device: str, tf32: bool) -> dict[str, Any]:
    """Set threads; return versions."""
    import torch

    torch.set_num_threads(threads)
    THREADS[0] = threads
    names = ("torch", "transformers", "sentence-transformers", "optimum-intel", "openvino")
    return {name: version(name) for name in names}


@cache
def _reranker(folder: Path, precision: str) -> Any:
    from sentence_transformers import CrossEncoder

    config = {
        "INFERENCE_PRECISION_HINT": PRECISION[precision],
        "INFERENCE_NUM_THREADS": THREADS[0],
    }
    return CrossEncoder(
        str(folder / "model"),
        device="cpu",
        backend="openvino",
        local_files_only=True,
        model_kwargs={"ov_config": config},
    )


def rerank(
    folder: str, device: str, precision: str, first: int, out: str, batch: int
) -> dict[str, Any]:
    """Score the first pairs of the work; the model is converted before the clock starts."""
    pairs, model = pairs_of(Path(folder), first), _reranker(Path(folder), precision)
    begin = time.perf_counter()
    scores = model.predict(pairs, batch_size=batch, show_progress_bar=False)
    seconds = time.perf_counter() - begin
    np.save(out, np.asarray(scores, np.float32))
    return {"seconds": seconds}


if __name__ == "__main__":
    serve({"start": start, "rerank": rerank})
