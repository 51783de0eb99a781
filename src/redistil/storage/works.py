"""Costs of the works behind a file, their machines and times: told beside what they made.

No record covers it, for it differs from run to run: a cost lies in a file of its own, and the times
of any rule in Snakemake's records.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redistil.errors import UserError
from redistil.storage import digests, lineage
from redistil.storage.lineage import Made
from redistil.storage.locks import STATE

Cost = Mapping[str, Any]  # what one work tells: commit, device, seconds, machine, ...

TOPS = (Path("data"), Path("results"))  # where artefacts lie, in the folder of the project
COST = "cost.json"  # the end of the name of every cost file
ABOVE = 4  # folders in which the record of a file may lie
SUMMED = ("seconds", "pairs")
TOLD = ("commit", "device", *SUMMED, "ended")


def costs(path: Path, made: Made) -> dict[str, Cost]:
    """Return what the works behind a file tell of themselves, by fingerprint.

    made: the file's record. A cost is that of the record beside it, wherever it lies; a file of
    measured times tells its own.
    """
    chain = made.chain()
    names = {one.name for one in chain.values()}
    by_fingerprint: dict[str, Cost] = {}
    if path.suffix == ".json" and (own := _read(path)):
        by_fingerprint[made.fingerprint] = own
    for place in _places(path):
        beside = digests.remade(place)
        if beside != path and not _is_named(beside, names):
            continue
        fingerprint = _fingerprint(beside)
        if fingerprint in chain and (cost := _read(place)):
            by_fingerprint[fingerprint] = cost
    return by_fingerprint


def _places(path: Path) -> Iterator[Path]:
    """Yield the cost files of the project, and those beside a file."""
    folder = path if path.is_dir() else path.parent
    yield from sorted(folder.glob(f"*{COST}"))
    for top in TOPS:
        yield from sorted(top.rglob(f"*{COST}"))


def _is_named(beside: Path, names: set[str]) -> bool:
    """Whether an artefact may have one of these names: its path ends in it."""
    whole = beside.parent if beside.name == lineage.SIDECAR else beside.with_suffix("")
    parts = whole.parts
    return any("/".join(parts[start:]) in names for start in range(len(parts)))


def _fingerprint(path: Path) -> str:
    """Return the fingerprint that an artefact has; "" of one that is gone or cannot be read."""
    try:
        return lineage.stated(path)
    except (OSError, UserError):
        return ""


def _read(place: Path) -> Cost:
    """Return what a cost file tells; nothing of one that names no machine."""
    cost = json.loads(place.read_text(encoding="utf-8"))
    return cost if isinstance(cost, dict) and "machine" in cost else {}


def together(costs: Sequence[Cost]) -> dict[str, Any]:
    """Return what several works tell as if they were one: sums, and every value that differs."""
    whole: dict[str, Any] = {}
    for key in TOLD:
        values = [cost[key] for cost in costs if cost.get(key) is not None]
        if values:
            whole[key] = _summed(values) if key in SUMMED else _distinct(values)
    machines = [dict(cost["machine"]) for cost in costs if isinstance(cost["machine"], dict)]
    for key in dict.fromkeys(key for machine in machines for key in machine):
        whole[key] = _distinct([machine[key] for machine in machines if key in machine])
    return whole


def _summed(values: Iterable[float]) -> float:
    return round(sum(values), 3)


def _distinct(values: Iterable[Any]) -> str:
    """Return the values in words, each once; of many the first and the last."""
    words = sorted({str(value) for value in values})
    return "; ".join(words) if len(words) <= 4 else f"{words[0]} ... {words[-1]} ({len(words)})"


def times(path: Path, state: Path = STATE) -> str:
    """Return when the job began and ended that made a file, by Snakemake's record; or ""."""
    records = [folder / lineage.SIDECAR for folder in path.parents[:ABOVE]]
    for place in (path, path.parent, digests.remade(path), *records):
        mark = urlsafe_b64encode(_within(place).as_posix().encode()).decode()
        try:
            record = json.loads((state / "metadata" / mark).read_bytes())
            return f"{_moment(record['starttime'])} to {_moment(record['endtime'])}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""


def _within(path: Path) -> Path:
    """Return a path as rules write it: from the folder of the project."""
    whole, here = path.absolute(), Path.cwd()
    return whole.relative_to(here) if whole.is_relative_to(here) else path


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
