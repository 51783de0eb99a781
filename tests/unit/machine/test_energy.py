"""Joules, from counters as the kernel and NVML show them: folders and a module made here."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from redistil.machine import costs, energy
from redistil.machine import hardware as machine
from redistil.machine.energy import Meter, Note, Spent
from redistil.machine.processes import Processes


def zone(powercap, number, name, now, most=1_000_000):
    """Write the counter of a zone, as /sys/class/powercap has it."""
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (folder / "energy_uj").write_text(f"{now}\n")


def test_packages_and_memory_are_summed(tmp_path):
    zones = {"0": "package-0", "1": "package-1", "0:0": "core", "0:1": "dram", "2": "psys"}
    for number, name in zones.items():
        zone(tmp_path, number, name, 500_000)
    with Meter(powercap=tmp_path) as meter:
        for step, (number, name) in enumerate(zones.items()):
            zone(tmp_path, number, name, 500_000 + 10**step)
        assert meter.spent().processor_joules == pytest.approx((1 + 10 + 1000) / 1e6)


def test_a_wrapped_counter_goes_on(tmp_path):
    zone(tmp_path, "0", "package-0", 900_000)
    with Meter(powercap=tmp_path) as meter:
        for now, joules in ((950_000, 0.05), (100_000, 0.2), (100_000, 0.2), (99_999, 1.199999)):
            zone(tmp_path, "0", "package-0", now)
            assert meter.spent().processor_joules == pytest.approx(joules)


def test_a_thread_sees_every_round(tmp_path, monkeypatch):
    """Three rounds, looked at by the thread alone."""
    monkeypatch.setattr(energy, "EVERY", 0.001)
    zone(tmp_path, "0", "package-0", 0)
    with Meter(powercap=tmp_path) as meter:
        (counter,) = meter._processors._zones
        for now in (800_000, 300_000, 900_000, 200_000, 700_000):
            replaced = tmp_path / "new"
            replaced.write_text(str(now))
            replaced.replace(tmp_path / "intel-rapl:0/energy_uj")
            until = time.monotonic() + 10
            while counter._last != now and time.monotonic() < until:
                time.sleep(0.001)
        assert meter.spent().processor_joules == pytest.approx(2.7)


def test_half_a_sum_is_no_sum(tmp_path):
    """A folder in place of a file cannot be read, by root either: as a counter of root's alone."""
    assert Meter(powercap=tmp_path / "none").__enter__().spent().processor_joules is None
    for number in ("0", "1"):
        zone(tmp_path, number, f"package-{number}", 5)
    with Meter(powercap=tmp_path) as meter:
        assert meter.spent().processor_joules == 0
        hidden = tmp_path / "intel-rapl:1" / "energy_uj"
        hidden.unlink()
        hidden.mkdir()
        assert meter.spent().processor_joules is None
        hidden.rmdir()
        hidden.write_text("9")
        assert meter.spent().processor_joules is None, "what came between is not known"
    hidden.unlink()
    hidden.mkdir()
    with Meter(powercap=tmp_path) as meter:
        assert meter.spent().processor_joules is None


@pytest.fixture
def nvml(monkeypatch):
    """NVML with two GPUs; the first counts, the second may not."""

    class NVMLError(Exception):
        pass

    def energy_of(handle):
        if counters[handle] is None:
            raise NVMLError("Not Supported")
        return counters[handle]

    counters = {"GPU-a": 1_000, "GPU-b": 50_000}
    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=energy_of,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return counters


def test_gpus_are_summed_in_joules(nvml, tmp_path):
    with Meter(["GPU-a", "GPU-b"], tmp_path) as meter:
        nvml.update({"GPU-a": 3_500, "GPU-b": 50_500})
        assert meter.spent().gpu_joules == pytest.approx(3.0)
        nvml["GPU-b"] = None
        assert meter.spent().gpu_joules is None
    with Meter(["GPU-a", "GPU-b"], tmp_path) as meter:
        assert meter.spent().gpu_joules is None


def test_no_gpu_has_no_joules(tmp_path, monkeypatch):
    with Meter(powercap=tmp_path) as meter:
        assert meter.spent().gpu_joules is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    with Meter(["GPU-a"], tmp_path) as meter:
        assert meter.spent().gpu_joules is None


def test_an_unknown_part_makes_it_unknown():
    both = Spent(1.0, 2.0, None) + Spent(10.0, 20.0, 30.0)
    assert both == Spent(11.0, 22.0, None)
    assert Spent() + both == both


def told(tmp_path, spent, processes):
    costs.account(spent, 300, processes, "abc with changes", tmp_path / "cost.json")
    return json.loads((tmp_path / "cost.json").read_text())


def test_costs_name_machine_and_commit(tmp_path):
    found = told(tmp_path, Spent(2.0, 41.26, None), Processes("cpu"))
    assert (found["seconds"], found["pairs"], found["pairs_per_second"]) == (2.0, 300, 150.0)
    assert (found["processor_joules"], found["gpu_joules"]) == (41.3, None)
    assert found["commit"] == "abc with changes" and found["processes"] == 1
    assert found["device"] in found["machine"]["processor"] and "torch" in found["machine"]


def test_device_seconds_count_threads_or_gpus(tmp_path, monkeypatch):
    spent = Spent(2.0, None, None, 3.5)
    assert told(tmp_path, spent, Processes("cpu"))["device_seconds"] == 3.5
    monkeypatch.setattr(Processes, "gpus", ["GPU-a"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    processes = Processes("cpu")
    processes.count = 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert told(tmp_path, spent, processes)["device_seconds"] == 8.0


def test_a_meter_counts_all_threads(tmp_path):
    with Meter(powercap=tmp_path) as meter:
        torch.randn(300, 300) @ torch.randn(300, 300)
        assert 0 < meter.spent().cpu_seconds


def test_unknown_costs_are_null(tmp_path):
    found = told(tmp_path, Spent(None, None, None) + Spent(2.0, 1.0, 1.0), Processes("cpu"))
    amounts = ("seconds", "pairs_per_second", "processor_joules", "gpu_joules")
    assert [found[key] for key in amounts] == [None] * 4 and found["pairs"] == 300


def test_joules_of_several_machines_are_unknown(tmp_path, monkeypatch):
    processes = Processes("cpu")
    processes.count = 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert told(tmp_path, Spent(2.0, 41.26, None), processes)["processor_joules"] == 41.3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert told(tmp_path, Spent(2.0, 41.26, None), processes)["processor_joules"] is None


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit of the sources whose commit is read."""
    source = tmp_path / "machine.py"
    source.write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message", "first")
    monkeypatch.setattr(machine, "__file__", str(source))
    return tmp_path


def git(folder, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_reading_the_commit_takes_no_lock(repository):
    """A status that takes the lock writes the index anew where a file's time has changed."""
    os.utime(repository / "machine.py", (1, 1))
    index = (repository / ".git/index").read_bytes()
    found = machine.commit()
    assert len(found) == 40 and (repository / ".git/index").read_bytes() == index
    (repository / "machine.py").write_text("changed")
    assert machine.commit() == f"{found} with changes"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder to another user")
def test_another_users_repository_has_its_commit(repository):
    os.chown(repository, 12345, 12345)
    os.chown(repository / ".git", 12345, 12345)
    assert len(machine.commit()) == 40


def test_a_repository_around_the_sources_is_not_theirs(repository, monkeypatch):
    (repository / ".gitignore").write_text("environment\n")
    (repository / "environment").mkdir()
    monkeypatch.setattr(machine, "__file__", str(repository / "environment/machine.py"))
    assert machine.commit() == "unknown (not a git checkout)"


def test_a_note_counts_for_its_work_alone(tmp_path):
    note = Note.beside(tmp_path / "cost.json", "this work")
    with Meter(powercap=tmp_path, note=note):
        pass
    assert note.left().interruptions == 1 and note.left().seconds > 0
    assert Note(note.path, "another").left() == Spent()
    note.path.write_text("half a no")
    assert note.left() == Spent()


def test_a_note_ends_with_its_work(tmp_path):
    note = Note.beside(tmp_path / "cost.json", "this work")
    note.write(Spent(3.0))
    with Meter(powercap=tmp_path, note=note) as meter:
        spent = meter.spent()
    assert note.path.exists() and spent.seconds > 3
    found = told(tmp_path, spent, Processes("cpu"))
    assert found["interruptions"] == 1 and not note.path.exists()
