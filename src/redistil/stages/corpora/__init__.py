"""Corpora: the passages, queries and judgements of a collection, as tables.

A collection is an entry of the catalogue in params.yaml. Its first key tells its kind:
{pydocs: [packages]}, {irds: an id of ir_datasets} or {folder: a folder in BEIR layout}.
"""

import logging
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora import beir, irds, pydocs
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, progress, whole
from redistil.stages.corpora.judgements import absent_of, judged, without
from redistil.storage.lineage import Made
from redistil.storage.tables import COUNTS, PASSAGES, QRELS, QUERIES, aside
from redistil.study.corpora import WITH_POSITIVE

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
        ids, bodies = array("q"), array("q")
        for rows in _batches(texts):
            ids.extend(map(hash, rows["doc_id"]))
            bodies.extend(map(hash, filter(None, rows["text"])))
            write(PASSAGES.rows(rows))
        _refuse_count("passages", declared, len(ids), corpus)
        _refuse_repeated(ids, kind, corpus)
    _log.info("%s: %d passages", _called(corpus), len(ids))
    for what, count in (
        ("passages without text", len(ids) - len(bodies)),
        ("passages that repeat the text of another", len(bodies) - _distinct(bodies)),
    ):
        if count:
            _log.warning("%s: %s: %d of %d", _called(corpus), what, count, len(ids))


def export_queries(
    corpus: Entry,
    dataset: Entry,
    passages: Path | None,
    queries: Path,
    qrels: Path,
    made: Made,
    counts: Path | None = None,
    others: Sequence[Path] = (),
) -> None:
    """Write the judged queries of `dataset` and their judgements: all files, or none.

    passages: those of the corpus; without them no judgement is held against them. counts: where to
    write what was left out. others: queries of the datasets that `without` of the entry names.
    Raises BadSource when there is no query, or not as many as the entry declares.
    """
    kind = _kind(corpus)
    wanted_queries = _declared_queries(dataset)
    wanted_qrels = whole(dataset, "qrels", "dataset")
    made = made.reading(*kind.sources(corpus, dataset))
    source = kind.queries(corpus, dataset)
    _refuse_count("queries", wanted_queries, len(source.queries), dataset)
    _refuse_count("qrels", wanted_qrels, len(source.qrels), dataset)
    if others:
        source = without(source, others, _called(dataset))
    absent = absent_of(source.qrels, passages) if passages else set()
    used = judged(source, absent, dataset, _called(dataset))
    with aside(queries) as queries_partial, aside(qrels) as qrels_partial:
        QUERIES.write(_queries(source, used.queries), queries_partial, made)
        QRELS.write(_qrels(used.qrels), qrels_partial, made)
        if counts is not None:
            COUNTS.write(_counts(used.counts), counts, made)
    sizes = len(used.queries), len(used.qrels)
    _log.info("%s: %d queries, %d judgements", _called(dataset), *sizes)


def _declared_queries(dataset: Entry) -> int | None:
    """Return how many queries the entry declares, or None."""
    is_choice = dataset.get("queries") == WITH_POSITIVE
    return None if is_choice else whole(dataset, "queries", "dataset")


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


def _distinct(hashes: "array[int]") -> int:
    import numpy as np

    return len(np.unique(np.frombuffer(hashes, dtype=np.int64))) if hashes else 0


def _refuse_repeated(ids: "array[int]", kind: Kind, corpus: Entry) -> None:
    """Raise BadSource if two passages share a doc_id; hashes keep millions of ids small."""
    import numpy as np

    hashes = np.sort(np.frombuffer(ids, dtype=np.int64))
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not repeated:
        return
    copies = len(ids) - len(np.unique(hashes))
    for passage in kind.passages(corpus):
        if hash(passage.key) in repeated:
            raise BadSource(
                f"{_called(corpus)}: {copies} of {len(ids)} passages repeat a doc_id "
                f"(first: {passage.key!r}): keep one passage for each id"
            )


def _queries(source: Queries, ids: list[str]) -> pa.Table:
    texts = [encodable(source.queries[query_id].strip()) for query_id in ids]
    return QUERIES.rows({"query_id": ids, "text": texts})


def _qrels(kept: list[Judgement]) -> pa.Table:
    columns = dict(zip(QRELS.schema.names, zip(*kept, strict=True), strict=True))
    return QRELS.rows(columns)


def _counts(counts: Mapping[str, int]) -> pa.Table:
    return COUNTS.rows({"what": list(counts), "count": list(counts.values())})
