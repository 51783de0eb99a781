"""Collections of ir_datasets, by the ids the field knows. This is the library's only door.

The library downloads what it lacks, checks it, and keeps it below IR_DATASETS_HOME.
"""

import difflib
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa

from redistil.errors import BadSettings, BadSource
from redistil.stages.corpora.entries import Entry, Judgement, Queries, Text, by_id, known
from redistil.storage.lineage import Made
from redistil.storage.tables import TRIPLES

BATCH = 500_000  # docpairs held at a time, some 100 MB


def sources(corpus: Entry, dataset: Entry | None = None) -> list[Made]:
    """Return the ids that are read, each under the version of the library that reads it."""
    version = importlib.metadata.version("ir_datasets")
    ids = [_id(corpus)]
    if dataset is not None and _id(dataset) not in ids:
        ids.append(_id(dataset))
    return [Made("irds", name, {"version": version}) for name in ids]


def passages(corpus: Entry) -> Iterator[Text]:
    """Yield the passages; the library makes the text: title, a blank, text."""
    known(corpus, ("irds", "passages", "licensed"), "corpus of ir_datasets")
    name = _id(corpus)
    docs = _load(name, "docs")
    with _reading(name, licence(corpus)):
        for doc in docs.docs_iter():
            yield Text(doc.doc_id, doc.default_text())


def queries(corpus: Entry, dataset: Entry) -> Queries:
    """Return the queries and qrels of an id over the passages of `corpus`."""
    known(dataset, ("irds", "queries", "qrels"), "dataset of ir_datasets")
    name = _id(dataset)
    _load(name, "queries")
    library = _load(name, "qrels")
    _refuse_other_passages(corpus, dataset)
    qrels: list[Judgement] = []
    with _reading(name):
        queries = by_id(_texts(library), name)
        for qrel in library.qrels_iter():
            qrels.append(Judgement(qrel.query_id, qrel.doc_id, int(qrel.relevance)))
    return Queries(queries, qrels)


def _texts(library: Any) -> Iterator[Text]:
    for query in library.queries_iter():
        yield Text(query.query_id, query.default_text())


def docpairs(name: str) -> Iterator[pa.Table]:
    """Yield the training triples of an id as tables of bounded size, in the order of its file.

    The first passage is the positive, as in the library. Repeated rows of the file stay.
    """
    library = _load(name, "docpairs")
    with _reading(name):
        pairs = iter(library.docpairs_iter())
        while batch := list(islice(pairs, BATCH)):
            query_ids, positive_ids, negative_ids = list(zip(*batch, strict=True))[:3]
            yield TRIPLES.rows(
                {"query_id": query_ids, "positive_id": positive_ids, "negative_id": negative_ids}
            )


def licence(corpus: Entry) -> str:
    """Return advice on a collection that must be put in place by hand, or ''."""
    place = corpus.get("licensed")
    if place is None:
        return ""
    return (
        f" (its texts are licensed: put them, unpacked as ir_datasets documents it for "
        f"{_id(corpus)}, below {_home()}/{place})"
    )


def _home() -> str:
    return str(_library().util.home_path())


def _library() -> Any:
    """Return ir_datasets; it makes its folder when it is imported."""
    try:
        import ir_datasets
    except OSError as error:
        raise BadSource(
            f"ir_datasets cannot keep its files in {error.filename} ({error.strerror}): set "
            "IR_DATASETS_HOME to a folder that may be written"
        ) from None
    return ir_datasets


def _id(entry: Entry) -> str:
    name = entry.get("irds")
    if not isinstance(name, str):
        raise BadSettings(f"wanted an id of ir_datasets as `irds`, got {name!r}")
    return name


def _load(name: str, what: str) -> Any:
    """Return a dataset of the library that has `what`: docs, queries, qrels or docpairs."""
    ir_datasets = _library()
    try:
        dataset = ir_datasets.load(name)
    except KeyError:
        near = difflib.get_close_matches(name, map(str, ir_datasets.registry), n=3)
        also = f": did you mean {' or '.join(near)}?" if near else ""
        raise BadSource(f"ir_datasets knows no {name!r}{also}") from None
    if not dataset.has(what):
        raise BadSource(f"{name} of ir_datasets has no {what}: choose an id that has them")
    return dataset


def _refuse_other_passages(corpus: Entry, dataset: Entry) -> None:
    wanted = _load(_id(corpus), "docs")
    judged = _load(_id(dataset), "queries")
    if judged.has("docs") and judged.docs_handler() != wanted.docs_handler():
        raise BadSettings(
            f"dataset {_id(dataset)} judges other passages than those of corpus {_id(corpus)}: "
            "name its own corpus"
        )


@contextmanager
def _reading(name: str, todo: str = "") -> Iterator[None]:
    """Turn whatever the library raises, on networks, disks and formats, into one sentence."""
    try:
        yield
    except BadSource:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        todo = todo or (
            ": check the network, or put its files in place by hand below "
            f"IR_DATASETS_HOME, now {_home()}"
        )
        raise BadSource(f"{name}: ir_datasets could not read it ({reason}){todo}") from error
