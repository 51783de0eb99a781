"""Checks of columns, and questions that the footer of a Parquet file answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadTable
from redistil.storage import digests

MAGIC = b"PAR1"  # the first bytes of a Parquet file


def check_values(column: pa.ChunkedArray, what: str) -> None:
    """Raise BadTable if a value is missing or not a finite number.

    what: the start of the message, with `{}` where the number of such values goes.
    """
    if column.null_count:
        raise BadTable(f"{what.format(column.null_count)} are missing: give each row a value")
    if pa.types.is_list(column.type):
        check_values(pc.list_flatten(column), what)
    elif pa.types.is_floating(column.type):
        finite = pc.sum(pc.is_finite(column)).as_py() or 0
        if finite < len(column):
            raise BadTable(
                f"{what.format(len(column) - finite)} are not finite numbers "
                f"(first: {_first_not_finite(column)}): give each row a finite number"
            )


def _first_not_finite(column: pa.ChunkedArray) -> float:
    return column.filter(pc.invert(pc.is_finite(column)))[0].as_py()  # type: ignore[no-any-return]


def check_lengths(rows: pa.Table, where: str) -> None:
    """Raise BadTable unless the lists of a row, in all list columns, are equally long."""
    lists: list[str] = []
    lengths = set[tuple[int, ...]]()
    for field in rows.schema:
        if pa.types.is_list(field.type):
            lists.append(field.name)
            lengths.add(tuple(pc.list_value_length(rows[field.name]).to_pylist()))
    if len(lengths) > 1:
        raise BadTable(f"{where}: {' and '.join(lists)} of a row differ in length")


def rows_with_elements(group: Any, column: str, elements: int) -> int:
    """Return how many rows of a row group have so many elements of a list column, on average."""
    total = 0
    for place in range(group.num_columns):
        leaf = group.column(place)
        if leaf.path_in_schema.startswith(f"{column}."):
            total = int(leaf.num_values)
            break
    return max(elements * int(group.num_rows) // max(total, 1), 1)


def may_hold(statistics: Any, values: Sequence[str]) -> bool:
    """Whether one of `values` can be in a row group, by its least and greatest value."""
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= value <= statistics.max for value in values)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors of reading a Parquet file into one BadTable that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        again = digests.again(path)
        raise BadTable(
            f"{path} is not a readable Parquet file ({reason}): {_remedy(path, again)}"
        ) from None


def _remedy(path: Path, again: str) -> str:
    """Return what to do about a file that is not readable: ours and damaged, or never Parquet."""
    if not path.is_file():
        return "give a file"
    with path.open("rb") as stream:
        head = stream.read(len(MAGIC))
    if head == MAGIC or not head.strip(b"\0"):
        return again
    return "wanted our Parquet table; docs/tables.md names the rule that makes each"
