"""Trainings that were killed: their bytes depend on their recipe alone."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from redistil.errors import Interrupted
from redistil.learning import gradients
from redistil.stages import models
from tests.made import tiny
from tests.made.trained import (
    COST,
    LEFT,
    NOTE,
    SECOND,
    run,
    train,
    validating,
    weights,
    write_house,
)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return write_house(tmp_path_factory.mktemp("house"))


class Killed(BaseException):
    """End of a job by its scheduler."""


def dying_at(step):
    """Return a function that learns from batches, and fails at a step (counted from 0)."""

    def learn(student, pairs, loss_of, memory, precision, stream, processes):
        if stream[1] == step:
            raise Killed
        return gradients.learn(student, pairs, loss_of, memory, precision, stream, processes)

    return learn


def test_a_killed_validating_training_goes_on_to_the_same_bytes(house, tmp_path, monkeypatch):
    how = {"steps": 12, "learning_rate": 0.1, "batch": 4, "checkpoint_every": 5}
    whole = train(house, tmp_path / "whole", validation=validating(), **how)
    for step in (3, 6, 11):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(models, "learn", dying_at(step))
            train(house, tmp_path / "killed", validation=validating(), **how)
    resumed = train(house, tmp_path / "killed", validation=validating(), **how)
    assert {path.name for path in resumed.iterdir()} == {path.name for path in whole.iterdir()}
    for name in LEFT | {"last.safetensors"}:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


def warned_at(step, warning):
    """Return a function that learns from batches; a signal comes within a step (counted from 0)."""

    def learn(student, pairs, loss_of, memory, precision, stream, processes):
        if stream[1] == step:
            os.kill(os.getpid(), warning)
        return gradients.learn(student, pairs, loss_of, memory, precision, stream, processes)

    return learn


@pytest.mark.parametrize("warning", [signal.SIGTERM, signal.SIGUSR1])
def test_a_warned_training_saves_and_goes_on(house, tmp_path, monkeypatch, warning):
    how = {"steps": 8, "checkpoint_every": 100}
    whole = train(house, tmp_path / "whole", validation=validating(), **how)
    with monkeypatch.context() as patch:
        patch.setattr(models, "learn", warned_at(4, warning))
        with pytest.raises(Interrupted, match=f"{warning.name} after step 5 of 8"):
            train(house, tmp_path / "warned", validation=validating(), **how)
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(models, "learn", noting(steps))
        resumed = train(house, tmp_path / "warned", validation=validating(), **how)
    assert steps == [5, 6, 7]
    for name in LEFT:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


def test_a_warning_in_the_last_step_ends_well(house, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "learn", warned_at(5, signal.SIGTERM))
    assert weights(train(house, tmp_path / "m", steps=6))


def noting(steps):
    """Return a function that learns from batches, and notes the steps."""

    def learn(student, pairs, loss_of, memory, precision, stream, processes):
        steps.append(stream[1])
        return gradients.learn(student, pairs, loss_of, memory, precision, stream, processes)

    return learn


def test_a_seed_repeats_its_bytes_and_another_gives_others(house, tmp_path):
    once, again = train(house, tmp_path / "a"), train(house, tmp_path / "b")
    assert weights(once) == weights(again)
    for name in LEFT:
        assert (once / name).read_bytes() == (again / name).read_bytes(), name
    assert weights(train(house, tmp_path / "c", seed=2)) != weights(once)


@pytest.mark.parametrize("stage", [{}, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_training_goes_on_to_the_same_bytes(house, tmp_path, monkeypatch, after, stage):
    how = {"steps": 6, "checkpoint_every": 2} | stage
    whole = train(house, tmp_path / "whole", **how)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(models, "learn", dying_at(after))
        train(house, tmp_path / "killed", **how)
    kept = {path.name for path in (tmp_path / "killed").iterdir()} - {NOTE}
    assert kept == ({"checkpoint.safetensors"} if after > 1 else set())
    resumed = train(house, tmp_path / "killed", **how)
    assert {path.name for path in resumed.iterdir()} == LEFT | {COST}
    for name in LEFT:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


def test_the_state_of_another_training_is_thrown_away(house, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(models, "learn", dying_at(2))
        train(house, tmp_path / "m", steps=4, seed=2)
    assert weights(train(house, tmp_path / "m", steps=4)) == weights(
        train(house, tmp_path / "fresh", steps=4)
    )


def test_a_command_killed_at_any_moment_ends_in_the_same_bytes(house, tmp_path):
    """SIGKILL, three times, whenever it comes: while a step is taken or a state is written."""
    how = {"steps": 60, "validation": validating(every=10)}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny.recipe(**how)))
    inputs = [house / name for name in ("bert/made.json", "q.arrow", "d.arrow", "lists.parquet")]
    dev = [house / name for name in ("candidates.parquet", "qrels.parquet", "q.arrow", "d.arrow")]
    words = ["train", tmp_path / "recipe.yaml", *inputs, tmp_path / "killed", "--validate", "dev"]
    words += [*dev, "--device", "cpu", "--name", "cell", "--checkpoint-every", 3]
    command = [sys.executable, "-m", "redistil", *map(str, words)]
    rng, state = np.random.default_rng(5), tmp_path / "killed" / "checkpoint.safetensors"
    for _ in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as job:
            while job.poll() is None and not (state.exists() and state.stat().st_mtime_ns > before):
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.05))
            job.kill()
        assert job.returncode == -9, "it ended before it was killed: give it more steps"
    run(*words)
    whole = tmp_path / "whole"
    run(*[whole if word == tmp_path / "killed" else word for word in words])
    assert {path.name for path in whole.iterdir()} == {path.name for path in state.parent.iterdir()}
    for path in whole.iterdir():
        if path.name != COST:
            assert path.read_bytes() == (state.parent / path.name).read_bytes(), path.name
