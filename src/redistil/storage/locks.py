"""The lock that Snakemake leaves in a folder when it is killed, taken off without asking anyone.

Every run shares a lock of the system on one file as long as its process lives; the system takes
that back whatever ends the process. Who gets it alone for a moment knows that no other run of this
folder lives, and that Snakemake's lock is left over.
"""

import fcntl
import socket
from pathlib import Path
from shutil import disk_usage
from typing import IO

from redistil.errors import Full

ROOM = 1 << 20  # bytes
STATE = Path(".snakemake")  # where Snakemake keeps its records, in the folder that it runs in
HELD = "held"  # the file, beside Snakemake's records: the machine whose run held it last

_holding: list[IO[str]] = []  # open as long as this process lives


def taken_off(state: Path) -> list[str]:
    """Take a left-over lock off a folder, and share the folder; return what to say of it.

    state: where Snakemake keeps its records. The lock stays where another run lives, a dry one too,
    or where it may be another machine's: systems of files need not share their locks. A folder that
    nobody may write to is left as it is. Raises Full where the disk is full.
    """
    refuse_full(state)
    try:
        state.mkdir(exist_ok=True)
        file = (state / HELD).open("a+", encoding="utf-8")
    except OSError:
        return []
    messages = _cleared(file, state / "locks") if _is_alone(file) else []
    _share(file)
    return messages


def _cleared(file: IO[str], locks: Path) -> list[str]:
    """Take Snakemake's locks off where they are of this machine; return what to say of it."""
    left = sorted(locks.glob("*.lock"))
    if left and not _is_ours(file):
        return []
    file.truncate(0)
    file.write(socket.gethostname())
    file.flush()
    for lock in left:
        lock.unlink(missing_ok=True)
    return ["the lock of a run that was killed here is taken off"] if left else []


def refuse_full(state: Path) -> None:
    """Refuse a disk without room for Snakemake's records.

    Snakemake would make files, and then could not note what made them. Raises Full.
    """
    free = disk_usage(state if state.exists() else state.parent).free
    if free < ROOM:
        raise Full(
            f"{state.absolute()}: its disk has {free} bytes left, and Snakemake's records need "
            f"{ROOM}: make room there"
        )


def _is_ours(file: IO[str]) -> bool:
    """Whether the run that held the folder last was of this machine."""
    file.seek(0)
    return file.read() == socket.gethostname()


def _is_alone(file: IO[str]) -> bool:
    """Whether no other run holds a file; then nobody else can until it is shared."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _share(file: IO[str]) -> None:
    """Hold a file, beside others, until this process ends.

    Another run may get the file alone in between. It is then let go on first: this one has no lock
    of Snakemake's yet that it could lose.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:  # a system of files without locks
        file.close()
    else:
        _holding.append(file)
