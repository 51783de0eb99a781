"""sentence-transformers' side: `CrossEncoder.predict` and `CrossEncoderTrainer` on the texts."""

import json
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.protocol import Clock, serve


def start(threads: int, device: str, tf32: bool) -> dict[str, Any]:
    """Set threads; return versions."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    names = ("torch", "transformers", "sentence-transformers")
    return {name: version(name) for name in names}


@cache
def _work(folder: Path) -> dict[str, Any]:
    work: dict[str, Any] = json.loads((folder / "work.json").read_text())
    return work


def pairs_of(folder: Path, first: int) -> list[tuple[str, str]]:
    """Return the texts of the first pairs of the work."""
    work = _work(folder)
    return [(work["queries"][q], work["passages"][p]) for q, p in work["pairs"][:first]]


def _model(folder: Path, device: str, precision: str) -> Any:
    import torch
    from sentence_transformers import CrossEncoder

    dtype = {"dtype": getattr(torch, precision)}
    return CrossEncoder(str(folder), device=device, local_files_only=True, model_kwargs=dtype)


@cache
def _reranker(folder: Path, device: str, precision: str) -> Any:
    return _model(folder / "model", device, precision)


def rerank(
    folder: str, device: str, precision: str, first: int, out: str, batch: int
) -> dict[str, Any]:
    """Score the first pairs of the work; precision is that of the weights."""
    model, pairs = _reranker(Path(folder), device, precision), pairs_of(Path(folder), first)
    begin = time.perf_counter()
    scores = model.predict(pairs, batch_size=batch, show_progress_bar=False)
    seconds = time.perf_counter() - begin
    np.save(out, np.asarray(scores, np.float32))
    return {"seconds": seconds}


def train(
    folder: str,
    device: str,
    precision: str,
    loss: str,
    batch: int,
    steps: int,
    at_once: int | None,
) -> dict[str, Any]:
    """Train for some steps; return seconds of all but the first, and the loss of every step.

    InfoNCE over a list is its ListNetLoss with a target so peaked that its softmax is one-hot
    (its MultipleNegativesRankingLoss always adds in-batch negatives). at_once: the
    `mini_batch_size` of that loss; None is its default, -1 the whole batch.
    """
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
        losses,
    )

    root = Path(folder)
    model = _model(root / "backbone", device, "float32")
    dataset = _dataset(_work(root), loss, batch * steps)
    objective = (
        losses.MarginMSELoss(model)
        if loss == "margin-mse"
        else losses.ListNetLoss(model, mini_batch_size=at_once)
    )
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(root / "cross-encoder"),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=1e-5,
        warmup_steps=0,
        bf16=precision == "bfloat16",
        use_cpu=device == "cpu",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = CrossEncoderTrainer(
        model=model, args=arguments, train_dataset=dataset, loss=objective
    )
    with Clock(device).listening() as clock:
        trainer.train()
    log = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"seconds": clock.seconds, "steps": clock.steps, "losses": log}


def _dataset(work: dict[str, Any], loss: str, size: int) -> Any:
    from datasets import Dataset

    queries, passages = work["queries"], work["passages"]
    if loss == "margin-mse":
        rows = work["triples"]
        columns = {
            "query": [queries[q] for q, _, _ in rows],
            "positive": [passages[p] for _, p, _ in rows],
            "negative": [passages[n] for _, _, n in rows],
            "label": work["teacher"],
        }
    else:
        rows = work["lists"]
        columns = {
            "query": [queries[q] for q, *_ in rows],
            "docs": [[passages[d] for d in docs] for _, *docs in rows],
            "labels": [[100.0] + [0.0] * (len(docs) - 1) for _, *docs in rows],
        }
    return Dataset.from_dict({name: values[:size] for name, values in columns.items()})


if __name__ == "__main__":
    serve({"start": start, "rerank": rerank, "train": train})
