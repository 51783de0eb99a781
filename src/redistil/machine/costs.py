"""Costs of some work and the machine it ran on, in a file beside the result."""

import json
from pathlib import Path

from redistil.machine.energy import Spent
from redistil.machine.hardware import machine, processor
from redistil.machine.processes import Processes
from redistil.storage.tables import aside


def account(spent: Spent, pairs: int, processes: Processes, commit: str, path: Path) -> None:
    """Write what `pairs` pairs (query, passage) cost, and with which machine and code.

    commit: of the sources when the work began. Joules of several machines are not known: each
    counts its own.
    """
    import torch

    alone = processes.machines == 1
    record = {
        "seconds": _rounded(spent.seconds, 3),
        "pairs": pairs,
        "pairs_per_second": round(pairs / spent.seconds, 1) if spent.seconds else None,
        "processor_joules": _rounded(spent.processor_joules, 1) if alone else None,
        "gpu_joules": _rounded(spent.gpu_joules, 1) if alone else None,
        "device": torch.cuda.get_device_name() if processes.gpus else processor(),
        "processes": processes.count,
        "threads": torch.get_num_threads(),
        "commit": commit,
        "machine": machine(),
    }
    with aside(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _rounded(amount: float | None, digits: int) -> float | None:
    return None if amount is None else round(amount, digits)
