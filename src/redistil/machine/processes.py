"""The processes of one job: one, unless torchrun or accelerate launched several.

They share the work and sum over all; the first process alone writes.
"""

import os
from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor

from redistil.errors import BadSettings
from redistil.machine.precision import refuse_precision


class Processes:
    """rank: which of `count` processes this one is; device: where it computes."""

    def __init__(self, device: str) -> None:
        self.rank, self.count = 0, int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=device == "cpu")
            self.rank, self.count = self._state.process_index, self._state.num_processes
        self.device = self._state.device if self.count > 1 else device_of(device)

    @property
    def machines(self) -> int:
        """Over how many machines they are spread."""
        return max(1, self.count // int(os.environ.get("LOCAL_WORLD_SIZE", self.count)))

    @property
    def gpus(self) -> list[str]:
        """The UUIDs of the GPUs that this machine's processes compute on, if they do."""
        if self.device.type != "cuda":
            return []
        local: Iterable[int | torch.device] = [self.device]
        if self.count > 1:
            local = range(self.count // self.machines)
        return [f"GPU-{torch.cuda.get_device_properties(one).uuid}" for one in local]

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; every process must call this."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def total_gradients(self, weights: Iterable[Tensor]) -> None:
        """Let every process have the sum of all gradients."""
        if self.count > 1:
            # a weight that this share of the batch did not reach has its part to receive
            for weight in weights:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                torch.distributed.all_reduce(weight.grad)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            self._state.wait_for_everyone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # after an error the others may wait for this one for ever: its launcher ends them
        if self.count > 1 and error[0] is None:
            self._state.destroy_process_group()


def device_of(name: str) -> torch.device:
    """Return the device called `name`; "auto" takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise BadSettings(f"--device: this machine has no {name!r} (cpu always works)") from None
    return device


def check_precision(precision: str, device: torch.device) -> None:
    """Raise BadSettings where a device cannot compute in a precision."""
    cuda = device.type == "cuda"
    capability = torch.cuda.get_device_capability(device) if cuda else None
    refuse_precision(precision, device.type, capability)


def allow_tf32(precision: str) -> None:
    """Set whether a GPU may take the products of float32 matrices in TF32."""
    torch.backends.cuda.matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of a forward pass, and set the job's matrix products, to a precision.

    float32; tf32: float32 whose products a GPU may take in TF32; bfloat16: products in bfloat16.
    """
    allow_tf32(precision)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
