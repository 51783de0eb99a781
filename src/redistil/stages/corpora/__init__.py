"""Corpora: the passages, queries and judgements of a collection, as tables.

A collection is an entry of the catalogue in params.yaml, and its first word says what it is:
{pydocs: [packages]}, {irds: an id of ir_datasets} or {folder: a folder in BEIR layout}.
"""

import logging
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora import beir, irds, pydocs
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, progress, whole
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, aside

BATCH = 50_000  # passages held at a time; of MS MARCO's, some 20 MB

_log = logging.getLogger(__name__)


class Kind(Protocol):
    """Where collections of one kind come from."""

    def sources(self, corpus: Entry, dataset: Entry | None = None) -> list[Made]: ...

    def passages(self, corpus: Entry) -> Iterator[Text]: ...

    def queries(self, corpus: Entry, dataset: Entry) -> Queries: ...


KINDS: dict[str, Kind] = {"pydocs": pydocs, "irds": irds, "folder": beir}


def export_passages(corpus: Entry, out: Path, made: Made) -> None:
    """Write the passages of `corpus`, in the order of the collection.

    Raises BadSource when there is none, when a doc_id repeats, or when there are not as many as
    the entry declares: a collection that is short loads without a word elsewhere.
    """
    kind = _kind(corpus)
    declared = whole(corpus, "passages", "corpus")
    made = made.reading(*kind.sources(corpus))
    with PASSAGES.writer(out, made) as write:
        texts = progress(kind.passages(corpus), "passages", declared)
        seen = array("q")
        empty = 0
        for ids, bodies in _batches(texts):
            seen.extend(map(hash, ids))
            empty += bodies.count("")
            write(PASSAGES.rows({"doc_id": ids, "text": bodies}))
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
    declared = {key: whole(dataset, key, "dataset") for key in ("queries", "qrels")}
    made = made.reading(*kind.sources(corpus, dataset))
    asked = kind.queries(corpus, {k: v for k, v in dataset.items() if k not in declared})
    _refuse_count("queries", declared["queries"], len(asked.queries), dataset)
    _refuse_count("qrels", declared["qrels"], len(asked.qrels), dataset)
    judged, kept = judgements(asked, _called(dataset))
    with aside(queries) as first, aside(qrels) as second:
        QUERIES.write(_queries(asked, judged), first, made)
        QRELS.write(_qrels(kept), second, made)
    _log.info("%s: %d queries, %d judgements", _called(dataset), len(judged), len(kept))


def judgements(asked: Queries, called: str) -> tuple[list[str], list[Judgement]]:
    """Return the queries that are judged, and each judgement of a query and passage that exist.

    What is left out is counted aloud. Raises BadSource when a pair is judged in two ways, or when
    nothing is left.
    """
    grades: dict[tuple[str, str], int] = {}
    without_passage = without_query = repeated = 0
    for query_id, doc_id, relevance in asked.qrels:
        if query_id not in asked.queries:
            without_query += 1
        elif doc_id in asked.missing:
            without_passage += 1
        elif grades.setdefault((query_id, doc_id), relevance) != relevance:
            raise BadSource(
                f"{called}: query {query_id!r} and passage {doc_id!r} are judged both "
                f"{grades[query_id, doc_id]} and {relevance}: keep one line of its qrels"
            )
        else:
            repeated += 1
    repeated -= len(grades)
    judged = sorted({query_id for query_id, _ in grades})
    for count, what in (
        (without_query, "judgements name a query that is not there"),
        (without_passage, "judgements name a passage that is not in the corpus"),
        (repeated, "judgements repeat another"),
        (len(asked.queries) - len(judged), "queries have no judgement"),
    ):
        if count:
            _log.warning("%s: %d %s: left out", called, count, what)
    silent = sum(not asked.queries[query_id].strip() for query_id in judged)
    if silent:
        _log.warning("%s: %d of %d judged queries have no text", called, silent, len(judged))
    if not judged:
        raise BadSource(
            f"{called}: none of {len(asked.queries)} queries has one of {len(asked.qrels)} "
            "judgements: check that its queries, qrels and corpus belong together"
        )
    return judged, [(*pair, grade) for pair, grade in grades.items()]


def _kind(corpus: Entry) -> Kind:
    named = [name for name in KINDS if name in corpus]
    if len(named) != 1:
        raise BadSettings(
            f"corpus: wanted one of {', '.join(KINDS)} to say where it comes from, "
            f"got {', '.join(map(str, corpus)) or 'nothing'}"
        )
    return KINDS[named[0]]


def _called(entry: Entry) -> str:
    """Return how messages call an entry: its first words."""
    key = next((key for key in (*KINDS, "part", "split") if key in entry), "dataset")
    return f"{key} {entry.get(key, '')}".strip()


def _batches(texts: Iterable[Text]) -> Iterator[tuple[list[str], list[str]]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, BATCH)):
        yield [doc_id for doc_id, _ in batch], [encodable(text.strip()) for _, text in batch]


def encodable(text: str) -> str:
    """Return `text` with U+FFFD for halves of characters, which UTF-8 has no place for."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _refuse_count(what: str, declared: int | None, found: int, entry: Entry) -> None:
    if declared is not None and found != declared:
        raise BadSource(
            f"{_called(entry)}: {declared} {what} declared, {found} found: fetch the collection "
            f"anew, or correct `{what}` in params.yaml if the collection has changed"
            f"{_hint(entry) if not found else ''}"
        )
    if not found:
        raise BadSource(f"{_called(entry)}: no {what} at all: fetch it anew{_hint(entry)}")


def _hint(entry: Entry) -> str:
    return irds.licence(entry) if "irds" in entry else ""


def _refuse_repeated(seen: "array[int]", kind: Kind, corpus: Entry) -> None:
    """Raise BadSource if two passages share a doc_id; hashes keep millions of ids small."""
    import numpy as np

    hashes = np.sort(np.frombuffer(seen, dtype=np.int64))
    again = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if again:
        first = next(doc_id for doc_id, _ in kind.passages(corpus) if hash(doc_id) in again)
        raise BadSource(
            f"{_called(corpus)}: {len(seen) - len(np.unique(hashes))} of {len(seen)} passages "
            f"repeat a doc_id (first: {first!r}): keep one passage for each id"
        )


def _queries(asked: Queries, kept: list[str]) -> pa.Table:
    texts = [encodable(asked.queries[query_id].strip()) for query_id in kept]
    return QUERIES.rows({"query_id": kept, "text": texts})


def _qrels(kept: list[Judgement]) -> pa.Table:
    query_ids, doc_ids, relevances = zip(*kept, strict=True)
    return QRELS.rows({"query_id": query_ids, "doc_id": doc_ids, "relevance": relevances})
