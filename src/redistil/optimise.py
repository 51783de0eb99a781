"""The one training loop: AdamW, linear warm-up and decay, clipping, resumable to the byte."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from redistil.errors import UserError
from redistil.seeds import derive
from redistil.tables import aside


@dataclass(frozen=True)
class Schedule:
    """How the weights move.

    steps: optimiser steps; warmup_steps: of these, spent rising to learning_rate (the peak), after
    which it falls in a line to 0; clip_norm: global gradient norm; seed: of dropout.
    """

    steps: int
    warmup_steps: int
    learning_rate: float
    epsilon: float
    weight_decay: float
    clip_norm: float
    seed: int

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        return self.learning_rate * (self.steps - step) / (self.steps - self.warmup_steps)


@dataclass(frozen=True)
class Point:
    """What one step did: its loss, gradient norm before clipping, and learning rate."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float


Loss = Callable[[int], Tensor]  # step -> scalar with a graph


def optimise(
    model: nn.Module, loss_of: Loss, schedule: Schedule, checkpoint: "Checkpoint | None" = None
) -> Iterator[Point]:
    """Train `model` in place, yielding a point for each step.

    The loss of a step and the dropout in it depend on (seed, step) alone; with a checkpoint, a
    training that was killed goes on from the last one and ends in the same weights.
    Raises UserError at the first loss or gradient that is not a finite number.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(
        weights, lr=0.0, eps=schedule.epsilon, weight_decay=schedule.weight_decay
    )
    past = checkpoint.restore(model, adam) if checkpoint else []
    yield from past
    model.train()
    bar = tqdm(
        range(len(past), schedule.steps),
        initial=len(past),
        total=schedule.steps,
        unit="step",
        mininterval=2,
    )
    for step in bar:
        torch.manual_seed(derive(schedule.seed, "dropout", step))
        loss = loss_of(step)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(weights, schedule.clip_norm))
        point = Point(step, loss.item(), norm, schedule.rate(step))
        _refuse_non_finite(point)
        for group in adam.param_groups:
            group["lr"] = point.learning_rate
        adam.step()
        bar.set_postfix(loss=f"{point.loss:.4f}", refresh=False)
        past.append(point)
        if checkpoint:
            checkpoint.after(step, model, adam, past)
        yield point


def _refuse_non_finite(point: Point) -> None:
    if not (math.isfinite(point.loss) and math.isfinite(point.gradient_norm)):
        raise UserError(
            f"training diverged at step {point.step}: loss {point.loss}, gradient norm "
            f"{point.gradient_norm}; lower the learning rate or look at this step's batch"
        )


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state every `every` steps, and whose state it is.

    fingerprint: of the training; the state of another one at the same path is thrown away.
    """

    path: Path
    every: int
    fingerprint: str

    def after(
        self, step: int, model: nn.Module, adam: torch.optim.AdamW, past: list[Point]
    ) -> None:
        """Save the state if `step` ends a stretch of `every`."""
        if (step + 1) % self.every == 0:
            tensors = {f"weight.{name}": t for name, t in model.state_dict().items()}
            for i, state in adam.state_dict()["state"].items():
                tensors |= {f"adam.{i}.{key}": value for key, value in state.items()}
            columns = [[getattr(p, f) for p in past] for f in _POINT]
            tensors |= {"past": torch.tensor(columns, dtype=torch.float64)}
            tensors = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
            with aside(self.path) as partial:
                save_file(tensors, partial, metadata={"fingerprint": self.fingerprint})

    def restore(self, model: nn.Module, adam: torch.optim.AdamW) -> list[Point]:
        """Bring back the last saved state, if it is this training's; return the points so far."""
        if not self.path.exists() or self._owner() != self.fingerprint:
            return []
        tensors = load_file(self.path)
        weights = {
            k.removeprefix("weight."): t for k, t in tensors.items() if k.startswith("weight.")
        }
        model.load_state_dict(weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, i, key = name.split(".")
                state.setdefault(int(i), {})[key] = tensor
        adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
        rows = tensors["past"].T.tolist()
        return [Point(int(row[0]), *row[1:]) for row in rows]

    def _owner(self) -> str | None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                owner: str | None = (file.metadata() or {}).get("fingerprint")
                return owner
        except SafetensorError:
            return None

    def done(self) -> None:
        """Remove the state of a training that has ended, and what a kill left of writing it."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*.partial")):
            path.unlink(missing_ok=True)


_POINT = ("step", "loss", "gradient_norm", "learning_rate")
