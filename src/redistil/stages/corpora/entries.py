"""Shapes that every kind of corpus hands over, and checks of its entries."""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

from redistil.errors import BadSettings, BadSource

Entry = Mapping[str, Any]  # an entry of a catalogue in params.yaml

# keys of a dataset's entry that no kind of corpus reads itself
ELSEWHERE = frozenset(
    {"corpus", "relevant_from", "drop_identical", "missing_at_most", "without", "at_most"}
)

Item = TypeVar("Item")


class Text(NamedTuple):
    """A query or passage: its id and its text."""

    key: str
    text: str


class Judgement(NamedTuple):
    """The grade of a passage for a query."""

    query_id: str
    doc_id: str
    relevance: int


@dataclass(frozen=True)
class Queries:
    """The queries of a dataset with its judgements, as its source has them.

    unjudged: how many more queries it has, which nobody judged.
    """

    queries: Mapping[str, str]
    qrels: Collection[Judgement]
    unjudged: int = 0


def known(entry: Entry, keys: Collection[str], what: str) -> Entry:
    """Return `entry` if it has no other keys than `keys`: no setting is ignored silently."""
    unknown = sorted(set(entry) - set(keys) - ELSEWHERE)
    if unknown:
        raise BadSettings(
            f"{what}: unknown {', '.join(unknown)}; wanted some of {', '.join(sorted(keys))}"
        )
    return entry


def whole(entry: Entry, key: str, what: str) -> int | None:
    """Return a count that the entry declares, or None."""
    value = entry.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise BadSettings(f"{what}: `{key}` must be a whole number above 0, got {value!r}")


def by_id(texts: Iterable[Text], what: str) -> dict[str, str]:
    """Return id -> text; BadSource if an id comes twice."""
    unique: dict[str, str] = {}
    for key, text in texts:
        if key in unique:
            raise BadSource(f"{what}: the id {key!r} comes twice: keep one text for each id")
        unique[key] = text
    return unique


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Return `items` with a progress bar on standard error; in a log file, a line each 30 s."""
    interval = 1 if sys.stderr.isatty() else 30
    bar: Iterable[Item] = tqdm(items, desc=what, total=total, unit="", mininterval=interval)
    return bar
