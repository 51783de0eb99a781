"""DuckDB, for rows that do not fit in memory: rows are put in, sorted and joined, and taken out.

No query may rely on the order in which rows came: threads decide it. A query that yields rows names
an order that leaves no ties.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from redistil.storage.scratch import scratch

MEMORY = "768MiB"  # of DuckDB; beyond it, rows go to disk
BATCH = 1 << 17  # rows that a query yields at a time


class Database:
    """Tables of one temporary database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, statement: str) -> None:
        """Run a statement that yields nothing."""
        self._connection.execute(statement)

    def add(self, table: str, rows: pa.Table) -> None:
        """Append rows to a table; the first rows make it."""
        self._connection.register("incoming", rows)
        self.run(f"CREATE TABLE IF NOT EXISTS {table} AS FROM incoming LIMIT 0")
        self.run(f"INSERT INTO {table} FROM incoming")
        self._connection.unregister("incoming")

    def rows(self, query: str) -> Iterator[pa.Table]:
        """Yield the rows of a query, `BATCH` at a time."""
        for batch in self._connection.sql(query).to_arrow_reader(BATCH):
            yield pa.Table.from_batches([batch])


@contextmanager
def database(beside: Path, threads: int) -> Iterator[Database]:
    """Give an empty database; what exceeds its memory lies beside a path until the block ends."""
    with scratch(beside) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": MEMORY,
            "temp_directory": str(folder),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            connection.execute("SET enable_external_access = false")
            connection.execute("SET enable_progress_bar = false")
            yield Database(connection)
