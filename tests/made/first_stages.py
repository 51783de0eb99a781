"""Inputs and outputs of first stages, in small, and BM25 over texts."""

from redistil.stages.candidates import bm25
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, RUN
from tests.made import tiny

MADE = tiny.MADE


def judge(tmp_path, pairs):
    """A file of judgements: (query, passage) are relevant."""
    queries, docs = zip(*pairs, strict=True) if pairs else ((), ())
    rows = QRELS.rows({"query_id": queries, "doc_id": docs, "relevance": [1] * len(docs)})
    QRELS.write(rows, tmp_path / "qrels.parquet", MADE)
    return tmp_path / "qrels.parquet"


def ranking(path):
    rows = RUN.read(path).to_pylist()
    return sorted((row["query_id"], row["doc_id"], row["rank"]) for row in rows)


def bm25_run(tmp_path, passages, queries, **how):
    for table, texts in ((PASSAGES, passages), (QUERIES, queries)):
        columns = dict(zip(table.schema.names, (list(texts), list(texts.values())), strict=True))
        table.write(table.rows(columns), tmp_path / f"{table.name}.parquet", MADE)
    out = tmp_path / "bm25.parquet"
    how = {"k1": 0.9, "b": 0.4, "stemmer": "english", "depth": 10} | how
    how = {"drop_identical": False, "least_success": 0} | how
    qrels = judge(tmp_path, [("q", "a")])
    paths = (tmp_path / "passages.parquet", tmp_path / "queries.parquet", qrels, out)
    bm25.retrieve_bm25(*paths, MADE, **how)
    return out
