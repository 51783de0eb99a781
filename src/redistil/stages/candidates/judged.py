"""A check that a first stage works at all: a badly loaded checkpoint gives plausible nonsense."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadSource
from redistil.storage.tables import QRELS

PAIR = ["query_id", "doc_id"]

_log = logging.getLogger(__name__)


class Judged:
    """Counts, as a run passes by, the judged queries for which it found anything relevant.

    qrels: the judgements; least_success: share of the queries with a relevant passage that must
    have one among their candidates. No query may be spread over two pieces of the run.
    """

    def __init__(self, qrels: Path, least_success: float) -> None:
        rows = QRELS.read(qrels)
        self._relevant = rows.filter(pc.greater_equal(rows["relevance"], 1)).select(PAIR)
        self._queries = pc.unique(self._relevant["query_id"])
        self._least = least_success
        self._successes = self._answered = 0

    def passing(self, run: pa.Table) -> pa.Table:
        """Count the queries of a piece of a run, and return it."""
        hits = run.select(PAIR).join(self._relevant, keys=PAIR, join_type="inner")
        self._successes += pc.count_distinct(hits["query_id"]).as_py()
        is_judged = pc.is_in(pc.unique(run["query_id"]), self._queries)
        self._answered += pc.sum(is_judged).as_py() or 0
        return run

    def conclude(self, who: str) -> None:
        """Log how many queries have no candidate; raise BadSource if too few have a relevant one.

        who: how messages call the run.
        """
        queries = len(self._queries)
        if not queries:
            return
        empty = queries - self._answered
        if empty:
            _log.warning("%s: %d of %d judged queries have no candidate", who, empty, queries)
        share = f"{self._successes} of {queries} judged queries have a relevant candidate"
        _log.info("%s: %s", who, share)
        if self._successes < self._least * queries:
            raise BadSource(
                f"{who}: {share}, wanted {self._least:.0%} of them at least (`least_success`): the "
                "encoder was not loaded as what it is, or the run belongs to another collection"
            )
