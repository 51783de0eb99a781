"""A training loop of a few steps that draw dropout, and what is left of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from redistil.learning.history import Checkpoint, Point
from redistil.learning.optimise import Schedule, optimise, whole

STEPS = 10
SCHEDULE = Schedule(
    steps=STEPS,
    warmup_steps=3,
    learning_rate=0.05,
    shape="linear",
    epsilon=1e-8,
    weight_decay=0.01,
    clip_norm=1.0,
    seed=4,
)


def network() -> nn.Module:
    """A network with dropout, shared weights and a weight that no loss reaches."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 4))
    model.add_module("again", model[0])
    model.register_parameter("idle", nn.Parameter(torch.ones(2)))
    return model


def loss_on(model: nn.Module) -> Callable[[int], Tensor]:
    def loss(step: int) -> Tensor:
        inputs = torch.from_numpy(np.random.default_rng(step).normal(size=(5, 4))).float()
        hidden = inputs
        for layer in (model[0], model[1], model[2], model[3]):
            hidden = layer(hidden)
        return (hidden - inputs.flip(1)).square().mean()

    return loss


def weights_of(model: nn.Module) -> bytes:
    return save({name: tensor.clone() for name, tensor in model.state_dict().items()})


def trained(checkpoint: Checkpoint | None = None) -> tuple[bytes, list[Point]]:
    model = network()
    history = optimise(model, whole(loss_on(model)), SCHEDULE, checkpoint)
    return weights_of(model), history.points


def checkpoint_in(folder: Path, fingerprint: str = "this") -> Checkpoint:
    return Checkpoint(folder / "checkpoint.safetensors", 3, fingerprint)
