"""lightning-ir's side: a mono cross-encoder's `score`, and `LightningIRTrainer.fit`, on the texts.

It neither sorts by length nor splits a batch: what the batch size says goes through together.
"""

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
    import lightning_ir  # noqa: F401  (on a GPU it sets the precision of products itself)
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    return {name: version(name) for name in ("torch", "transformers", "lightning-ir")}


@cache
def _work(folder: Path) -> dict[str, Any]:
    work: dict[str, Any] = json.loads((folder / "work.json").read_text())
    return work


def _module(checkpoint: Path, device: str, precision: str, losses: list[Any] | None = None) -> Any:
    """Return its module with the weights of a checkpoint, head and pooler renamed to its own."""
    import torch
    from lightning_ir import CrossEncoderModule
    from lightning_ir.models import MonoConfig
    from safetensors.torch import load_file

    config = MonoConfig(
        query_length=32,
        doc_length=256,
        pooling_strategy="bert_pool",
        linear_bias=True,
        scoring_strategy="rank",
    )
    module = CrossEncoderModule(str(checkpoint), config=config, loss_functions=losses)
    own = {"bert.pooler.dense.": "bert_pool.0.", "classifier.": "linear.", "bert.": ""}
    weights = {}
    for name, value in load_file(checkpoint / "model.safetensors").items():
        prefix = next(prefix for prefix in own if name.startswith(prefix))
        weights[own[prefix] + name.removeprefix(prefix)] = value
    module.model.load_state_dict(weights)
    return module.to(device, getattr(torch, precision))


@cache
def _reranker(folder: Path, device: str, precision: str) -> Any:
    return _module(folder / "model", device, precision).eval()


def rerank(
    folder: str, device: str, precision: str, first: int, out: str, batch: int
) -> dict[str, Any]:
    """Score the first pairs of the work; precision is that of the weights."""
    work = _work(Path(folder))
    module = _reranker(Path(folder), device, precision)
    pairs = [(work["queries"][q], work["passages"][p]) for q, p in work["pairs"][:first]]
    scores = []
    begin = time.perf_counter()
    for start in range(0, len(pairs), batch):
        queries, passages = zip(*pairs[start : start + batch], strict=True)
        output = module.score(queries, [[passage] for passage in passages])
        scores.append(output.scores.float().cpu().numpy())
    seconds = time.perf_counter() - begin
    np.save(out, np.concatenate(scores))
    return {"seconds": seconds}


def train(
    folder: str, device: str, precision: str, loss: str, batch: int, steps: int
) -> dict[str, Any]:
    """Train for some steps; return seconds of all but the first, and the loss of every step."""
    import torch
    from lightning.pytorch.callbacks import Callback
    from lightning_ir import InfoNCE, LightningIRDataModule, LightningIRTrainer, SupervisedMarginMSE

    losses: list[float] = []

    class Losses(Callback):  # type: ignore[misc]
        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, *_: Any, **__: Any
        ) -> None:
            losses.append(float(outputs["loss"]))

    objective = SupervisedMarginMSE() if loss == "margin-mse" else InfoNCE()
    module = _module(Path(folder) / "backbone", device, "float32", [objective])
    module.set_optimizer(torch.optim.AdamW, lr=1e-5, weight_decay=0.0)
    data = LightningIRDataModule(
        train_dataset=_examples(_work(Path(folder)), loss, batch * steps), train_batch_size=batch
    )
    trainer = LightningIRTrainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        gradient_clip_val=1.0,
        callbacks=[Losses()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with Clock(device).listening() as clock:
        trainer.fit(module, data)
    return {"seconds": clock.seconds, "steps": clock.steps, "losses": losses}


def _examples(work: dict[str, Any], loss: str, size: int) -> Any:
    import torch
    from lightning_ir.data import RankSample

    class Examples(torch.utils.data.Dataset):  # type: ignore[type-arg]
        rows = work["triples" if loss == "margin-mse" else "lists"][:size]

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, place: int) -> Any:
            query, *docs = self.rows[place]
            values = [1.0] + [0.0] * (len(docs) - 1)
            targets = work["teacher"][place] if loss == "margin-mse" else values
            texts = [work["passages"][doc] for doc in docs]
            return RankSample(query, work["queries"][query], docs, texts, torch.tensor(targets))

        def prepare_data(self) -> None: ...

    return Examples()


if __name__ == "__main__":
    serve({"start": start, "rerank": rerank, "train": train})
