"""Re-ranking and training beside the peers, in one run: `python -m benchmarks` (or `make bench`).

Every contestant has the same weights, pairs, threads and device, in a process of its own that
stays alive (a training ends it: what it holds would be memory that the next one lacks); in each
round each entry takes one turn, in an order that rotates, so that whatever else the machine does
falls on all of them. Before anything is timed, scores and losses must agree.
"""

import datetime
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import numpy as np

from benchmarks import work
from benchmarks.contestants import (
    INFERENCE,
    NAMES,
    OURS,
    PEERS,
    Entry,
    available,
    start,
)
from benchmarks.environments import OUT
from benchmarks.protocol import Worker
from benchmarks.table import Measured, lines, markdown
from benchmarks.work import DOCUMENTS, Work

PRECISIONS = ("float32", "bfloat16")
PASSAGES = {"margin-mse": 2, "infonce": DOCUMENTS}  # of a query in a training batch
LISTS = {"margin-mse": "triples", "infonce": "lists"}
BATCH = {  # queries a step, as in morand2026
    "tiny": {"margin-mse": 64, "infonce": 8},
    "minilm-l6": {"margin-mse": 64, "infonce": 8},
    "bert-base": {"margin-mse": 32, "infonce": 4},
}
TRIED = (8, 16, 32, 64)  # batch sizes among which a peer's best is looked for
# of float32: logits; losses, relative
AGREE = {
    "rerank": 1e-5,
    "margin-mse": 1e-4,
    "infonce": 1e-4,
}
Workers = dict[str, Worker]


@click.command()
@click.option(
    "--sizes", default="minilm-l6", show_default=True, help="Of minilm-l6, bert-base, tiny."
)
@click.option("--tasks", default="rerank,margin-mse,infonce", show_default=True)
@click.option("--pairs", default=256, show_default=True, help="Pairs re-ranked in a turn.")
@click.option("--steps", default=2, show_default=True, help="Training steps timed in a turn.")
@click.option("--batch", type=int, help="Queries of a training step; otherwise morand2026's.")
@click.option("--rounds", default=2, show_default=True, help="Turns of each entry.")
@click.option("--threads", default=2, show_default=True, help="CPU threads of each contestant.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda; auto takes a GPU.")
@click.option("--tf32", is_flag=True, help="Let a GPU multiply float32 in TF32, for all.")
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Whom to measure beside.")
def main(
    sizes: str,
    tasks: str,
    pairs: int,
    steps: int,
    batch: int | None,
    rounds: int,
    threads: int,
    device: str,
    tf32: bool,
    peers: str,
) -> None:
    """Measure pairs/s of re-ranking and training, ours and the peers', and print one table."""
    from redistil.machine.processes import device_of

    device = str(device_of(device))
    names = [OURS, *filter(None, peers.split(","))]
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise click.BadParameter(f"no peer {unknown[0]!r} (there is: {', '.join(PEERS)})")
    if device != "cpu":
        names = [name for name in names if name not in INFERENCE]
    workers = {name: start(name, OUT, device, threads, tf32) for name in names}
    try:
        precisions = [name for name in PRECISIONS if available(name, device)]
        ceilings = {
            name: workers[OURS].ask("ceiling", device=device, precision=name, seconds=4)["gflops"]
            for name in precisions
        }
        print(_about(workers, device, threads, tf32, ceilings), flush=True)
        rows = []
        for size in sizes.split(","):
            queries = BATCH[size] if batch is None else dict.fromkeys(PASSAGES, batch)
            run = Run(workers, size, device, precisions, tf32, queries)
            for task in tasks.split(","):
                rows += lines(size, run.measured(task, pairs, steps, rounds), ceilings)
    finally:
        for worker in workers.values():
            worker.stop()
    print("\n" + markdown(rows))


class Run:
    """The entries of one model size."""

    def __init__(
        self,
        workers: Workers,
        size: str,
        device: str,
        precisions: Sequence[str],
        tf32: bool,
        batch: Mapping[str, int],
    ) -> None:
        self.workers = workers
        self.size = size
        self.device = device
        self.precisions = precisions
        self.tf32 = tf32
        self.batch = batch

    def measured(self, task: str, pairs: int, steps: int, rounds: int) -> list[Measured]:
        """Return the rates of every entry of a task, over the rounds."""
        self.steps = 1 if task == "rerank" else steps + 1  # the first is not timed
        if task == "rerank":
            self.work = work.prepare(OUT, self.size, pairs, 1, 1)
            self.pairs = pairs
        else:
            lists = self.batch[task]
            self.pairs = lists * PASSAGES[task]
            counts = {"margin-mse": 1, "infonce": 1} | {task: lists * self.steps}
            self.work = work.prepare(OUT, self.size, 1, *counts.values())
        entries = list(self._entries(task))
        differ = self._differences(task, entries)
        rates: list[list[float]] = [[] for _ in entries]
        for turn in range(rounds):
            order = [(turn + place) % len(entries) for place in range(len(entries))]
            for place in order:
                entry = entries[place]
                rates[place].append(self._turn(entry))
                label = f"{self.size} {task}, round {turn + 1}: {entry.label} {entry.precision}"
                print(f"{label} {rates[place][-1]:.1f} pairs/s", file=sys.stderr)
        flops = work.flops(self.work, "pairs" if task == "rerank" else LISTS[task])
        times = 1 if task == "rerank" else 3  # the backward pass costs two forward ones
        return [
            Measured(entry, rates[i], flops * times, differ[i]) for i, entry in enumerate(entries)
        ]

    def _turn(self, entry: Entry) -> float:
        answer = self._ask(entry, self.work, self.pairs)
        return self.pairs * answer.get("steps", 1) / answer["seconds"]

    def _ask(self, entry: Entry, inputs: Work, pairs: int) -> dict[str, Any]:
        settings: dict[str, Any] = {"folder": str(inputs.folder), "device": self.device}
        settings |= {"precision": entry.precision, **entry.settings}
        if self.tf32 and entry.contestant == OURS and entry.precision == "float32":
            settings["precision"] = "tf32"  # what it is called in a study
        if entry.task == "rerank":
            out = OUT / f"{entry.contestant}.npy"
            answer = self.workers[entry.contestant].ask(
                "rerank", **settings, first=pairs, out=str(out)
            )
            return answer | {"values": np.load(out)}
        batch = pairs // PASSAGES[entry.task]
        worker = self.workers[entry.contestant]
        answer = worker.ask("train", **settings, loss=entry.task, batch=batch, steps=self.steps)
        worker.renew()
        return answer | {"values": np.array(answer["losses"][:2])}

    # --- who ------------------------------------------------------------------------------------

    def _entries(self, task: str) -> Iterator[Entry]:
        """Yield ours, then each peer's defaults and best settings, in every precision."""
        loss = None if task == "rerank" else task
        for precision in self.precisions:
            yield Entry(OURS, precision, loss)
        for peer in [name for name in self.workers if name != OURS]:
            if loss and peer in INFERENCE:
                continue
            for precision in self.precisions:
                plain = peer == "cross_encoder" and precision == "float32"
                if task == "rerank":
                    yield Entry(peer, precision, loss, {"batch": 32}, "batch 32", plain)
                    best = self._best_batch(peer, precision)
                    if best != 32:
                        yield Entry(peer, precision, loss, {"batch": best}, f"batch {best}")
                elif peer == "cross_encoder":
                    yield Entry(peer, precision, loss, {"at_once": None}, "", plain)
                    if task == "infonce":
                        whole = {"at_once": -1}
                        yield Entry(peer, precision, loss, whole, "whole batch at once")
                else:
                    yield Entry(peer, precision, loss)

    def _best_batch(self, peer: str, precision: str) -> int:
        """Return the batch size at which a peer scores the most pairs a second, tried on a few."""
        few = min(self.pairs, 128)
        seconds = {
            batch: self._ask(Entry(peer, precision, None, {"batch": batch}), self.work, few)[
                "seconds"
            ]
            for batch in (TRIED[0], *TRIED)  # the first one warms up
        }
        return min(seconds, key=lambda batch: seconds[batch])

    # --- the same answers -----------------------------------------------------------------------

    def _differences(self, task: str, entries: Sequence[Entry]) -> list[float]:
        """Return how far each entry is from ours in float32; click's error if float32 is far off.

        Of re-ranking: logits. Of training: the losses of two steps on one batch without dropout,
        which are equal only if scores, loss, gradients, clipping and AdamW all are.
        """
        if task == "rerank":
            inputs, pairs = self.work, min(self.pairs, 64)
        else:
            batch = self.batch[task]
            counts = {"margin-mse": 1, "infonce": 1} | {task: batch}
            inputs = work.prepare(OUT, self.size, 1, *counts.values(), dropout=0.0)
            pairs = self.pairs
        values = [self._ask(entry, inputs, pairs)["values"] for entry in entries]
        exact = values[0]
        scale = 1.0 if task == "rerank" else np.abs(exact)
        differences = [float(np.max(np.abs(each - exact) / scale)) for each in values]
        allowed = AGREE[task] * (1 if self.device == "cpu" else 100 if self.tf32 else 10)
        for entry, differs in zip(entries, differences, strict=True):
            if entry.precision == "float32" and differs > allowed:
                raise click.ClickException(
                    f"{entry.label} and redistil disagree on {task} by {differs:.1e}: this would "
                    "compare different work, so nothing was timed"
                )
        return differences


def _about(
    workers: Workers, device: str, threads: int, tf32: bool, ceilings: dict[str, float]
) -> str:
    """Return where and with what this was measured."""
    if device == "cpu":
        read = subprocess.run(["lscpu"], capture_output=True, text=True).stdout.splitlines()
        named = [line.split(":", 1)[1].strip() for line in read if line.startswith("Model name")]
        machine = f"{named[0] if named else platform.processor()}, {threads} threads"
    else:
        import torch

        machine = torch.cuda.get_device_name(device) + (", TF32" if tf32 else "")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=OUT.parent
    ).stdout.strip()
    versions = [
        f"{NAMES[name]} ({', '.join(f'{k} {v}' for k, v in worker.versions.items())})"
        for name, worker in workers.items()
    ]
    reached = ", ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in ceilings.items())
    return (
        f"{datetime.date.today()}, {machine}, Python {platform.python_version()}, commit {commit}\n"
        f"contestants: {'; '.join(versions)}\n"
        f"ceiling, the best of plain matrix products: {reached}"
    )


if __name__ == "__main__":
    main()
