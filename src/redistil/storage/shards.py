"""A file made in shards: a job that was killed keeps its finished shards."""

import shutil
from pathlib import Path

from redistil.errors import UserError
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.tables import Table


class Shards:
    """Finished parts of `out`, beside it in a hidden folder until `join` puts them together."""

    def __init__(self, table: Table, out: Path, made: Made) -> None:
        self.table, self.out, self.made = table, out, made
        self.folder = out.with_name(f".{out.name}.shards")

    def path(self, number: int) -> Path:
        """Return where a shard lies."""
        return self.folder / f".{number:05}.parquet"

    def has(self, number: int) -> bool:
        """Whether a shard is finished, and made by these settings, code and inputs."""
        path = self.path(number)
        try:
            return path.exists() and lineage.of(path).fingerprint == self.made.fingerprint
        except UserError:
            return False

    def join(self, count: int) -> int:
        """Write the first `count` shards as one file, one in memory at a time; remove them.

        Returns the number of rows.
        """
        rows = 0
        with self.table.writer(self.out, self.made) as write:
            for number in range(count):
                shard = self.table.read(self.path(number)).combine_chunks()
                rows += len(shard)
                write(shard)
        shutil.rmtree(self.folder, ignore_errors=True)
        return rows
