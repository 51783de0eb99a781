"""BM25 as a teacher: its scores of the pairs of triples and lists."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from redistil.learning.lexical import PairScorer
from redistil.machine import costs
from redistil.machine.energy import Meter, Note
from redistil.machine.hardware import commit
from redistil.stages.teachers import COST, distinct_pairs
from redistil.storage.lineage import Made
from redistil.storage.pieces import in_row_groups
from redistil.storage.tables import TEACHER_SCORES


def score_bm25(
    queries: Path,
    passages: Path,
    over: Sequence[Path],
    out: Path,
    made: Made,
    *,
    k1: float,
    b: float,
    stemmer: str,
) -> None:
    """Write the BM25 score of each distinct pair of `over` (triples or lists).

    Word frequencies are those of all passages, as in a first stage. A pair that shares no word
    scores 0. Time and energy are written beside `out`, to a file of that name with .cost.json.
    """
    source = commit()
    with Meter(note=Note.beside(out.with_suffix(COST), made.fingerprint)) as meter:
        scorer = PairScorer(queries, passages, k1=k1, b=b, stemmer=stemmer)
        with (
            TEACHER_SCORES.writer(out, made) as write,
            in_row_groups(TEACHER_SCORES, write) as append,
        ):
            for pairs in distinct_pairs(over):
                append(pairs.append_column("score", pa.array(scorer.scores(pairs))))
        spent = meter.spent()
    count = TEACHER_SCORES.count(out)
    costs.account_alone(spent, count, source, out.with_suffix(COST))
