"""Training queries that a test set has too: by their text or, in one collection, by their id."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from redistil.storage.tables import QUERIES, texts


def overlapping(
    training: Path, same: Sequence[Path] = (), others: Sequence[Path] = ()
) -> dict[str, str]:
    """Return the training queries that a test set asks too, each with where and how it was found.

    training, same, others: `queries` tables. In `same` (test sets over the corpus of the training
    queries) an equal id is an equal query; elsewhere ids are numbers that mean nothing here, and
    texts alone are compared, as `normal` spells them.
    """
    if not same and not others:
        return {}
    asked = texts(training, QUERIES)
    by_text: dict[str, list[str]] = {}
    for query_id, text in asked.items():
        by_text.setdefault(normal(text), []).append(query_id)
    found: dict[str, str] = {}
    for path in [*same, *others]:
        for query_id, text in texts(path, QUERIES).items():
            if path in same and query_id in asked:
                found.setdefault(query_id, f"id, in {path}")
            for twin in by_text.get(normal(text), []) if normal(text) else []:
                found.setdefault(twin, f"text, in {path}")
    return found


def normal(text: str) -> str:
    """Return the words of a text, case and punctuation aside (NFKC, casefold)."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def said(found: dict[str, str], total: int) -> list[str]:
    """Return what was left out and why, a line for each test set that shares queries."""
    counts: dict[str, int] = {}
    for why in found.values():
        counts[why] = counts.get(why, 0) + 1
    lines = [f"{count} of {total} queries left out: same {w}" for w, count in counts.items()]
    return sorted(lines)
