"""GPUs in turn: a job holds a file for each of its GPUs, and the kernel frees it at its end.

The files lie on the machine itself, one for each GPU. A job that holds GPUs sees no others.
"""

import fcntl
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from redistil.errors import BadSettings

_log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
FOLDER = Path("/tmp") / f"redistil-gpus-{os.getuid()}"
AGAIN = 1.0  # seconds between two looks at the GPUs
_LISTED = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")


def turns(cores: int | None) -> int:
    """Return how many jobs may compute at a time: one on each GPU, or without any on each core."""
    on_cpu = os.environ.get("REDISTIL_DEVICE", "auto") == "cpu"
    return (0 if on_cpu else count()) or cores or 1


def count() -> int:
    """Return how many GPUs a job on this machine may see, without asking the driver."""
    text = os.environ.get(VISIBLE)
    if text is not None:
        return len(_words(text))
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def visible() -> list[str]:
    """Return the UUIDs of the GPUs that a job may see; a number counts as `nvidia-smi` does."""
    every = _every()
    text = os.environ.get(VISIBLE)
    if text is None:
        return every
    named: list[str] = []
    for word in _words(text):
        is_number = word.isdigit() and int(word) < len(every)
        named.append(every[int(word)] if is_number else word)
    return named


def given_by_slurm() -> bool:
    """Whether SLURM gave this job its GPUs: then nobody else has them."""
    return "SLURM_JOB_ID" in os.environ and VISIBLE in os.environ


def _words(text: str) -> list[str]:
    """Return the GPUs of a list; CUDA takes -1 and what follows it for none."""
    words: list[str] = []
    for word in text.split(","):
        if word.strip() in ("", "-1"):
            break
        words.append(word.strip())
    return words


def _every() -> list[str]:
    try:
        listed = subprocess.run(_LISTED, capture_output=True, text=True)
    except OSError:
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


@contextmanager
def held(gpus: Sequence[str], wanted: int, folder: Path) -> Iterator[list[str]]:
    """Give `wanted` of these GPUs, all or none; wait until so many are free.

    folder: of the machine's files, one for each GPU. Jobs are served one after the other, so one
    that wants several is not overtaken for ever. Raises BadSettings where there are not so many.
    """
    if wanted > len(gpus):
        raise BadSettings(f"wanted {wanted} GPUs, and this machine shows {len(gpus)}: ask for less")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as taken:
        with (folder / "queue").open("a") as queue:
            _enter(queue, wanted)
            mine = _taken(gpus, wanted, folder, taken)
        yield mine


def _enter(queue: IO[str], wanted: int) -> None:
    """Return when all jobs that asked before have their GPUs."""
    if not _locked(queue):
        _log.info("waits for %d of the GPUs: others wait before it", wanted)
        fcntl.flock(queue, fcntl.LOCK_EX)


def _taken(gpus: Sequence[str], wanted: int, folder: Path, keep: ExitStack) -> list[str]:
    """Return the first `wanted` GPUs that are free together, with their files held by `keep`."""
    is_logged = False
    while True:
        with ExitStack() as tried:
            mine = _free(gpus, wanted, folder, tried)
            if len(mine) == wanted:
                keep.push(tried.pop_all())
                return mine
        if not is_logged:
            _log.info("waits for %d of %d GPUs: the others are held", wanted, len(gpus))
            is_logged = True
        time.sleep(AGAIN)


def _free(gpus: Sequence[str], wanted: int, folder: Path, tried: ExitStack) -> list[str]:
    """Return at most `wanted` GPUs that nobody holds, and hold their files."""
    mine: list[str] = []
    for gpu in gpus:
        slot = tried.enter_context((folder / gpu.replace("/", "-")).open("a"))
        if len(mine) < wanted and _locked(slot):
            mine.append(gpu)
    return mine


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def in_turn(device: str) -> Iterator[None]:
    """Let a job on `device` compute on a GPU of its own.

    On the CPU, and where SLURM gave the job its GPU, this does nothing. A device with a number is
    held as it is named. Of the processes that a launcher starts here, the first holds the GPUs of
    all; the others wait for it as they meet.
    """
    is_cpu = not (device == "auto" or device.startswith("cuda"))
    gpus = [] if is_cpu or given_by_slurm() else visible()
    number = device.partition(":")[2]
    if number.isdigit():
        gpus = gpus[int(number) :][:1]
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not gpus or not is_first:
        yield
        return
    if together > 1:
        gpus = gpus[:together]  # as many as they are, and those that their numbers name
    with held(gpus, together, FOLDER) as mine:
        if not number and together == 1:
            os.environ[VISIBLE] = ",".join(mine)
        yield
