"""What the kinds of corpus share: the shapes they hand over, and how their entries are read."""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tqdm import tqdm

from redistil.errors import BadSettings, BadSource

Entry = Mapping[str, Any]  # an entry of a catalogue in params.yaml
Text = tuple[str, str]  # an id and its text
Judgement = tuple[str, str, int]  # query_id, doc_id, relevance

# what a dataset's entry says to other stages
ELSEWHERE = frozenset({"corpus", "relevant_from", "drop_identical"})

Item = TypeVar("Item")


@dataclass(frozen=True)
class Queries:
    """The queries of a dataset with its judgements, as its source has them.

    missing: judged doc_ids that the corpus lacks, as far as the source can tell.
    """

    queries: Mapping[str, str]
    qrels: Collection[Judgement]
    missing: Collection[str] = frozenset()


def known(entry: Entry, keys: Collection[str], what: str) -> Entry:
    """Return `entry` if it says nothing but `keys`: a setting that is ignored is a mistake."""
    unknown = sorted(set(entry) - set(keys) - ELSEWHERE)
    if unknown:
        raise BadSettings(
            f"{what}: unknown {', '.join(unknown)}; wanted some of {', '.join(sorted(keys))}"
        )
    return entry


def whole(entry: Entry, key: str, what: str) -> int | None:
    """Return a count of the entry, or None where it says none."""
    value = entry.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise BadSettings(f"{what}: `{key}` must be a whole number above 0, got {value!r}")


def by_id(texts: Iterable[Text], what: str) -> dict[str, str]:
    """Return id -> text; BadSource if an id comes twice."""
    found: dict[str, str] = {}
    for key, text in texts:
        if key in found:
            raise BadSource(f"{what}: the id {key!r} comes twice: keep one text for each id")
        found[key] = text
    return found


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Return `items` with a bar on standard error; in a log file, a line now and then."""
    interval = 1 if sys.stderr.isatty() else 30
    bar: Iterable[Item] = tqdm(items, desc=what, total=total, unit="", mininterval=interval)
    return bar
