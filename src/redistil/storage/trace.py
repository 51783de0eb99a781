"""Where a file comes from: its record, followed to the sources, and what has changed since."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redistil.storage import lineage
from redistil.storage.lineage import OUTSIDE, Made, sha256

# command, settings -> the fingerprint of its code as it is now
CodeNow = Callable[[str, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Step:
    """One artefact of a chain: its record, its fingerprint, and what differs from it today."""

    made: Made
    fingerprint: str
    changed: str

    @property
    def is_source(self) -> bool:
        """Whether it came from outside: a file, a package, a collection, a checkpoint."""
        return self.made.command in OUTSIDE


def steps(path: Path, code_now: CodeNow) -> list[Step]:
    """Return the file's own record and those behind it, each before what it was made from."""
    made = lineage.of(path)
    chain = made.chain()
    in_order: list[Step] = []
    for fingerprint in _ordered(made, chain):
        one = chain[fingerprint]
        in_order.append(Step(one, fingerprint, _changed(one, code_now)))
    return in_order


def _ordered(made: Made, chain: Mapping[str, Made]) -> list[str]:
    """Return the fingerprints of a chain, breadth first, each once."""
    order = [made.fingerprint]
    for fingerprint in order:
        for source in sorted(chain[fingerprint].inputs.values()):
            if source not in order and source in chain:
                order.append(source)
    return order


def _changed(made: Made, code_now: CodeNow) -> str:
    """Return what differs today from what made an artefact, or ""."""
    if made.command == "file":
        return _changed_file(made)
    if made.command in OUTSIDE or not made.code:
        return ""
    now = code_now(made.command, made.settings)
    return "" if now == made.code else f"its code was {made.code} and is {now}"


def _changed_file(made: Made) -> str:
    """Return how a file from outside differs from what was read, or "" (also where it is gone)."""
    place = Path(made.name)
    for name, digest in made.settings.get("sha256", {}).items():
        file = place / name if place.is_dir() else place
        if file.exists() and sha256(file) != digest:
            return f"{file} has other bytes than those that were read"
    return ""


def costs(path: Path) -> dict[str, Any]:
    """Return what the work on a file cost, and on which machine and commit; {} if nobody knows."""
    places = [path / "cost.json"]
    if not path.is_dir():
        places = [path.with_suffix(".cost.json"), path.parent / "cost.json"]
    for place in places:
        if place.exists():
            record: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
            return record if "machine" in record else {}
    return {}


def lines(path: Path, code_now: CodeNow) -> Iterator[str]:
    """Yield the lines that tell a reader where a file comes from."""
    chain = steps(path, code_now)
    first = chain[0]
    yield f"{path}: {first.made.who}, record {first.fingerprint}"
    yield from _told_costs(costs(path))
    changed = 0
    for step in chain:
        yield from _told(step)
        changed += bool(step.changed)
    yield (
        f"{changed} of {len(chain)} have changed since."
        if changed
        else "Nothing has changed since."
    )


def _told(step: Step) -> Iterator[str]:
    """Yield the record of one artefact: who made it, with which settings and from what."""
    yield f"{step.fingerprint}  {step.made.who}{_origin(step)}"
    if step.changed:
        yield f"    CHANGED SINCE: {step.changed}"
    for key, value in step.made.settings.items():
        yield f"    {key}: {lineage.canonical(value)}"
    for who, fingerprint in step.made.inputs.items():
        yield f"    reads {fingerprint}  {who}"


def _origin(step: Step) -> str:
    if step.is_source:
        return " (from outside)"
    return f", code {step.made.code}" if step.made.code else ""


def _told_costs(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is known of the work itself: commit, seconds, machine, versions."""
    for key in ("commit", "device", "seconds", "pairs"):
        if key in record:
            yield f"    {key}: {record[key]}"
    for key, value in dict(record.get("machine", {})).items():
        yield f"    {key}: {value}"
