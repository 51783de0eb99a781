"""Costs of some work and the machine it ran on, in a file beside the result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redistil.machine.energy import Note, Spent
from redistil.machine.hardware import kernels, machine, processor
from redistil.storage import digests

if TYPE_CHECKING:
    from redistil.machine.processes import Processes

_ALIKE = ("device", "processes", "threads", "kernels", "commit", "machine")


def account(spent: Spent, pairs: int, processes: "Processes", commit: str, path: Path) -> None:
    """Write what `pairs` pairs (query, passage) cost, and with which machine and code.

    commit: of the sources when the work began. Joules of several machines are not known: each
    counts its own.
    """
    if processes.machines > 1:
        spent = replace(spent, processor_joules=None, gpu_joules=None)
    amounts = _amounts(spent, pairs, _device_seconds(spent, processes))
    _write(amounts | ran_on(processes, commit), path)


def ran_on(processes: "Processes", commit: str) -> dict[str, Any]:
    """Return what a work on torch ran on."""
    import torch

    return {
        "device": torch.cuda.get_device_name() if processes.gpus else processor(),
        "processes": processes.count,
        "threads": torch.get_num_threads(),
        "kernels": kernels(),
        "commit": commit,
        "machine": machine(),
    }


def _device_seconds(spent: Spent, processes: "Processes") -> float | None:
    """Return the seconds of all GPUs, or of all threads where there is none."""
    of_one = spent.seconds if processes.gpus else spent.cpu_seconds
    return None if of_one is None else of_one * processes.count


def account_alone(spent: Spent, pairs: int, commit: str, path: Path, threads: int = 1) -> None:
    """Write the same of work on threads of the CPU, whose kernels no number depends on."""
    alone = {
        "device": processor(),
        "processes": 1,
        "threads": threads,
        "commit": commit,
        "machine": machine(),
    }
    _write(_amounts(spent, pairs, spent.cpu_seconds) | alone, path)


def account_together(parts: Sequence[Path], pairs: int, path: Path) -> None:
    """Write the sum of what several works on the same pairs cost; nothing unless all tell it.

    A device, commit, ... in which the works differ is told as a list.
    """
    if not all(part.exists() for part in parts):
        path.unlink(missing_ok=True)
        return
    records = [digests.read_json(part) for part in parts]
    spent = Spent()
    seconds: list[float] = []
    for record in records:
        spent = spent + Spent.of(record)
        if record.get("device_seconds") is not None:
            seconds.append(record["device_seconds"])
    of_devices = sum(seconds) if len(seconds) == len(records) else None
    alike = {key: _alike(records, key) for key in _ALIKE}
    _write(_amounts(spent, pairs, of_devices) | alike, path)


def _alike(records: Sequence[Mapping[str, Any]], key: str) -> Any:
    values: list[Any] = []
    for record in records:
        value = record.get(key)
        if value not in values and value is not None:
            values.append(value)
    return values[0] if len(values) == 1 else values or None


def _amounts(spent: Spent, pairs: int, device_seconds: float | None) -> dict[str, Any]:
    return {
        "seconds": _rounded(spent.seconds, 3),
        "device_seconds": _rounded(device_seconds, 3),
        "pairs": pairs,
        "pairs_per_second": round(pairs / spent.seconds, 1) if spent.seconds else None,
        "processor_joules": _rounded(spent.processor_joules, 1),
        "gpu_joules": _rounded(spent.gpu_joules, 1),
        "interruptions": spent.interruptions,
    }


def _write(record: Mapping[str, Any], path: Path) -> None:
    """Write a cost; the note of what its work had spent so far has served."""
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    digests.write_json({**record, "ended": ended}, path)
    Note.beside(path, "").path.unlink(missing_ok=True)


def _rounded(amount: float | None, digits: int) -> float | None:
    return None if amount is None else round(amount, digits)
