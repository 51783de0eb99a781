"""One writer for a file or a folder: the claim of a running job, seen by every other.

A claim is a file beside its output, locked by the kernel for as long as its holder lives. Some
network file systems keep locks to one machine. So the holder also renews the file, and a job on
another machine believes a claim that is fresh.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO

from redistil.errors import Claimed
from redistil.storage.aside import room_for

_log = logging.getLogger(__name__)

AGAIN = 2.0  # seconds between two looks at a claim
RENEWED = 20.0  # seconds between two renewals
FRESH = 180.0  # seconds for which a claim is believed; a network file system may tell it late
_UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Holder:
    """A job that writes: its machine, process, job of a cluster ("" where there is none), start."""

    host: str
    process: int
    job: str
    since: str

    @classmethod
    def this(cls) -> "Holder":
        job = os.environ.get("SLURM_JOB_ID", "")
        return cls(socket.gethostname(), os.getpid(), job, time.strftime("%Y-%m-%d %H:%M:%S"))

    @property
    def described(self) -> str:
        job = f" (SLURM job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"


@contextmanager
def claimed(output: Path, patient: bool = True) -> Iterator[bool]:
    """Hold the claim on an output; give whether another job held it before.

    patient: wait for that job; else raise Claimed, which names it.
    """
    path = output.with_name(f".{output.name}.claim")
    with room_for(output):
        new = _made_folders(path.parent)
        file, waited = _acquired(path, output, patient)
    with file:
        ended = Event()
        renewal = Thread(target=_renew, args=(file, ended), daemon=True)
        renewal.start()
        try:
            yield waited
        finally:
            ended.set()
            renewal.join()
            path.unlink(missing_ok=True)
            _remove_empty(new)


def _made_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the new ones, the lowest first."""
    new: list[Path] = []
    for place in (folder, *folder.parents):
        if not place.exists():
            new.append(place)
    folder.mkdir(parents=True, exist_ok=True)
    return new


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that nothing was written to."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _acquired(path: Path, output: Path, patient: bool) -> tuple[IO[str], bool]:
    """Return the claim's file, held, and whether another job held it before."""
    waited = False
    while True:
        file = _opened(path)
        if _locked(file) and _is_still(file, path) and not _is_believed(file, path):
            _sign(file)
            return file, waited
        holder = _holder(file)
        file.close()
        if holder and not patient:
            raise Claimed(
                f"{output} is being written by {holder.described}: wait for it, or end it"
            )
        if holder and not waited:
            _log.info("waits for %s, which is being written by %s", output, holder.described)
            waited = True
        time.sleep(AGAIN)


def _opened(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+")


def _locked(file: IO[str]) -> bool:
    """Lock the file; where the file system has no locks, the claim's freshness has to do."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNLOCKABLE:
            raise
    return True


def _is_still(file: IO[str], path: Path) -> bool:
    """Whether the path still has this file: its last holder removed it when it ended."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_believed(file: IO[str], path: Path) -> bool:
    """Whether a job on another machine has renewed the claim of late."""
    holder = _holder(file)
    if holder is None or holder.host == socket.gethostname():
        return False  # nobody, or a process of this machine that left its lock: it is dead
    return _age(path) < FRESH


def _age(path: Path) -> float:
    """Return the seconds since the last renewal, by the clock of the file system alone."""
    probe = path.with_name(f"{path.name}.{os.getpid()}")
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink()
    return now - path.stat().st_mtime


def _holder(file: IO[str]) -> Holder | None:
    """Return the job that a claim names, or None where it names none yet."""
    file.seek(0)
    try:
        return Holder(**json.load(file))
    except (ValueError, TypeError):
        return None


def _sign(file: IO[str]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(asdict(Holder.this()), file)
    file.flush()


def _renew(file: IO[str], ended: Event) -> None:
    while not ended.wait(RENEWED):
        os.utime(file.fileno())
