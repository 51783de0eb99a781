"""Costs of using a trained student: time, memory and bytes, on one machine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from redistil.storage import digests


@dataclass(frozen=True)
class Latency:
    """The cost of re-ranking `passages` passages for a query, measured over `queries` queries.

    student: its name, and `model` that of the training that was timed. median, p95: milliseconds
    a query. peak_bytes: memory of the process, or of its GPU, at most. Of a student that encodes
    passages ahead, which are then stored: mean bytes of a passage, at four and two bytes a
    number; the seconds that a million would take at the pace of these; else None. device,
    threads: what it ran on.
    """

    student: str
    model: str
    queries: int
    passages: int
    median: float
    p95: float
    peak_bytes: int
    bytes_float32: float | None
    bytes_float16: float | None
    million_seconds: float | None
    device: str
    threads: int


def write(latency: Latency, more: Mapping[str, Any], path: Path) -> None:
    """Write a latency; more: what else the machine tells of itself."""
    digests.write_json(asdict(latency) | dict(more), path)


def read(path: Path) -> Latency:
    """Return what `write` wrote."""
    stored = digests.read_json(path)
    values = {}
    for field in fields(Latency):
        values[field.name] = stored[field.name]
    return Latency(**values)
