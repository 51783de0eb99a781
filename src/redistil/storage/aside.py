"""Files that appear complete or not at all: written beside their place, then renamed."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `path` if the block ends well, else it is removed.

    Partial files that a killed job left of the same file are removed first. The name holds the
    process id: a job that still writes the old partial file fails, and two jobs never mix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_partial_files(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_partial_files(path: Path) -> None:
    pattern = f".{glob.escape(path.name)}.*.partial"
    for partial in path.parent.glob(pattern):
        process = partial.name.removeprefix(f".{path.name}.").removesuffix(".partial")
        if process.isdigit():  # else it is a partial file of "a.b", found beside "a"
            partial.unlink(missing_ok=True)
