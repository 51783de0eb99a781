"""A fork that works for its client: its streams, folder, environment, signals and end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redistil.machine import warm

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="jobs start cold here")

# the process that forks; a fork runs its first word as a program
SERVER = """
import os, sys
from pathlib import Path
from redistil.machine import warm
served = os.getppid()  # who reads that this listens may end at once
with warm.listening(Path(sys.argv[1])) as listener:
    print("listens", flush=True)
    words = warm.serve(listener, served)
if words is not None:
    exec(words[0])
"""
CLIENT = "import sys\nfrom pathlib import Path\nfrom redistil.machine import warm\n"
CLIENT += "warm._end_as(warm.ask(sys.argv[2:], Path(sys.argv[1])))"


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[Path]:
    """The socket of a process that forks."""
    socket_path = tmp_path / "socket"
    command = [sys.executable, "-c", SERVER, str(socket_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listens\n"
        yield socket_path
        server.kill()


def client(socket_path: Path, *words: str, **more: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CLIENT, str(socket_path), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a minute is too long."""
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to hold")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_fork_takes_the_clients_place(socket_path: Path, tmp_path: Path) -> None:
    program = "print(os.getcwd(), os.environ['ASKED'], words[1]); sys.exit('no')"
    (tmp_path / "here").mkdir()
    with client(
        socket_path, program, "ü", cwd=tmp_path / "here", env={**os.environ, "ASKED": "x"}
    ) as job:
        out, err = job.communicate()
    assert out == f"{tmp_path / 'here'} x ü\n"
    assert (err, job.returncode) == ("no\n", 1)


def test_forks_know_nothing_of_each_other(socket_path: Path) -> None:
    for _ in range(2):
        with client(socket_path, "print('seen' in dir(sys)); sys.seen = 1") as job:
            assert job.communicate()[0] == "False\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_job(socket_path: Path, number: signal.Signals) -> None:
    program = (
        "import signal, time\n"
        "def note(number, frame): print(number, flush=True); sys.exit(7)\n"
        f"signal.signal({int(number)}, note)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with client(socket_path, program) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        job.send_signal(number)
        assert job.stdout.read() == f"{int(number)}\n"
    assert job.returncode == 7


def test_a_killed_job_ends_its_client_alike(socket_path: Path) -> None:
    with client(socket_path, "os.kill(os.getpid(), 9)") as job:
        job.communicate()
    assert job.returncode == -signal.SIGKILL


def test_a_killed_client_takes_its_job_along(socket_path: Path) -> None:
    with client(socket_path, "import time; print(os.getpid(), flush=True); time.sleep(150)") as job:
        assert job.stdout is not None
        process = int(job.stdout.readline())
        job.kill()
        until(lambda: not is_alive(process))


def test_nobody_else_may_ask(socket_path: Path) -> None:
    assert socket_path.stat().st_mode & 0o777 == 0o600


def test_without_a_listener_nothing_is_accepted(socket_path: Path, tmp_path: Path) -> None:
    assert warm.ask(["print('never')"], tmp_path / "none") is None
    socket_path.unlink()
    socket_path.touch()
    assert warm.ask(["print('never')"], socket_path) is None


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    socket_path = tmp_path / "socket"
    server = [sys.executable, "-c", SERVER, str(socket_path)]
    parent = f"import subprocess\nserver = subprocess.Popen({server}, stdout=subprocess.PIPE)\n"
    parent += "assert server.stdout.readline()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", parent], check=True)
    until(lambda: warm.ask(["pass"], socket_path) is None)


GROUP = ["-m", "--target-jobs", "rerank:loss=a", "rerank:loss=b", "rerank:loss=c", "--cores", "1"]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that a process was offered for, in an environment that is put back."""
    found: list[int] = []
    monkeypatch.setattr(warm, "offer", lambda jobs, log: found.append(jobs))
    monkeypatch.setenv(warm.ELSEWHERE, "none")
    return found


def test_members_of_a_submission_have_a_socket_of_their_own(offered: list[int]) -> None:
    warm.offer_in_a_submission(GROUP, {"rerank"})
    socket_path = Path(os.environ[warm.ELSEWHERE])
    assert offered == [3]
    folder = socket_path.parent
    assert folder.stat().st_mode & 0o777 == 0o700 and not list(folder.iterdir())


@pytest.mark.parametrize("words", [GROUP[:4], ["rerank"] * 9])
def test_others_are_offered_nothing(offered: list[int], words: list[str]) -> None:
    warm.offer_in_a_submission(words, {"rerank"})
    assert not offered and os.environ[warm.ELSEWHERE] == "none"
