"""Rows put aside on disk in buckets: how what does not fit in memory is sorted.

Rows are dealt to buckets by a range of their first key, and each bucket is sorted by itself; one
after the other they are the whole in order.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from redistil.storage.scratch import scratch

Out = TypeVar("Out")
Records = npt.NDArray[np.void]


class _Work(Protocol[Out]):  # type: ignore[misc]
    def __call__(self, rows: Records) -> Out: ...


class Buckets:
    """Records of one structured type, in `count` files."""

    def __init__(self, folder: Path, kind: np.dtype[Any], count: int) -> None:
        self.kind, self.count = kind, count
        self._files = [(folder / str(bucket)).open("w+b") for bucket in range(count)]

    def add(self, rows: Records, bucket: npt.NDArray[np.integer]) -> None:
        """Put each row into its bucket, behind what is there."""
        order = np.argsort(bucket.astype(np.uint16), kind="stable")
        rows = rows.take(order)  # fifty times as fast as rows[order] for records
        ends = np.cumsum(np.bincount(bucket, minlength=self.count))
        for file, start, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            if end > start:
                file.write(rows[start:end].view(np.uint8).data)

    def read(self, bucket: int) -> Records:
        """Return the rows of a bucket, in the order they came."""
        file = self._files[bucket]
        file.seek(0)
        return np.frombuffer(file.read(), self.kind)

    def each(self, work: _Work[Out], threads: int) -> Iterator[Out]:
        """Yield what `work` makes of each bucket, in order; `threads` are worked on at a time."""
        with ThreadPoolExecutor(threads) as pool:
            todo = iter(range(self.count))

            def start(count: int) -> list[Future[Out]]:
                return [pool.submit(lambda b: work(self.read(b)), b) for b in islice(todo, count)]

            waiting = start(threads + 1)
            while waiting:
                done = waiting.pop(0).result()
                waiting += start(1)
                yield done

    def close(self) -> None:
        for file in self._files:
            file.close()


@contextmanager
def buckets(beside: Path, kind: np.dtype[Any], count: int) -> Iterator[Buckets]:
    """Give empty buckets in a folder beside a file; they are gone when the block ends."""
    with scratch(beside) as folder:
        found = Buckets(folder, kind, count)
        try:
            yield found
        finally:
            found.close()
