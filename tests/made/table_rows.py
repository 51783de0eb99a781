"""Two rows for every table, and what a refusal of them leaves."""

from pathlib import Path

import pyarrow as pa
import pytest

from redistil.storage import lineage, tables
from redistil.storage.tables import TABLES

MADE = lineage.make("test", "t", {}, "", [])

EXAMPLES = {
    "queries": {"query_id": ["2", "1"], "text": ["b", "a"]},
    "passages": {"doc_id": ["2", "1"], "text": ["b", "a"]},
    "qrels": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "relevance": [0, 3]},
    "run": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "rank": [1, 1], "score": [0.5, 3.0]},
    "vectors": {"doc_id": ["2", "1"], "terms": [[1, 5], []], "weights": [[0.5, 1.0], []]},
    "triples": {"query_id": ["2", "1"], "positive_id": ["b", "a"], "negative_id": ["a", "b"]},
    "lists": {"query_id": ["2", "1"], "doc_ids": [["b", "a"], ["c"]], "relevances": [[1, 0], [2]]},
    "teacher_scores": {"query_id": ["2", "1"], "doc_id": ["b", "a"], "score": [0.5, -3.0]},
    "curve": {"step": [2, 1], "loss": [1.0, 2.0], "gradient_norm": [1, 1], "learning_rate": [0, 1]}
    | dict.fromkeys(("positive_score", "negative_score"), [0.5, -3.0]),
    "validation": {"step": [2, 1], "dataset": "ab", "measure": "ab", "value": [0.0, 1.0]},
    "measures": {"query_id": ["2", "1"], "dataset": "ab", "measure": "ab", "value": [0.0, 1.0]},
    "depths": {"system": "ba", "dataset": "ab", "depth": [2, 1], "value": [0.0, 1.0]},
    "counts": {"what": ["b", "a"], "count": [2, 1]},
    "pairs": dict.fromkeys(("scope", "system", "against", "family", "over", "verdict"), "ba")
    | dict.fromkeys(("queries", "wins", "losses"), [2, 1])
    | dict.fromkeys(("difference", "low", "high", "p", "p_randomisation", "p_holm"), [0.5, 1.0]),
    "contrasts": dict.fromkeys(("query_id", "query", "system", "doc_id", "passage"), "ba")
    | dict.fromkeys(("choice", "rank", "relevance"), [2, 1])
    | {"value": [0.5, 1.0], "judged": [True, False]},
}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


def rows_of(table: tables.Table) -> pa.Table:
    return table.rows({k: list(v) for k, v in EXAMPLES[table.name].items()})


def nothing_was_written(path: Path) -> bool:
    return not path.parent.exists() or not list(path.parent.iterdir())
