"""The training loop: AdamW, a rate that rises and falls, clipping; resumable to the byte."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from tqdm import tqdm

from redistil.errors import Interrupted, UserError
from redistil.learning.history import Checkpoint, History, Point, Validated
from redistil.machine.energy import Meter, Note
from redistil.seeds import derive


@dataclass(frozen=True)
class Schedule:
    """How the weights change, step by step.

    steps: optimiser steps; warmup_steps: of these, spent rising to learning_rate (the peak);
    shape: of its fall to 0 after that, `constant` for none; clip_norm: global gradient norm, None
    for no clipping; seed: of dropout; stair: steps after which the rate falls, where not at each.
    """

    steps: int
    warmup_steps: int
    learning_rate: float
    shape: Literal["linear", "cosine", "constant"]
    epsilon: float
    weight_decay: float
    clip_norm: float | None
    seed: int
    stair: int = 1

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.shape == "constant":
            return self.learning_rate
        fallen = (step - self.warmup_steps) // self.stair * self.stair
        falling = self.steps - self.warmup_steps
        if self.shape == "linear":
            return self.learning_rate * (falling - fallen) / falling
        return self.learning_rate * (1 + math.cos(math.pi * fallen / falling)) / 2


class Group(NamedTuple):
    """Weights that share a learning rate: `factor` times that of the schedule."""

    weights: list[nn.Parameter]
    factor: float


class Learned(NamedTuple):
    """The loss of a step, without a graph, and the mean raw scores of what it showed."""

    loss: Tensor
    positive_score: float | None = None
    negative_score: float | None = None


# a step is learned: the gradients of its loss are then in the weights
Learn = Callable[[int], Learned]


def whole(loss_of: Callable[[int], Tensor]) -> Learn:
    """Return the `Learn` of a loss whose graph is held whole."""

    def learn(step: int) -> Learned:
        loss = loss_of(step)
        loss.backward()  # type: ignore[no-untyped-call]
        return Learned(loss.detach())

    return learn


@dataclass(frozen=True)
class Validation:
    """When a training is validated, on what, and when it ends early.

    every: steps; measure: the value of each dataset now, higher is better; patience: validations
    without a new best mean after which the training ends, None for no end; not_before: steps that
    it has at least.
    """

    every: int
    measure: Callable[[], Mapping[str, float]]
    patience: int | None
    not_before: int = 0

    def due(self, step: int, steps: int) -> bool:
        """Whether the weights after step `step` (from 0) are validated; the last always are."""
        return (step + 1) % self.every == 0 or step + 1 == steps

    def over(self, history: History) -> bool:
        """Whether the last `patience` validations brought no new best."""
        best = history.best
        if self.patience is None or best is None or len(history.points) < self.not_before:
            return False
        return sum(one.step > best.step for one in history.validations) >= self.patience


@dataclass(frozen=True)
class Watch:
    """Reports of a training: its bar, the name of a batch in an error, and each point.

    pairs: of a step, for the bar's rate; gpus: whose energy is counted, by UUID; quiet: show no
    bar; warned: the signal that asks for an early end, or ""; note: where it notes its cost so far.
    """

    pairs: int = 0
    batch: Callable[[int], str] = field(default=lambda step: "")
    tell: Callable[[Point], None] = field(default=lambda point: None)
    gpus: Sequence[str] = ()
    quiet: bool = False
    warned: Callable[[], str] = field(default=lambda: "")
    note: Note | None = None


def optimise(
    model: nn.Module,
    learn: Learn,
    schedule: Schedule,
    checkpoint: Checkpoint | None = None,
    validation: Validation | None = None,
    watch: Watch | None = None,
    groups: Sequence[Group] | None = None,
) -> History:
    """Train `model` in place and return what happened, step by step.

    groups: its weights by their learning rates, where these differ.

    The loss of a step and the dropout in it depend on (seed, step) alone; with a checkpoint, a
    training that was killed goes on from the last one and ends in the same weights.
    Raises UserError at the first loss or gradient that is not a finite number.
    """
    watch = watch or Watch()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = groups or [Group(weights, 1.0)]
    adam = _adam(groups, schedule)
    limit = math.inf if schedule.clip_norm is None else schedule.clip_norm
    history = checkpoint.restore(model, adam) if checkpoint else History()
    with Meter(watch.gpus, note=watch.note) as meter, _bar(history, schedule, watch) as bar:
        for step in range(len(history.points), schedule.steps):
            if validation and validation.over(history):
                break
            model.train()
            torch.manual_seed(derive(schedule.seed, "dropout", step))
            adam.zero_grad(set_to_none=True)
            loss, *scores = learn(step)
            norm = nn.utils.clip_grad_norm_(weights, limit)
            point = Point(step, float(loss), float(norm), schedule.rate(step), *scores)
            _refuse_non_finite(point, watch)
            _update(adam, groups, point.learning_rate)
            history.points.append(point)
            watch.tell(point)
            _show(bar, point, watch)
            validated = validation is not None and validation.due(step, schedule.steps)
            if validation and validated:
                history.validations.append(Validated(step + 1, dict(validation.measure())))
            if checkpoint and checkpoint.due(history, validated):
                checkpoint.after(model, adam, history, validated)
            if checkpoint and watch.warned() and step + 1 < schedule.steps:
                checkpoint.save(model, adam, history, validated)
                _stop(history, schedule, watch)
        history.spent = meter.spent()
    return history


def _stop(history: History, schedule: Schedule, watch: Watch) -> NoReturn:
    done = len(history.points)
    raise Interrupted(
        f"the training was ended by {watch.warned()} after step {done} of {schedule.steps}: "
        "its state is saved, start it again and it goes on from there"
    )


def _adam(groups: Sequence[Group], schedule: Schedule) -> torch.optim.AdamW:
    parts = [{"params": group.weights} for group in groups]
    return torch.optim.AdamW(
        parts, lr=0.0, eps=schedule.epsilon, weight_decay=schedule.weight_decay, fused=True
    )


def _update(adam: torch.optim.AdamW, groups: Sequence[Group], rate: float) -> None:
    for own, group in zip(adam.param_groups, groups, strict=True):
        own["lr"] = rate * group.factor
    adam.step()


def _bar(history: History, schedule: Schedule, watch: Watch) -> "tqdm[None]":
    done = len(history.points)
    return tqdm(initial=done, total=schedule.steps, unit="step", mininterval=2, disable=watch.quiet)


def _show(bar: "tqdm[None]", point: Point, watch: Watch) -> None:
    postfix = {"loss": f"{point.loss:.4f}", "rate": f"{point.learning_rate:.1e}"}
    if watch.pairs and bar.format_dict["rate"]:
        postfix["pairs/s"] = f"{bar.format_dict['rate'] * watch.pairs:.0f}"
    bar.set_postfix(postfix, refresh=False)
    bar.update()


def _refuse_non_finite(point: Point, watch: Watch) -> None:
    if math.isfinite(point.loss) and math.isfinite(point.gradient_norm):
        return
    batch = watch.batch(point.step)
    on_which = f", on the queries {batch}" if batch else ""
    raise UserError(
        f"training diverged at step {point.step}: loss {point.loss}, gradient norm "
        f"{point.gradient_norm}{on_which}; lower the learning rate or look at this step's batch"
    )
