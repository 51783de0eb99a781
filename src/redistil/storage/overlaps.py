"""Overlaps of a training and a test set: queries, by text or id, and relevant passages."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc

from redistil.errors import BadSettings
from redistil.storage.tables import QRELS, QUERIES, texts

TOLD = 0.1  # share of a test set's relevant passages from which it is told


def overlapping(
    training: Path, same: Sequence[Path] = (), others: Sequence[Path] = ()
) -> dict[str, str]:
    """Return the training queries that a test set has too, each with how and where it matched.

    training, same, others: `queries` tables. In `same` (test sets over the corpus of the training
    queries) an equal id is an equal query. In `others` an equal id means nothing: texts alone are
    compared, as `normal` spells them.
    """
    if not same and not others:
        return {}
    queries = texts(training, QUERIES)
    by_text = _by_text(queries)
    shared: dict[str, str] = {}
    for path in [*same, *others]:
        for query_id, text in texts(path, QUERIES).items():
            if path in same and query_id in queries:
                shared.setdefault(query_id, f"id, in {path}")
            for twin in by_text.get(normal(text), ()):
                shared.setdefault(twin, f"text, in {path}")
    return shared


def refuse_shared(validated: Path, tested: Path) -> None:
    """Refuse a validation set and a test set over one corpus that share a query, by its id."""
    ids = set(QUERIES.read(validated, ["query_id"])["query_id"].to_pylist())
    shared = ids.intersection(QUERIES.read(tested, ["query_id"])["query_id"].to_pylist())
    if shared:
        raise BadSettings(
            f"training.validation.datasets: {len(shared)} of {len(ids)} queries of {validated} are "
            f"in the test set {tested} too (first: {min(shared)!r}), and a test set cannot choose "
            "the weights: validate on others (`without` of a dataset leaves queries out)"
        )


def _by_text(queries: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the query_ids of each text, as `normal` spells it; those without a word nowhere."""
    by_text: dict[str, list[str]] = {}
    for query_id, text in queries.items():
        by_text.setdefault(normal(text), []).append(query_id)
    by_text.pop("", None)
    return by_text


def normal(text: str) -> str:
    """Return the words of a text, case and punctuation aside (NFKC, casefold)."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def said(shared: dict[str, str], total: int) -> list[str]:
    """Return how many queries were left out and why, a line for each test set that shares some."""
    lines = []
    for reason, count in Counter(shared.values()).items():
        lines.append(f"{count} of {total} queries left out: same {reason}")
    return sorted(lines)


def shared_passages(training: Path, tests: Sequence[Path], relevant_from: int) -> list[str]:
    """Return a line for each test set many of whose relevant passages are relevant in training.

    training, tests: `qrels` tables over one corpus. A set that was split by query has the same
    answers on both sides: what a student learned of a passage is then part of its test.
    """
    learned = _relevant(training, relevant_from)
    lines = []
    for path in tests:
        relevant = _relevant(path, 1)
        both = len(relevant & learned)
        if both and both >= TOLD * len(relevant):
            lines.append(
                f"{both} of {len(relevant)} relevant passages of {path} are relevant to training "
                "queries too: the test measures what was seen in training"
            )
    return lines


def _relevant(qrels: Path, least: int) -> set[str]:
    rows = QRELS.read(qrels)
    relevant = rows.filter(pc.greater_equal(rows["relevance"], least))
    return set(relevant["doc_id"].unique().to_pylist())
