"""GPUs in turn, on a machine whose GPUs are invented."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from redistil.errors import BadSettings
from redistil.machine import gpus
from redistil.machine.gpus import held

FOUR = ["GPU-a", "GPU-b", "GPU-c", "GPU-d"]
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "AGAIN", 0.01)
    monkeypatch.setattr(gpus, "FOLDER", tmp_path / "slots")
    for name in (gpus.VISIBLE, "SLURM_JOB_ID", "LOCAL_WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(gpus, "_every", lambda: FOUR)


def compute(folder, wanted, seconds):
    """Hold GPUs; a file that exists already says that somebody else computes on one."""
    with held(FOUR, wanted, folder / "slots") as mine:
        marks = [folder / f"{gpu}.{os.getpid()}" for gpu in mine]
        for mark, gpu in zip(marks, mine, strict=True):
            mark.touch()
            alive = [other for other in folder.glob(f"{gpu}.*") if lives(other)]
            if alive != [mark]:
                (folder / "twice").touch()
        time.sleep(seconds)
        for mark in marks:
            mark.unlink()


def lives(mark):
    """Whether the process of a mark still holds its GPU: a killed one left its mark behind."""
    process = int(mark.name.rpartition(".")[2])
    try:
        state = open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_no_gpu_is_used_twice(tmp_path):
    draw = random.Random(1)
    jobs = []
    for number in range(12):
        wanted = 2 if number % 4 == 0 else 1
        jobs.append(fork.Process(target=compute, args=(tmp_path, wanted, 0.15)))
    for job in jobs:
        job.start()
    for job in draw.sample(jobs, 4):
        time.sleep(0.05)
        job.kill()  # some in their work, some while they wait
    for job in jobs:
        job.join(30)
    assert not (tmp_path / "twice").exists()
    assert {job.exitcode for job in jobs} <= {0, -signal.SIGKILL}
    with held(FOUR, 4, tmp_path / "slots") as mine:  # none was lost
        assert mine == FOUR


def test_several_are_given_together(tmp_path):
    asked = fork.Event()
    late = fork.Process(target=lambda: asked.wait(30) and compute(tmp_path, 2, 0))
    late.start()  # before this process holds a file that it would inherit
    with held(FOUR, 3, tmp_path / "slots") as three:
        asked.set()
        late.join(0.3)
        assert late.is_alive()  # one GPU is free, and it wants two
        assert three == FOUR[:3] and not list(tmp_path.glob("GPU-*"))
    late.join(30)
    assert late.exitcode == 0


def test_waiting_is_told(tmp_path, caplog):
    caplog.set_level("INFO")
    begun = fork.Event()

    def hold():
        with held(FOUR[:1], 1, tmp_path):
            begun.set()
            time.sleep(0.2)

    other = fork.Process(target=hold)
    other.start()
    assert begun.wait(10)
    with held(FOUR[:1], 1, tmp_path):
        assert "waits for 1 of 1 GPUs" in caplog.text
    other.join()


def test_more_than_there_are_is_refused(tmp_path):
    with pytest.raises(BadSettings, match="wanted 5 GPUs, and this machine shows 4"):
        with held(FOUR, 5, tmp_path):
            pass


def test_a_job_sees_its_gpu_alone(monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "2,1")
    assert gpus.count() == 2 and gpus.visible() == ["GPU-c", "GPU-b"]
    with gpus.in_turn("auto"):
        assert os.environ[gpus.VISIBLE] == "GPU-c"


def test_the_choice_of_slurm_is_kept(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(gpus.VISIBLE, "3")
    with gpus.in_turn("auto"):
        assert os.environ[gpus.VISIBLE] == "3" and not gpus.FOLDER.exists()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_cpu_holds_no_gpu(device):
    with gpus.in_turn(device):
        assert gpus.VISIBLE not in os.environ and not gpus.FOLDER.exists()


def test_a_named_gpu_keeps_its_number():
    with gpus.in_turn("cuda:1"):
        assert gpus.VISIBLE not in os.environ
        assert (gpus.FOLDER / "GPU-b").exists() and not (gpus.FOLDER / "GPU-a").exists()


def test_the_first_of_several_processes_holds_for_all(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with gpus.in_turn("auto"):
        assert not gpus.FOLDER.exists()
    monkeypatch.setenv("LOCAL_RANK", "0")
    begun = fork.Event()
    other = fork.Process(target=lambda: begun.wait(30) and compute(tmp_path, 2, 0))
    other.start()  # before this process holds a file that it would inherit
    with gpus.in_turn("auto"):
        assert gpus.VISIBLE not in os.environ  # each computes on the GPU of its number
        assert {path.name for path in gpus.FOLDER.glob("GPU-*")} == set(FOUR[:3])
        begun.set()
        other.join(0.3)
        assert other.is_alive()  # one GPU is free
    other.join(30)
    assert other.exitcode == 0


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "5")
    with pytest.raises(BadSettings, match="wanted 5 GPUs, and this machine shows 4"):
        with gpus.in_turn("auto"):
            pass


@pytest.mark.parametrize("given, seen", [("", 0), ("-1", 0), ("0", 1), ("0,-1,2", 1)])
def test_gpus_are_counted_as_cuda_does(monkeypatch, given, seen):
    monkeypatch.setenv(gpus.VISIBLE, given)
    assert gpus.count() == len(gpus.visible()) == seen
