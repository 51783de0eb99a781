"""Several teachers' scores of the same pairs as one: their mean, plain or standardised."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import UserError
from redistil.storage.pieces import in_pieces
from redistil.storage.stretches import stretches
from redistil.storage.tables import Table

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

PIECE = 1 << 16  # rows of each member held at a time, and what its longest query has beyond
KEY = ["query_id", "doc_id"]
IN_ORDER = [("query_id", "ascending"), ("doc_id", "ascending")]
BY_QUERY = "query"


class Scored(NamedTuple):
    """Pairs (query_id, doc_id) of whole queries in order, and the scores [members, N]."""

    pairs: pa.Table
    scores: Floats


def together(table: Table, members: Sequence[Path]) -> Iterator[Scored]:
    """Yield the pairs of several files of a table with all their scores, in pieces.

    table: one with query_id, doc_id and score, sorted by query. Raises UserError where members
    scored different pairs: a missing one would silently change the mean.
    """
    sources = [_pieces(table, path) for path in members]
    nothing = table.schema.empty_table()
    for parts in zip_longest(*sources, fillvalue=nothing):
        pairs = parts[0].select(KEY)
        scores = []
        for path, part in zip(members, parts, strict=True):
            if not part.select(KEY).equals(pairs):
                raise UserError(
                    f"{path} and {members[0]} scored different pairs: score the same ones with "
                    "every member"
                )
            scores.append(part["score"].to_numpy())
        yield Scored(pairs, np.stack(scores))


def _pieces(table: Table, path: Path) -> Iterator[pa.Table]:
    is_sorted = table.order[: len(KEY)] == tuple(IN_ORDER)
    for piece in in_pieces(map(pa.table, table.batches(path)), PIECE):
        yield piece if is_sorted else piece.sort_by(IN_ORDER)


def mean(scored: Scored, standardise: str | None) -> Floats:
    """Return the mean over the members of each pair's scores [N].

    standardise: None for the mean of the raw scores, the ensemble of arXiv 2010.02666; "query" for
    that of scores standardised by query, so that each member counts alike whatever its scale.
    """
    scores: npt.NDArray[np.floating[Any]] = scored.scores
    if standardise == BY_QUERY:
        scores = standardised(scored.scores, scored.pairs["query_id"])
    mean: Doubles = scores.mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32)


def standardised(scores: Floats, query_id: pa.ChunkedArray) -> Doubles:
    """Return scores [members, N] less their mean over the query, by their standard deviation.

    query_id [N]: of whole queries, sorted. Where a member's scores of a query do not vary, they
    become 0.
    """
    codes = query_id.combine_chunks().dictionary_encode().indices.to_numpy()
    starts, sizes = stretches(codes)
    wide = scores.astype(np.float64)
    means = np.add.reduceat(wide, starts, axis=1) / sizes
    centred = wide - np.repeat(means, sizes, axis=1)
    variances = np.add.reduceat(centred**2, starts, axis=1) / sizes
    deviations = np.repeat(np.sqrt(variances), sizes, axis=1)
    vary = deviations > 0  # equal float32 scores have an exact mean in float64
    return centred / np.where(vary, deviations, 1.0)
