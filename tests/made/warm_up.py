"""A small training set to build a backbone from, and a warm-up of few steps."""

from redistil.storage.tables import PASSAGES, QRELS, QUERIES
from tests.made import tiny

FAMILIES = ["bert", "modernbert", "splade"]
SHAPE = {"layers": 1, "width": 16, "heads": 2}
WARMUP = {
    "steps": 3,
    "queries": 4,
    "negatives": 2,
    "learning_rate": 1e-3,
    "bm25": {"k1": 1.2, "b": 0.75, "depth": 5, "scale": 4.0, "margins": 1.0, "tokens": 1.0},
    "flops": 1e-3,
    "query_length": 8,
    "passage_length": 12,
    "seed": 1,
}
SETTINGS = {"vocabulary_size": 300, "shape": SHAPE, "warmup": WARMUP, "relevant_from": 1}


def write(path, table, *columns):
    """Write a table of these columns; return its path."""
    table.write(table.rows(dict(zip(table.schema.names, columns, strict=True))), path, tiny.MADE)
    return path


def sources(folder, asked, judged):
    """Write 20 passages d0, d1, ..., queries (texts by id) and qrels (rows); return the paths."""
    folder.mkdir(exist_ok=True)
    passages = tiny.texts(20, "d", 9)
    return (
        write(folder / "passages.parquet", PASSAGES, passages, passages.values()),
        write(folder / "queries.parquet", QUERIES, asked, asked.values()),
        write(folder / "qrels.parquet", QRELS, *zip(*judged, strict=True)),
    )
