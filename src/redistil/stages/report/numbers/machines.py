"""The kinds of machine that the works of a study ran on, from the cost files beside their results.

Float32 sums differ between kernels, and a training can end elsewhere for it. So a study whose parts
come from two kinds of machine is told. Like costs, none of this is in a record.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from redistil.storage import digests
from redistil.storage.tables import aside

FILE = "machines.csv"


@dataclass(frozen=True)
class Machine:
    """A kind of machine: processor or GPU, threads, and the kernels of torch's arithmetic."""

    device: str
    threads: int
    kernels: str

    def __str__(self) -> str:
        """Return the kind in words."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.device}, {threads}, {self.kernels}"


def kinds(files: Iterable[Path]) -> dict[Machine, int]:
    """Return how many works each kind of machine did, the most first.

    files: cost files; those that are missing, or tell no kernels, count nowhere.
    """
    works: Counter[Machine] = Counter()
    for path in files:
        if path.exists():
            cost = digests.read_json(path)
            works.update(_machines(cost))
    in_order = sorted(works.items(), key=lambda item: (-item[1], str(item[0])))
    return dict(in_order)


def _machines(cost: Mapping[str, Any]) -> list[Machine]:
    """Return the machine of a work; none where the kernels are not told, or were several."""
    kernels = cost.get("kernels")
    if not isinstance(kernels, dict) or not isinstance(cost.get("threads"), int):
        return []
    words = [f"{name} {version}" for name, version in kernels.items()]
    return [Machine(str(cost.get("device")), cost["threads"], ", ".join(words))]


def warning(works: Mapping[Machine, int]) -> list[str]:
    """Return a sentence or two where several kinds of machine worked; none where one did."""
    if len(works) < 2:
        return []
    parts = []
    for machine, count in works.items():
        parts.append(f"{machine} ({count} work{'s' if count > 1 else ''})")
    return [
        f"The works behind these numbers ran on {len(works)} kinds of machine, whose arithmetic "
        f"differs: {'; '.join(parts)}. A small difference between two systems can come from that."
    ]


def write(works: Mapping[Machine, int], folder: Path) -> None:
    """Write a row for each kind of machine, as CSV."""
    with aside(folder / FILE) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow([*_columns(), "works"])
        for machine, count in works.items():
            out.writerow([machine.device, machine.threads, machine.kernels, count])


def read(folder: Path) -> dict[Machine, int]:
    """Return what `write` wrote; nothing where there is no such file."""
    if not (folder / FILE).exists():
        return {}
    works = {}
    with (folder / FILE).open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            machine = Machine(row["device"], int(row["threads"]), row["kernels"])
            works[machine] = int(row["works"])
    return works


def _columns() -> Sequence[str]:
    return [field.name for field in fields(Machine)]
