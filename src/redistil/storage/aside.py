"""Files that appear complete or not at all: written beside their place, then renamed."""

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redistil.errors import Full, UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # of a disk, or of what its user may fill of it
# what libraries say that hide the number: those written in Rust, and DuckDB
_SAID = ("(os error 28)", "(os error 122)", "No space left on device", "max_temp_directory_size")


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `path` if the block ends well, else it is removed.

    Partial files that a killed job left of the same file are removed first. The name holds the
    process id: a job that still writes the old partial file fails, and two jobs never mix.
    Raises Full where the disk has no room for it.
    """
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_partial_files(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def files_aside(folder: Path) -> Iterator[Path]:
    """Give an empty folder; its files move into `folder` if the block ends well.

    Files of other names stay. Raises Full where the disk has no room for them.
    """
    partial = folder / ".partial"
    with room_for(folder):
        shutil.rmtree(partial, ignore_errors=True)  # of a job that was killed
        partial.mkdir(parents=True)
        try:
            yield partial
            for file in sorted(partial.rglob("*")):
                if file.is_file():
                    place = folder / file.relative_to(partial)
                    place.parent.mkdir(exist_ok=True)
                    file.replace(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn a full disk, however a library tells it, into one Full that names what was written.

    Where blocks lie in each other, the outermost names it.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise Full(
            f"{path} could not be written, its disk is full: make room there and start again"
        ) from error


def is_full(error: Exception) -> bool:
    """Whether an error tells of a full disk."""
    if isinstance(error, UserError):
        return isinstance(error, Full)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(words in str(error) for words in _SAID)


def _remove_partial_files(path: Path) -> None:
    pattern = f".{glob.escape(path.name)}.*.partial"
    for partial in path.parent.glob(pattern):
        process = partial.name.removeprefix(f".{path.name}.").removesuffix(".partial")
        if process.isdigit():  # else it is a partial file of "a.b", found beside "a"
            partial.unlink(missing_ok=True)
