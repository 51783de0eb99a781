"""Whether a first stage works at all: a badly loaded checkpoint gives plausible nonsense."""

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
        self._found = self._answered = 0

    def passing(self, run: pa.Table) -> pa.Table:
        """Return a piece of a run, counted."""
        hits = run.select(PAIR).join(self._relevant, keys=PAIR, join_type="inner")
        self._found += pc.count_distinct(hits["query_id"]).as_py()
        answered = pc.unique(run["query_id"])
        self._answered += pc.sum(pc.is_in(answered, self._queries)).as_py() or 0
        return run

    def conclude(self, who: str) -> None:
        """Say for how many queries there was nothing; raise BadSource if for nearly all."""
        asked = len(self._queries)
        if not asked:
            return
        if self._answered < asked:
            _log.warning(
                "%s: %d of %d judged queries have no candidate", who, asked - self._answered, asked
            )
        share = f"{self._found} of {asked} judged queries have a relevant candidate"
        _log.info("%s: %s", who, share)
        if self._found < self._least * asked:
            raise BadSource(
                f"{who}: {share}, wanted {self._least:.0%} of them at least (`least_success`): the "
                "encoder was not loaded as what it is, or the run belongs to another collection"
            )
