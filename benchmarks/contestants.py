"""Who runs, how it is set up, and in which environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.environments import environment
from benchmarks.protocol import Worker

OURS = "ours"
PEERS = ("cross_encoder", "openvino", "lightning_ir")
NAMES = {
    OURS: "redistil",
    "cross_encoder": "sentence-transformers",
    "openvino": "sentence-transformers on OpenVINO",
    "lightning_ir": "lightning-ir",
}
INFERENCE = {"openvino"}  # re-rank on a CPU, and nothing else


def start(contestant: str, out: Path, device: str, threads: int, tf32: bool) -> Worker:
    """Start a contestant's process, in its own environment if it is a peer."""
    python = Path(sys.executable)
    if contestant != OURS:
        python = environment(contestant, out / "environments")
    log = out / "logs" / f"{contestant}.log"
    settings = {"threads": threads, "device": device, "tf32": tf32}
    return Worker(python, f"benchmarks.workers.{contestant}", log, settings)


@dataclass(frozen=True)
class Entry:
    """A line of the table: a contestant at one of its settings.

    loss: of a training, or None for re-ranking; settings: what the worker is asked beyond that;
    note: how the settings are called in the table; default: whether the peer's own defaults.
    """

    contestant: str
    precision: str
    loss: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    default: bool = False

    @property
    def task(self) -> str:
        return self.loss or "rerank"

    @property
    def label(self) -> str:
        return f"{NAMES[self.contestant]}{f', {self.note}' if self.note else ''}"


def available(precision: str, device: str) -> bool:
    """Whether the device has fast arithmetic of this precision."""
    if precision == "float32":
        return True
    if device != "cpu":
        import torch

        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
