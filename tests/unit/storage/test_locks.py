"""A left-over lock is taken off; that of a living run stays."""

import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager

import pytest

from redistil.errors import UserError
from redistil.storage import locks

HOLDING = """
import sys, time
from pathlib import Path
from redistil.storage import locks
locks.taken_off(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def living(folder):
    """A run that holds the folder, and lives."""
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "held\n"
        yield run
        run.kill()


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Where Snakemake keeps its records; a run holds the folder, and has locked it."""
    monkeypatch.setattr(locks, "_holding", [])
    folder = tmp_path / ".snakemake"
    with living(folder) as run:
        (folder / "locks").mkdir()
        (folder / "locks" / "0.input.lock").touch()
        yield folder, run
    ended()


def ended():
    """Let go of what this process holds, as its end would."""
    while locks._holding:
        locks._holding.pop().close()


def locked(folder):
    return list((folder / "locks").iterdir()) != []


def test_a_killed_run_leaves_no_lock(state):
    folder, run = state
    run.kill()
    run.wait()
    assert locks.taken_off(folder) == ["the lock of a run that was killed here is taken off"]
    assert not locked(folder)
    assert locks.taken_off(folder) == []


def test_a_living_run_keeps_its_lock(state):
    folder, run = state
    assert locks.taken_off(folder) == [] and locked(folder)


def test_a_later_run_keeps_its_lock(state):
    """The first was a dry run, say: it ends, and the second one's lock is no left-over."""
    folder, first = state
    with living(folder) as second:
        first.kill()
        first.wait()
        assert locks.taken_off(folder) == [] and locked(folder)
        second.kill()
        second.wait()
        ended()
        assert locks.taken_off(folder) != [] and not locked(folder)


def test_another_machine_keeps_its_lock(state, monkeypatch):
    folder, run = state
    run.kill()
    run.wait()
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert locks.taken_off(folder) == [] and locked(folder)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(locks, "disk_usage", lambda path: usage(10))
    with pytest.raises(UserError, match="10 bytes left, .*make room"):
        locks.taken_off(tmp_path / ".snakemake")
