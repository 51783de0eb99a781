"""Scored pairs cut at a depth, in canonical order."""

import pyarrow as pa
import pyarrow.compute as pc

from redistil.storage.tables import ranked


def first(pairs: pa.Table, depth: int, drop_identical: bool) -> pa.Table:
    """Return scored pairs as a run cut at `depth`."""
    if drop_identical:
        pairs = pairs.filter(pc.not_equal(pairs["query_id"], pairs["doc_id"]))
    run = ranked(pairs["query_id"], pairs["doc_id"], pairs["score"])
    return run.filter(pc.less_equal(run["rank"], depth))
