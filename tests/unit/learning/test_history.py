"""A training that is killed at any step and resumed ends in the same weights."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from redistil.learning.history import Checkpoint, History, Point, Validated
from redistil.learning.optimise import Validation, Watch, optimise, whole
from redistil.machine.energy import Note, Spent
from tests.made.loop import (
    SCHEDULE,
    STEPS,
    checkpoint_in,
    loss_on,
    network,
    trained,
    weights_of,
)


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[bytes, list[Point]]:
    return trained()


# --- the best weights -------------------------------------------------------------------------


def test_the_best_has_the_highest_mean():
    history = History()
    for step, values in enumerate([(0.9, 0.1), (0.4, 0.7), (0.7, 0.4), (0.2, 0.8)], 1):
        history.validations.append(Validated(step, dict(zip("ab", values, strict=True))))
    # the mean of each set's best so far would be highest, 0.85, at step 4
    assert history.best.step == 2 and history.best.mean == pytest.approx(0.55)


@pytest.mark.parametrize("dies", [1, 3, 4, 5, 8, 10])
def test_the_best_weights_survive_a_kill(dies, tmp_path):
    """The third validation, of step 6, is the best; whenever the kill comes, its weights stay."""
    values = {2: 0.1, 4: 0.5, 6: 0.9, 8: 0.3, 10: 0.2}
    model = network()
    good, seen = whole(loss_on(model)), []

    def measure():
        return {"dev": values[len(seen)]}

    def dying(step):
        if step + 1 == dies:
            raise KeyboardInterrupt
        return go(step)

    def go(step):
        del seen[step:]
        seen.append(step)
        return good(step)

    state = checkpoint_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        optimise(model, dying, SCHEDULE, state, Validation(2, measure, None))
    model = network()
    good = whole(loss_on(model))
    seen = list(range(dies // 2 * 2))
    history = optimise(model, go, SCHEDULE, state, Validation(2, measure, None))
    assert [one.values["dev"] for one in history.validations] == list(values.values())
    kept = [path.name for path in tmp_path.iterdir() if path.name.startswith("best")]
    assert kept == ["best-6.safetensors"]
    six = network()
    with pytest.raises(KeyboardInterrupt):
        optimise(six, until(6, whole(loss_on(six))), SCHEDULE)
    assert load_file(state.best_of(6))["0.weight"].tolist() == six[0].weight.tolist()


def until(step, learn):
    def dying(now):
        if now == step:
            raise KeyboardInterrupt
        return learn(now)

    return dying


# --- killed and resumed -----------------------------------------------------------------------


def killed_at(step: int, checkpoint: Checkpoint) -> None:
    """Train until the loss of `step` is asked for."""
    model = network()
    with pytest.raises(KeyboardInterrupt):
        optimise(model, until(step, whole(loss_on(model))), SCHEDULE, checkpoint)


def test_a_checkpoint_changes_nothing(uninterrupted, tmp_path):
    assert trained(checkpoint_in(tmp_path)) == uninterrupted
    checkpoint_in(tmp_path).done()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", [2, 5])  # before the first state, and after it
def test_what_was_lost_is_paid_for(uninterrupted, step, tmp_path):
    """The first state is written after three steps."""
    watch = Watch(note=Note.beside(tmp_path / "cost.json", "of this training"))
    watch.note.write(Spent(100.0, 70.0, None, 50.0, 2))
    model = network()
    with pytest.raises(KeyboardInterrupt):
        learn = until(step, whole(loss_on(model)))
        optimise(model, learn, SCHEDULE, checkpoint_in(tmp_path), watch=watch)
    model = network()
    learn = whole(loss_on(model))
    spent = optimise(model, learn, SCHEDULE, checkpoint_in(tmp_path), watch=watch).spent
    assert 100 < spent.seconds < 200 and spent.cpu_seconds > 50 and spent.interruptions == 4
    assert weights_of(model) == uninterrupted[0]


def test_a_damaged_state_is_not_gone_on_from(uninterrupted, tmp_path, caplog):
    state = checkpoint_in(tmp_path)
    killed_at(5, state)
    damaged = bytearray(state.path.read_bytes())
    damaged[-9] ^= 4
    state.path.write_bytes(damaged)
    model = network()
    optimise(model, whole(loss_on(model)), SCHEDULE, state)
    assert weights_of(model) == uninterrupted[0]
    assert f"{state.path} is damaged: the training begins anew" in caplog.text


@pytest.mark.parametrize("step", [0, 2, 3, 5, 9])
def test_killed_and_resumed_is_uninterrupted(uninterrupted, step, tmp_path):
    state = checkpoint_in(tmp_path)
    killed_at(step, state)
    assert state.path.exists() == (step >= 3)
    resumed = []
    model = network()
    good = loss_on(model)
    learning = whole(lambda s: resumed.append(s) or good(s))
    history = optimise(model, learning, SCHEDULE, state)
    assert (weights_of(model), history.points) == uninterrupted
    assert resumed == list(range(step // 3 * 3, STEPS))


def test_killed_many_times(uninterrupted, tmp_path):
    state = checkpoint_in(tmp_path)
    for step in (4, 4, 7, 9):
        killed_at(step, state)
    assert trained(state) == uninterrupted


def test_an_ended_training_is_not_repeated(uninterrupted, tmp_path):
    state = Checkpoint(tmp_path / "c.safetensors", STEPS, "this")
    assert trained(state) == uninterrupted
    model = network()

    def never(step: int) -> Tensor:
        raise AssertionError

    assert optimise(model, never, SCHEDULE, state).points == uninterrupted[1]
    assert weights_of(model) == uninterrupted[0]


def test_a_killed_training_resumes_exactly(uninterrupted, tmp_path):
    """SIGKILL, in the middle of a step: nothing gets to clean up."""
    script = f"""
    import os, signal, sys
    sys.path.insert(0, {str(Path(__file__).parents[3])!r})
    from tests.made import loop as here
    from pathlib import Path
    model = here.network()
    good = here.loss_on(model)
    def loss(step):
        if step == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return good(step)
    state = here.checkpoint_in(Path({str(tmp_path)!r}))
    here.optimise(model, here.whole(loss), here.SCHEDULE, state)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert ended.returncode == -9, ended.stderr
    state = checkpoint_in(tmp_path)
    model = network()
    restored = state.restore(model, torch.optim.AdamW(model.parameters(), fused=True))
    assert len(restored.points) == 6
    assert trained(state) == uninterrupted


def test_partial_checkpoints_are_removed(tmp_path):
    state = checkpoint_in(tmp_path)
    (tmp_path / ".checkpoint.safetensors.123.partial").write_bytes(b"half")
    (tmp_path / "recipe.yaml").write_text("kept")
    trained(state)
    state.done()
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_the_state_of_another_training_is_ignored(uninterrupted, tmp_path):
    other = network()
    other_loss = loss_on(other)
    theirs = checkpoint_in(tmp_path, "another")
    optimise(other, whole(lambda step: 2 * other_loss(step)), SCHEDULE, theirs)
    assert trained(checkpoint_in(tmp_path)) == uninterrupted


@pytest.mark.parametrize("keep", [0, 4, 40, 0.5, 0.99])
def test_half_a_checkpoint_is_ignored(uninterrupted, keep, tmp_path):
    state = checkpoint_in(tmp_path)
    killed_at(7, state)
    content = state.path.read_bytes()
    state.path.write_bytes(content[: keep if keep >= 1 else int(len(content) * keep)])
    assert trained(state) == uninterrupted


def test_another_checkpoint_is_ignored(uninterrupted, tmp_path):
    state = checkpoint_in(tmp_path)
    state.path.write_text("not a checkpoint" * 100)
    assert trained(state) == uninterrupted
