"""Rows that come in pieces, in pieces of another size: what they become depends on them alone."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from redistil.storage.tables import Table


@contextmanager
def in_row_groups(
    table: Table, write: Callable[[pa.Table], None]
) -> Iterator[Callable[[pa.Table], None]]:
    """Give a function that passes rows to `write` in whole row groups, however they come.

    So a table that is written in pieces has the bytes of one that is written at once.
    """
    waiting: list[pa.Table] = []

    def append(rows: pa.Table) -> None:
        *full, rest = table.groups(pa.concat_tables([*waiting, rows]))
        for group in full:
            write(group.combine_chunks())
        waiting[:] = [rest]

    yield append
    for rest in waiting:
        if len(rest):
            write(rest.combine_chunks())


def in_pieces(rows: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yield rows sorted by query_id in pieces of about `size` that never part a query."""
    waiting: list[pa.Table] = []
    for some in exactly(rows, size):
        waiting.append(some)
        if sum(map(len, waiting)) < size:
            continue
        piece = pa.concat_tables(waiting).combine_chunks()
        cut = pc.index(piece["query_id"], piece["query_id"][-1]).as_py()
        if cut:
            yield piece.slice(0, cut)
        waiting = [piece.slice(cut)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting).combine_chunks()


def exactly(rows: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yield rows `size` at a time; the last may be fewer."""
    waiting: list[pa.Table] = []
    for some in rows:
        waiting.append(some)
        held = sum(map(len, waiting))
        if held >= size:
            table = pa.concat_tables(waiting)
            end = held - held % size
            for start in range(0, end, size):
                yield table.slice(start, size)
            waiting = [table.slice(end)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting)
