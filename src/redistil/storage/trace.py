"""Where a file comes from: its record, followed to the sources, and what has changed since."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redistil.storage import lineage, origin, works
from redistil.storage.lineage import OUTSIDE, Made, sha256
from redistil.storage.works import Cost

# command, settings -> the fingerprint of its code as it is now
CodeNow = Callable[[str, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Step:
    """One artefact of a chain: its record and fingerprint, what differs from it today, its cost."""

    made: Made
    fingerprint: str
    changed: str
    cost: Cost = field(default_factory=dict)

    @property
    def is_source(self) -> bool:
        """Whether it came from outside: a file, a package, a collection, a checkpoint."""
        return self.made.command in OUTSIDE


def steps(path: Path, code_now: CodeNow) -> list[Step]:
    """Return the file's own record and those behind it, each before what it was made from."""
    made = origin.of(path)
    chain = made.chain()
    costs = works.costs(path, made)
    in_order: list[Step] = []
    for fingerprint in _ordered(made, chain):
        one = chain[fingerprint]
        cost = costs.get(fingerprint, {})
        in_order.append(Step(one, fingerprint, _changed(one, code_now), cost))
    return in_order


def _ordered(made: Made, chain: Mapping[str, Made]) -> list[str]:
    """Return the fingerprints of a chain, breadth first, each once."""
    order, seen = [made.fingerprint], {made.fingerprint}
    for fingerprint in order:
        for source in sorted(chain[fingerprint].inputs.values()):
            if source not in seen and source in chain:
                seen.add(source)
                order.append(source)
    return order


def _changed(made: Made, code_now: CodeNow) -> str:
    """Return what differs today from what made an artefact, or ""."""
    if made.command == "file":
        return _changed_file(made)
    if made.command in OUTSIDE or not made.code:
        return ""
    now = code_now(made.command, made.settings)
    what = "what is asked for" if made.command == origin.ASKED else "its code"
    return "" if now == made.code else f"{what} was {made.code} and is {now}"


def _changed_file(made: Made) -> str:
    """Return how a file from outside differs from what was read, or "" (also where it is gone)."""
    place = Path(made.name)
    for name, digest in made.settings.get("sha256", {}).items():
        file = place / name if place.is_dir() else place
        if file.exists() and sha256(file) != digest:
            return f"{file} has other bytes than those that were read"
    return ""


def told(path: Path, history: Sequence[Step]) -> dict[str, Any]:
    """Return what is known of the work on a file: its own cost, or those of the works behind it."""
    costs = [step.cost for step in history if step.cost]
    own = history[0].cost
    whole = works.together([own] if own else costs)
    if costs and not own:
        whole = {"works behind it that tell their costs": len(costs)} | whole
    when = works.times(path)
    return whole | ({"made": when} if when else {})


def lines(path: Path, code_now: CodeNow) -> Iterator[str]:
    """Yield the lines that tell a reader where a file comes from."""
    chain = steps(path, code_now)
    first = chain[0]
    yield f"{path}: {first.made.who}, record {first.fingerprint}"
    for key, value in told(path, chain).items():
        yield f"    {key}: {value}"
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
    if step.cost:
        words = [f"{key} {step.cost[key]}" for key in works.TOLD if key in step.cost]
        yield f"    work: {', '.join(words)}"


def _origin(step: Step) -> str:
    if step.is_source:
        return " (from outside)"
    return f", code {step.made.code}" if step.made.code else ""
