"""Judged queries: which queries and judgements of a dataset are used, and what is left out."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from redistil import seeds
from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora.entries import Entry, Judgement, Queries, whole
from redistil.storage.tables import PASSAGES, QUERIES
from redistil.study.corpora import WITH_POSITIVE

MISSING = "missing_at_most"  # key of a dataset: a share of its judgements
MISSING_AT_MOST = 0.1  # where the dataset declares none

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """The ids of the queries that are used, sorted, and their judgements.

    counts: how many queries and judgements were left out or are peculiar, by what they are.
    """

    queries: list[str]
    qrels: list[Judgement]
    counts: Mapping[str, int] = field(default_factory=dict)


def judged(source: Queries, absent: Collection[str], dataset: Entry, called: str) -> Judged:
    """Return the queries of a dataset that have a judgement, with their judgements.

    absent: judged doc_ids that the corpus lacks. called: how messages call the dataset.

    A judgement of a passage that the corpus lacks stays, as in trec_eval: no run can find it, but
    measures count it. The log tells what is left out. Raises BadSource when a pair has two
    grades, too many judged passages are missing, or no passage is relevant.
    """
    counts: Counter[str] = Counter()
    counts["judgements of a passage that the corpus lacks, kept"] = _missing(
        source, absent, _declared_share(dataset), called
    )
    kept = _kept(source, counts, called)
    ids = {each.query_id for each in kept}
    counts["queries without a judgement, left out"] = (
        len(source.queries) - len(ids) + source.unjudged
    )
    if not ids:
        raise BadSource(
            f"{called}: none of {len(source.queries)} queries has one of {len(source.qrels)} "
            "judgements: check that its queries, qrels and corpus belong together"
        )
    _refuse_zeros(kept, called)
    counts["judged queries without text, kept"] = _without_text(source.queries, ids)
    _warn(counts, called)
    if dataset.get("queries") == WITH_POSITIVE:
        ids = _with_positive(kept, _least_grade(dataset), ids, counts, called)
    ids = _at_most(whole(dataset, "at_most", "dataset"), ids, called)
    kept = [each for each in kept if each.query_id in ids]
    return Judged(sorted(ids), kept, +counts)


def _kept(source: Queries, counts: Counter[str], called: str) -> list[Judgement]:
    """Return each judgement of a query that exists, once."""
    kept: dict[tuple[str, str], Judgement] = {}
    for each in source.qrels:
        if each.query_id not in source.queries:
            counts["judgements of an unknown query, left out"] += 1
        elif (each.query_id, each.doc_id) in kept:
            _refuse_two_grades(kept[each.query_id, each.doc_id], each, called)
            counts["repeated judgements, left out"] += 1
        else:
            kept[each.query_id, each.doc_id] = each
    return list(kept.values())


def _refuse_two_grades(first: Judgement, second: Judgement, called: str) -> None:
    if first.relevance != second.relevance:
        raise BadSource(
            f"{called}: query {first.query_id!r} and passage {first.doc_id!r} are judged both "
            f"{first.relevance} and {second.relevance}: keep one line of its qrels"
        )


def _refuse_zeros(kept: Collection[Judgement], called: str) -> None:
    highest = max(each.relevance for each in kept)
    if highest < 1:
        raise BadSource(
            f"{called}: none of {len(kept)} judgements has a grade above 0 (the highest is "
            f"{highest}), so no passage is relevant: check the grades of its qrels"
        )


def _without_text(texts: Mapping[str, str], ids: Collection[str]) -> int:
    return sum(not texts[query_id].strip() for query_id in ids)


def _warn(counts: Counter[str], called: str) -> None:
    for what, count in counts.items():
        if count:
            _log.warning("%s: %s: %d", called, what, count)


def _with_positive(
    kept: Collection[Judgement],
    least: int,
    ids: Collection[str],
    counts: Counter[str],
    called: str,
) -> set[str]:
    """Return the queries with a passage of at least this grade; that others go was asked for."""
    answerable = {each.query_id for each in kept if each.relevance >= least}
    if not answerable:
        raise BadSource(
            f"{called}: none of {len(ids)} judged queries has a passage of the grade {least} or "
            "more: lower `relevant_from`, or check the grades of its qrels"
        )
    what = f"queries without a passage of grade {least} or more, left out"
    counts[what] = len(ids) - len(answerable)
    _log.info("%s: %s: %d", called, what, counts[what])
    return answerable


def _least_grade(dataset: Entry) -> int:
    least = dataset.get("relevant_from")
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise BadSettings(
            f"dataset: `queries: {WITH_POSITIVE}` needs `relevant_from`, a whole number from 1, "
            f"got {least!r}"
        )
    return least


# --- queries that another dataset has -------------------------------------------------------------


def without(source: Queries, others: Iterable[Path], called: str) -> Queries:
    """Return what a source has besides the queries of other datasets, known by their ids."""
    theirs: set[str] = set()
    for path in others:
        theirs.update(QUERIES.read(path, ["query_id"])["query_id"].to_pylist())
    texts = {key: text for key, text in source.queries.items() if key not in theirs}
    qrels = [each for each in source.qrels if each.query_id not in theirs]
    shared = len(source.queries) - len(texts)
    if theirs and not shared:
        raise BadSource(
            f"{called}: it has no query of the datasets that `without` names: name those that it "
            "holds, or leave the key out"
        )
    _log.info("%s: queries of other datasets, left out: %d", called, shared)
    return Queries(texts, qrels, source.unjudged)


def _at_most(count: int | None, ids: set[str], called: str) -> set[str]:
    """Return so many queries, those whose ids have the least hashes; None is all."""
    if count is None:
        return ids
    if count > len(ids):
        raise BadSource(
            f"{called}: {count} queries wanted, {len(ids)} found: lower its `at_most`, or leave it "
            "out"
        )
    return set(sorted(ids, key=seeds.fraction)[:count])


# --- judgements of passages that are not there ----------------------------------------------------


def _declared_share(dataset: Entry) -> float:
    """Return the largest share of judgements that may name a passage the corpus lacks."""
    share = dataset.get(MISSING, MISSING_AT_MOST)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise BadSettings(f"dataset: `{MISSING}` must be a share, from 0 to 1, got {share!r}")
    return float(share)


def absent_of(qrels: Collection[Judgement], passages: Path) -> set[str]:
    """Return the judged doc_ids that are not among the passages of a corpus."""
    absent = {each.doc_id for each in qrels}
    for batch in PASSAGES.batches(passages, ["doc_id"]):
        absent.difference_update(batch["doc_id"].to_pylist())
    return absent


def _missing(source: Queries, absent: Collection[str], at_most: float, called: str) -> int:
    """Count the judgements of passages that the corpus lacks; a larger share is refused."""
    missing = [each.doc_id for each in source.qrels if each.doc_id in absent]
    if len(missing) > at_most * len(source.qrels):
        raise BadSource(
            f"{called}: {len(missing)} of {len(source.qrels)} judgements name a passage that is "
            f"not in the corpus (first: {missing[0]!r}), wanted {at_most:.0%} of them at most: "
            "check that the corpus is whole and belongs to these qrels, or declare the share as "
            f"`{MISSING}` of the dataset"
        )
    return len(missing)
