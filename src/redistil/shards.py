"""A file made in shards: a job that was killed does not do the finished ones again."""

import shutil
from pathlib import Path

from redistil import lineage
from redistil.errors import UserError
from redistil.lineage import Made
from redistil.tables import Table


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

    def join(self, count: int) -> None:
        """Write the first `count` shards as one file, one in memory at a time; remove them."""
        with self.table.writer(self.out, self.made) as write:
            for number in range(count):
                write(self.table.read(self.path(number)).combine_chunks())
        shutil.rmtree(self.folder, ignore_errors=True)
