"""Corpora: the passages, queries and judgements of a collection, as tables.

A collection is an entry of the catalogue in params.yaml. Its first key tells its kind:
{pydocs: [packages]}, {irds: an id of ir_datasets} or {folder: a folder in BEIR layout}.
"""

import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora import beir, irds, pydocs
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, progress, whole
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, aside

MISSING = "missing_at_most"  # key of a dataset: a share of its judgements
MISSING_AT_MOST = 0.1  # where the dataset declares none
BATCH = 50_000  # passages held at a time; of MS MARCO's, some 20 MB

_log = logging.getLogger(__name__)


class Kind(Protocol):
    """The source of collections of one kind."""

    def sources(self, corpus: Entry, dataset: Entry | None = None) -> list[Made]: ...

    def passages(self, corpus: Entry) -> Iterator[Text]: ...

    def queries(self, corpus: Entry, dataset: Entry) -> Queries: ...


KINDS: dict[str, Kind] = {"pydocs": pydocs, "irds": irds, "folder": beir}


def export_passages(corpus: Entry, out: Path, made: Made) -> None:
    """Write the passages of `corpus`, in the order of the collection.

    Raises BadSource when there is none, when a doc_id repeats, or when their number is not the
    declared one: other loaders accept a collection that is cut short.
    """
    kind = _kind(corpus)
    declared = whole(corpus, "passages", "corpus")
    made = made.reading(*kind.sources(corpus))
    with PASSAGES.writer(out, made) as write:
        texts = progress(kind.passages(corpus), "passages", declared)
        seen = array("q")
        empty = 0
        for rows in _batches(texts):
            seen.extend(map(hash, rows["doc_id"]))
            empty += rows["text"].count("")
            write(PASSAGES.rows(rows))
        _refuse_count("passages", declared, len(seen), corpus)
        _refuse_repeated(seen, kind, corpus)
    _log.info("%s: %d passages", _called(corpus), len(seen))
    if empty:
        _log.warning("%s: %d of %d passages have no text", _called(corpus), empty, len(seen))


def export_queries(corpus: Entry, dataset: Entry, queries: Path, qrels: Path, made: Made) -> None:
    """Write the judged queries of `dataset` and their judgements: both files, or neither.

    Raises BadSource when there is none, or not as many as the entry declares.
    """
    kind = _kind(corpus)
    wanted_queries = whole(dataset, "queries", "dataset")
    wanted_qrels = whole(dataset, "qrels", "dataset")
    made = made.reading(*kind.sources(corpus, dataset))
    source = kind.queries(corpus, dataset)
    _refuse_count("queries", wanted_queries, len(source.queries), dataset)
    _refuse_count("qrels", wanted_qrels, len(source.qrels), dataset)
    _refuse_missing(source, _declared_share(dataset), _called(dataset))
    judged, kept = judgements(source, _called(dataset))
    with aside(queries) as queries_partial, aside(qrels) as qrels_partial:
        QUERIES.write(_queries(source, judged), queries_partial, made)
        QRELS.write(_qrels(kept), qrels_partial, made)
    _log.info("%s: %d queries, %d judgements", _called(dataset), len(judged), len(kept))


def judgements(source: Queries, called: str) -> tuple[list[str], list[Judgement]]:
    """Return the ids of the judged queries, and each judgement of a query that exists.

    A judgement of a passage that the corpus lacks stays, as in trec_eval: no run can find it, but
    measures count it. The log counts what is left out. Raises BadSource when a pair has two
    grades, or when nothing is left. called: how messages call the dataset.
    """
    kept: dict[tuple[str, str], Judgement] = {}
    left_out: Counter[str] = Counter()
    for each in source.qrels:
        if each.query_id not in source.queries:
            left_out["judgements name a query that is not there"] += 1
        elif (each.query_id, each.doc_id) in kept:
            _refuse_two_grades(kept[each.query_id, each.doc_id], each, called)
            left_out["judgements repeat another"] += 1
        else:
            kept[each.query_id, each.doc_id] = each
    judged = sorted({each.query_id for each in kept.values()})
    left_out["queries have no judgement"] = len(source.queries) - len(judged)
    for reason, count in left_out.items():
        if count:
            _log.warning("%s: %d %s: left out", called, count, reason)
    _warn_without_text(source.queries, judged, called)
    if not judged:
        raise BadSource(
            f"{called}: none of {len(source.queries)} queries has one of {len(source.qrels)} "
            "judgements: check that its queries, qrels and corpus belong together"
        )
    return judged, list(kept.values())


def _warn_without_text(texts: Mapping[str, str], judged: list[str], called: str) -> None:
    empty = sum(not texts[query_id].strip() for query_id in judged)
    if empty:
        _log.warning("%s: %d of %d judged queries have no text", called, empty, len(judged))


def _declared_share(dataset: Entry) -> float:
    """Return the largest share of judgements that may name a passage the corpus lacks."""
    share = dataset.get(MISSING, MISSING_AT_MOST)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise BadSettings(f"dataset: `{MISSING}` must be a share, from 0 to 1, got {share!r}")
    return float(share)


def _refuse_missing(source: Queries, at_most: float, called: str) -> None:
    """Log the judgements of passages that the corpus lacks; BadSource if their share is larger."""
    missing = [each.doc_id for each in source.qrels if each.doc_id in source.missing]
    if not missing:
        return
    share = (
        f"{called}: {len(missing)} of {len(source.qrels)} judgements name a passage that is not "
        f"in the corpus (first: {missing[0]!r})"
    )
    if len(missing) > at_most * len(source.qrels):
        raise BadSource(
            f"{share}, wanted {at_most:.0%} of them at most: check that the corpus is whole and "
            f"belongs to these qrels, or declare the share as `{MISSING}` of the dataset"
        )
    _log.warning("%s: kept, as trec_eval does: measures count them as not found", share)


def _refuse_two_grades(first: Judgement, second: Judgement, called: str) -> None:
    if first.relevance != second.relevance:
        raise BadSource(
            f"{called}: query {first.query_id!r} and passage {first.doc_id!r} are judged both "
            f"{first.relevance} and {second.relevance}: keep one line of its qrels"
        )


def _kind(corpus: Entry) -> Kind:
    named = [name for name in KINDS if name in corpus]
    if len(named) != 1:
        raise BadSettings(
            f"corpus: wanted one of {', '.join(KINDS)} to say where it comes from, "
            f"got {', '.join(map(str, corpus)) or 'nothing'}"
        )
    return KINDS[named[0]]


def _called(entry: Entry) -> str:
    """Return how messages call an entry: its kind, part or split."""
    for key in (*KINDS, "part", "split"):
        if key in entry:
            return f"{key} {entry[key]}"
    return "dataset"


def _batches(texts: Iterable[Text]) -> Iterator[dict[str, list[str]]]:
    """Yield the columns of passages in pieces of bounded size."""
    remaining = iter(texts)
    while batch := list(islice(remaining, BATCH)):
        doc_ids, bodies = [], []
        for passage in batch:
            doc_ids.append(passage.key)
            bodies.append(encodable(passage.text.strip()))
        yield {"doc_id": doc_ids, "text": bodies}


def encodable(text: str) -> str:
    """Return `text` with U+FFFD for lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _refuse_count(what: str, declared: int | None, count: int, entry: Entry) -> None:
    if declared is not None and count != declared:
        raise BadSource(
            f"{_called(entry)}: {declared} {what} declared, {count} found: fetch the collection "
            f"anew, or correct `{what}` in params.yaml if the collection has changed"
            f"{_hint(entry) if not count else ''}"
        )
    if not count:
        raise BadSource(f"{_called(entry)}: no {what} at all: fetch it anew{_hint(entry)}")


def _hint(entry: Entry) -> str:
    return irds.licence(entry) if "irds" in entry else ""


def _refuse_repeated(seen: "array[int]", kind: Kind, corpus: Entry) -> None:
    """Raise BadSource if two passages share a doc_id; hashes keep millions of ids small."""
    import numpy as np

    hashes = np.sort(np.frombuffer(seen, dtype=np.int64))
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not repeated:
        return
    copies = len(seen) - len(np.unique(hashes))
    for passage in kind.passages(corpus):
        if hash(passage.key) in repeated:
            raise BadSource(
                f"{_called(corpus)}: {copies} of {len(seen)} passages repeat a doc_id "
                f"(first: {passage.key!r}): keep one passage for each id"
            )


def _queries(source: Queries, judged: list[str]) -> pa.Table:
    texts = [encodable(source.queries[query_id].strip()) for query_id in judged]
    return QUERIES.rows({"query_id": judged, "text": texts})


def _qrels(kept: list[Judgement]) -> pa.Table:
    columns = dict(zip(QRELS.schema.names, zip(*kept, strict=True), strict=True))
    return QRELS.rows(columns)
