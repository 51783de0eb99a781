"""The history of a training and its checkpoints: killed and resumed, it ends in the same bytes."""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from redistil.machine.energy import Spent
from redistil.storage import digests
from redistil.storage.aside import aside

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """One step: its loss, gradient norm before clipping, and learning rate.

    positive_score, negative_score: the mean raw scores of its positives and of its negatives, None
    where it showed none.
    """

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    positive_score: float | None = None
    negative_score: float | None = None


@dataclass(frozen=True)
class Validated:
    """The values of every dataset after `step` steps (from 1)."""

    step: int
    values: Mapping[str, float]

    @property
    def mean(self) -> float:
        """The unweighted mean of the current values, by which the best step is chosen."""
        return sum(self.values.values()) / len(self.values)


@dataclass
class History:
    """Every step and validation of a training so far, and the time and energy it took."""

    points: list[Point] = field(default_factory=list)
    validations: list[Validated] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    @property
    def best(self) -> Validated | None:
        """The validation with the highest mean, the earliest of equals."""
        return max(self.validations, key=lambda one: (one.mean, -one.step), default=None)


_POINT = tuple(one.name for one in fields(Point))


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state every `every` steps, and whose state it is.

    fingerprint: of the training; the state of another one at the same path is thrown away.
    writes: whether this process is the one that writes.
    """

    path: Path
    every: int
    fingerprint: str
    writes: bool = True

    def best_of(self, step: int) -> Path:
        """Return where the weights after `step` steps are kept while they are the best."""
        return self.path.with_name(f"best-{step}.safetensors")

    def best_weights(self, step: int) -> dict[str, Tensor]:
        """Return the weights after `step` steps; Damaged if they are not what was written."""
        path = self.best_of(step)
        digests.check(path)
        return load_file(path)

    def due(self, history: History, validated: bool) -> bool:
        """Whether this process saves the state now: after a validation, and every `every` steps."""
        return self.writes and (validated or len(history.points) % self.every == 0)

    def after(
        self, model: nn.Module, adam: torch.optim.AdamW, history: History, validated: bool
    ) -> None:
        """Save the state, if it is due."""
        if self.due(history, validated):
            self.save(model, adam, history, validated)

    def save(
        self, model: nn.Module, adam: torch.optim.AdamW, history: History, validated: bool
    ) -> None:
        """Save the state.

        The best weights are written before the state that names them, and older ones removed
        after it: whenever a kill comes, the state on disk finds the weights it means.
        """
        best = history.best
        if validated and best and best.step == len(history.points):
            _save(dict(model.state_dict()), self.best_of(best.step), {})
        metadata = {
            "fingerprint": self.fingerprint,
            "validations": json.dumps([[v.step, dict(v.values)] for v in history.validations]),
        }
        _save(_state(model, adam, history), self.path, metadata)
        if best:
            self._sweep(f"best-*{self.path.suffix}", keep=self.best_of(best.step))

    def restore(self, model: nn.Module, adam: torch.optim.AdamW) -> History:
        """Bring back the last saved state, if it is this training's; return its history."""
        metadata = self._metadata()
        if metadata.get("fingerprint") != self.fingerprint:
            return History()
        if not digests.is_whole(self.path):
            _log.warning("%s is damaged: the training begins anew", self.path)
            return History()
        tensors = load_file(self.path)
        model.load_state_dict(_named("weight.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _named("adam.", tensors).items():
            i, key = name.split(".")
            state.setdefault(int(i), {})[key] = tensor
        adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
        history = History()
        for step, *numbers in tensors["points"].T.tolist():
            *always, positive, negative = numbers
            scores = [None if math.isnan(score) else score for score in (positive, negative)]
            history.points.append(Point(int(step), *always, *scores))
        for step, values in json.loads(metadata["validations"]):
            history.validations.append(Validated(step, values))
        _log.info("the training goes on after step %d", len(history.points))
        return history

    def _metadata(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        try:
            with safe_open(self.path, framework="pt") as file:
                return dict(file.metadata() or {})
        except SafetensorError:
            return {}

    def done(self) -> None:
        """Remove the state of a training that has ended, and what a kill left of writing it."""
        if self.writes:
            for pattern in (self.path.name, f"best-*{self.path.suffix}"):
                self._sweep(pattern)
                self._sweep(f".{pattern}.*.partial")

    def _sweep(self, pattern: str, keep: Path | None = None) -> None:
        for path in self.path.parent.glob(pattern):
            if path != keep:
                path.unlink(missing_ok=True)


def _state(model: nn.Module, adam: torch.optim.AdamW, history: History) -> dict[str, Tensor]:
    """Return weights, optimiser and points by the names that they have in a checkpoint."""
    tensors = {}
    for name, weight in model.state_dict().items():
        tensors[f"weight.{name}"] = weight
    for number, state in adam.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"adam.{number}.{key}"] = value
    columns = []
    for name in _POINT:
        values = [getattr(point, name) for point in history.points]
        columns.append([math.nan if value is None else value for value in values])
    tensors["points"] = torch.tensor(columns, dtype=torch.float64)
    return tensors


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    # cloned: safetensors refuses weights that share their memory
    own = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
    with aside(path) as partial:
        save_file(own, partial, metadata=metadata | {digests.KEY: digests.BLANK.decode()})
        digests.seal(partial)


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
