"""A warm start of jobs: one process imports the libraries once, and forks for each job.

To import torch and transformers takes a job 4 CPU seconds, often more than its own work.
`python -m redistil.machine.warm COMMAND ...` asks the process that listens at its socket for a
fork. The fork has the standard streams, folder and environment of the client. The client passes
signals on and ends as the fork ends. Where nobody listens, it starts the job cold.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

SOCKET = Path(".snakemake/warm")  # relative: the path of a socket has at most 107 bytes
ELSEWHERE = "REDISTIL_WARM"  # the variable that names another socket, in a submission to a cluster
LOG = Path(".snakemake/warm.log")
STREAMS = (0, 1, 2)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
ACCEPTED = b"a"
PATIENCE = 1.0  # seconds between two looks for the parent process
WORTH = 3  # jobs that load torch: fewer start cold
SIZE = 8  # bytes that state the length of a request
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Request(NamedTuple):
    """A command to run: its words, the folder it runs in, and its environment."""

    words: list[str]
    folder: str
    environment: dict[str, str]


_rooms: list["TemporaryDirectory[str]"] = []  # in place as long as this process lives


def offer(loads_torch: int, log: Path | None = LOG) -> None:
    """Start the process that forks, where that many jobs are worth it, below this process.

    log: where it writes the commands; without it, where this process writes its errors.
    Linux alone tells of the end of a process that is no child; elsewhere every job starts cold.
    """
    if loads_torch < WORTH or not hasattr(os, "pidfd_open"):
        return
    command = [sys.executable, "-P", "-m", "redistil.cli.warm", str(os.getpid())]
    # a process group of its own: Ctrl-C reaches a job through its client alone, once
    with open(log, "w") if log else nullcontext(sys.stderr) as out:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0)


def offer_in_a_submission(words: Sequence[str], on_gpus: Collection[str]) -> None:
    """Do the same for the jobs that share a submission: there Snakemake calls no hook.

    words: the command line of the Snakemake of that submission, which names its jobs; on_gpus: the
    rules whose jobs load torch. On SLURM it starts another Snakemake for each of them, by `srun`.
    These name one job each, and inherit where to ask. The socket is on this machine alone, as
    other machines use the same folder of the project.
    """
    jobs = sum(rule in on_gpus for rule in _asked_for(words))
    if jobs < WORTH:
        return
    _rooms.append(TemporaryDirectory(prefix="redistil-warm-"))
    os.environ[ELSEWHERE] = str(Path(_rooms[-1].name, SOCKET.name))
    offer(jobs, log=None)


def _asked_for(words: Sequence[str]) -> Iterator[str]:
    """Yield the rule of each job that a Snakemake is to run: `--target-jobs rule:wildcards ...`."""
    start = words.index("--target-jobs") + 1 if "--target-jobs" in words else len(words)
    for word in words[start:]:
        if word.startswith("--"):
            return
        yield word.partition(":")[0]


def _socket_path() -> Path:
    return Path(os.environ.get(ELSEWHERE, SOCKET))


# --- the process that forks ----------------------------------------------------------------------


@contextmanager
def listening(socket_path: Path | None = None) -> Iterator[socket.socket]:
    """Give a socket at which only this user can ask."""
    socket_path = socket_path or _socket_path()
    socket_path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o177)
        listener.bind(str(socket_path))
        os.umask(before)
        listener.listen(128)
        yield listener


def serve(listener: socket.socket, served: int) -> list[str] | None:
    """Fork for each request, until the parent process, `served`, has ended; then return None.

    Returns in each fork too: there with the words of its command.
    """
    gc.freeze()  # pages that nobody writes stay shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    listener.settimeout(PATIENCE)
    while os.getppid() == served:
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            client.setblocking(True)
            return _attended(client)
        client.close()
    return None


def _attended(client: socket.socket) -> list[str]:
    """Fork the job and return its words there; stay with the client here, and never return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams = _received(client)
    print(*request.words[:1], file=sys.stderr, flush=True)
    attendant = os.getpid()
    client.sendall(ACCEPTED)
    job = os.fork()
    if job != 0:
        _attend(client, job)
    client.close()
    _die_with(attendant)
    _become(request, streams)
    return request.words


def _received(client: socket.socket) -> tuple[Request, list[int]]:
    """Return what a client sent: the request, and its standard streams."""
    head, streams, _, _ = socket.recv_fds(client, SIZE, len(STREAMS))
    size = int.from_bytes(head, "big")
    with client.makefile("rb") as sent:
        fields = json.loads(sent.read(size))
    return Request(*fields), streams


def _attend(client: socket.socket, job: int) -> NoReturn:
    """Pass signals on to a job, and its end to the client; a client that is gone takes it along."""
    end = os.pidfd_open(job)
    while True:
        ready, _, _ = select.select([client.fileno(), end], [], [])
        if end in ready:
            break
        numbers = client.recv(1)
        os.kill(job, numbers[0] if numbers else signal.SIGKILL)
        if not numbers:
            break
    _, status = os.waitpid(job, 0)
    code = os.waitstatus_to_exitcode(status)
    try:
        client.sendall(code.to_bytes(2, "big", signed=True))
    except BrokenPipeError:
        pass
    os._exit(0)


def _die_with(parent: int) -> None:
    """Let this process be killed when its parent ends."""
    libc: Any = ctypes.CDLL(None)
    libc.prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _become(request: Request, streams: list[int]) -> None:
    """Take on the streams, folder, environment and signals of the client."""
    for stream, descriptor in zip(STREAMS, streams, strict=True):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # SIGUSR1 stays ignored, as below Snakemake


# --- the client ----------------------------------------------------------------------------------


def ask(words: list[str], socket_path: Path | None = None) -> int | None:
    """Let a command run in a fork, and return its exit code; None where nobody accepted it."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(str(socket_path or _socket_path()))
            _send(server, Request(words, os.getcwd(), dict(os.environ)))
            is_accepted = server.recv(1) == ACCEPTED
        except OSError:
            return None
        if not is_accepted:
            return None
        for number in PASSED_ON:
            signal.signal(number, lambda number, frame: server.sendall(bytes([number])))
        with server.makefile("rb") as answer:
            code = answer.read(2)
    # an attendant that is gone took the job along
    return int.from_bytes(code, "big", signed=True) if code else -signal.SIGKILL


def _send(server: socket.socket, request: Request) -> None:
    sent = json.dumps(request).encode()
    socket.send_fds(server, [len(sent).to_bytes(SIZE, "big")], STREAMS)
    server.sendall(sent)


def _end_as(code: int) -> NoReturn:
    """End with an exit code, or by the signal that a negative one stands for."""
    if code < 0:
        if -code in PASSED_ON:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def main() -> None:
    """Run a command of `redistil`: warm where a process listens, cold elsewhere."""
    words = sys.argv[1:]
    code = ask(words)
    if code is None:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "redistil", *words])
    _end_as(code)


if __name__ == "__main__":
    main()
