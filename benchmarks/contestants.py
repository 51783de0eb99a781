"""Who runs, how it is set up, and in which environment."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.protocol import Worker

HERE = Path(__file__).parent
OURS = "ours"
PEERS = ("cross_encoder", "openvino", "lightning_ir")
NAMES = {
    OURS: "redistil",
    "cross_encoder": "sentence-transformers",
    "openvino": "sentence-transformers on OpenVINO",
    "lightning_ir": "lightning-ir",
}
INFERENCE = {"openvino"}  # re-rank on a CPU, and nothing else
# what pip installs with a peer and would break it: a wheel for another build of torch than ours
UNWANTED = {"openvino": "torchvision"}


def start(contestant: str, out: Path, device: str, threads: int, tf32: bool) -> Worker:
    """Start a contestant's process, in its own environment if it is a peer."""
    python = Path(sys.executable) if contestant == OURS else _environment(contestant, out)
    log = out / "logs" / f"{contestant}.log"
    asked = {"threads": threads, "device": device, "tf32": tf32}
    return Worker(python, f"benchmarks.workers.{contestant}", log, asked)


def _environment(peer: str, out: Path) -> Path:
    """Return the python of a peer's environment, made at its first use.

    It stands on ours, so that all contestants have the same torch; what the peer wants in another
    version than we do is installed in front of it. Nothing of ours is changed.
    """
    folder, wanted = out / "environments" / peer, HERE / "peers" / f"{peer}.txt"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        print(f"setting up {NAMES[peer]} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        ours = [path for path in sys.path if path.endswith("site-packages")]
        (site / "beneath.pth").write_text("\n".join(ours) + "\n")
        install = ["install", "--quiet", "--no-warn-conflicts", "--requirement", str(wanted)]
        done = subprocess.run([str(python), "-m", "pip", *install], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{NAMES[peer]} cannot be installed:\n{done.stderr}")
        if peer in UNWANTED:
            remove = ["uninstall", "--quiet", "--yes", UNWANTED[peer]]
            subprocess.run([str(python), "-m", "pip", *remove], check=True)
        ready.write_text(wanted.read_text())
    return python


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
