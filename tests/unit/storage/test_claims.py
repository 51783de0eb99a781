"""Claims: one writer for an output, whoever is killed and on whichever machine."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict

import pytest

from redistil.errors import Claimed
from redistil.storage import claims
from redistil.storage.claims import Holder, claimed

ELSEWHERE = Holder("node-7", 123, "45", "2026-11-28 10:00:00")
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(claims, "AGAIN", 0.02)
    monkeypatch.setattr(claims, "RENEWED", 0.05)


def hold(output, begun, ends):
    """Hold a claim in a process of its own until told to end."""
    with claimed(output):
        begun.set()
        ends.wait()


@pytest.fixture
def other(tmp_path):
    """A process that holds the claim on `out`, and the event that ends it."""
    begun, ends = fork.Event(), fork.Event()
    process = fork.Process(target=hold, args=(tmp_path / "out", begun, ends))
    process.start()
    assert begun.wait(10)
    yield process, ends
    process.kill()
    process.join()


def left(path, holder, age=0.0):
    """Leave the claim of a holder that is gone."""
    claim = path.with_name(f".{path.name}.claim")
    claim.write_text(json.dumps(asdict(holder)))
    os.utime(claim, (time.time() - age,) * 2)
    return claim


def test_a_free_output_is_claimed_at_once(tmp_path):
    with claimed(tmp_path / "new" / "out") as waited:
        assert not waited
        assert (tmp_path / "new" / ".out.claim").exists()
    assert not (tmp_path / "new").exists()  # nothing was written


def test_a_written_folder_stays(tmp_path):
    with claimed(tmp_path / "new" / "out"):
        (tmp_path / "new" / "out").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_the_impatient_are_told_the_holder(tmp_path, other):
    with pytest.raises(Claimed, match=rf"out is being written by process {other[0].pid} on "):
        with claimed(tmp_path / "out", patient=False):
            pass


def test_a_second_job_waits(tmp_path, other, caplog):
    caplog.set_level("INFO")
    _, ends = other
    fork.Process(target=lambda: (time.sleep(0.3), ends.set())).start()
    begun = time.monotonic()
    with claimed(tmp_path / "out") as waited:
        assert waited and time.monotonic() - begun > 0.25
    assert "waits for" in caplog.text and "process" in caplog.text


def test_a_kill_frees_the_claim(tmp_path, other):
    process, _ = other
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with claimed(tmp_path / "out", patient=False):
        pass


def test_a_fresh_claim_elsewhere_is_believed(tmp_path):
    left(tmp_path / "out", ELSEWHERE)
    with pytest.raises(Claimed, match=r"process 123 on node-7 \(SLURM job 45\)"):
        with claimed(tmp_path / "out", patient=False):
            pass


def test_an_old_claim_elsewhere_is_taken_over(tmp_path):
    claim = left(tmp_path / "out", ELSEWHERE, age=claims.FRESH + 1)
    with claimed(tmp_path / "out"):
        assert Holder(**json.loads(claim.read_text())).process == os.getpid()
    assert not claim.exists()


def test_a_claim_is_renewed(tmp_path):
    with claimed(tmp_path / "out"):
        claim = tmp_path / ".out.claim"
        os.utime(claim, (0, 0))
        time.sleep(0.3)
        assert claim.stat().st_mtime > 0


def test_without_locks_freshness_decides(tmp_path, monkeypatch):
    def refused(file, how):
        raise OSError(claims.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claims.fcntl, "flock", refused)
    left(tmp_path / "out", ELSEWHERE)
    with pytest.raises(Claimed):
        with claimed(tmp_path / "out", patient=False):
            pass
    left(tmp_path / "out", ELSEWHERE, age=claims.FRESH + 1)
    with claimed(tmp_path / "out", patient=False):
        pass


def write(output, count, turns):
    """Add to what is written, in a way that loses turns when two do it at once."""
    for _ in range(turns):
        with claimed(output):
            seen = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(seen + 1))


def test_many_writers_never_mix(tmp_path):
    count = tmp_path / "count"
    count.write_text("0")
    writers = [fork.Process(target=write, args=(tmp_path / "out", count, 5)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert count.read_text() == "20"
