"""The training loop: its rates, its gradients, and that a kill cannot be told from its weights."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from redistil.energy import Meter, Spent
from redistil.errors import UserError
from redistil.history import Checkpoint, History, Point, Validated
from redistil.optimise import Schedule, Validation, Watch, optimise, whole
from redistil.processes import Processes
from redistil.scoring import Room, learn

STEPS = 10
SCHEDULE = Schedule(
    steps=STEPS,
    warmup_steps=3,
    learning_rate=0.05,
    falls=True,
    epsilon=1e-8,
    weight_decay=0.01,
    clip_norm=1.0,
    seed=4,
)


def network() -> nn.Module:
    """A network with dropout, shared weights and a weight that no loss reaches."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 4))
    model.add_module("again", model[0])
    model.register_parameter("idle", nn.Parameter(torch.ones(2)))
    return model


def loss_on(model: nn.Module) -> Callable[[int], Tensor]:
    def loss(step: int) -> Tensor:
        inputs = torch.from_numpy(np.random.default_rng(step).normal(size=(5, 4))).float()
        hidden = inputs
        for layer in (model[0], model[1], model[2], model[3]):
            hidden = layer(hidden)
        return (hidden - inputs.flip(1)).square().mean()

    return loss


def weights_of(model: nn.Module) -> bytes:
    return save({name: tensor.clone() for name, tensor in model.state_dict().items()})


def trained(checkpoint: Checkpoint | None = None) -> tuple[bytes, list[Point]]:
    model = network()
    history = optimise(model, whole(loss_on(model)), SCHEDULE, checkpoint)
    return weights_of(model), history.points


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[bytes, list[Point]]:
    return trained()


# --- rates ------------------------------------------------------------------------------------


def test_rates_by_hand():
    """Warm-up 1/3, 2/3, 1 of the peak, then a line from the peak that would meet 0 at step 10."""
    rates = [SCHEDULE.rate(step) / SCHEDULE.learning_rate for step in range(STEPS)]
    wanted = [1 / 3, 2 / 3, 1, 7 / 7, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    assert rates == pytest.approx(wanted)


@pytest.mark.parametrize("warmup", [0, 1, 9, 10, 25])
def test_any_warm_up_has_rates(warmup):
    schedule = Schedule(10, warmup, 1.0, True, 1e-8, 0.0, 1.0, 0)
    rates = [schedule.rate(step) for step in range(10)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == (1 / warmup if warmup else 1)


def test_a_constant_rate_stays_after_its_warm_up():
    schedule = replace(SCHEDULE, falls=False)
    rates = [schedule.rate(step) / schedule.learning_rate for step in range(STEPS)]
    assert rates == pytest.approx([1 / 3, 2 / 3] + [1.0] * 8)
    assert replace(schedule, warmup_steps=0).rate(0) == schedule.learning_rate


def test_points_tell_what_was_done(uninterrupted):
    _, points = uninterrupted
    assert [point.step for point in points] == list(range(STEPS))
    assert [point.learning_rate for point in points] == [SCHEDULE.rate(s) for s in range(STEPS)]
    model = network().train()
    from redistil.seeds import derive

    torch.manual_seed(derive(SCHEDULE.seed, "dropout", 0))
    assert points[0].loss == loss_on(model)(0).item()


def test_one_step_by_hand():
    """AdamW's first step: every weight moves by the rate against the sign of its gradient."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(2.0)
    schedule = Schedule(1, 0, 0.1, True, 1e-12, 0.5, 100.0, 0)
    (point,) = optimise(model, whole(lambda step: 3 * model.weight.sum()), schedule).points
    assert model.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1)
    assert (point.loss, point.gradient_norm) == (6.0, pytest.approx(3.0))


def test_gradients_are_clipped_after_their_norm_is_told():
    model = nn.Linear(2, 1, bias=False)
    schedule = Schedule(1, 0, 0.1, True, 1e-12, 0.0, 1.0, 0)
    scale = torch.tensor([[30.0, 40.0]])
    (point,) = optimise(model, whole(lambda step: (model.weight * scale).sum()), schedule).points
    assert point.gradient_norm == pytest.approx(50.0)
    assert model.weight.grad.flatten().tolist() == pytest.approx([0.6, 0.8], rel=1e-4)


def test_without_a_limit_gradients_are_left_as_they_are():
    model = nn.Linear(2, 1, bias=False)
    schedule = Schedule(1, 0, 0.1, True, 1e-12, 0.0, None, 0)
    scale = torch.tensor([[30.0, 40.0]])
    (point,) = optimise(model, whole(lambda step: (model.weight * scale).sum()), schedule).points
    assert point.gradient_norm == pytest.approx(50.0)
    assert torch.equal(model.weight.grad, scale)


def test_training_learns(uninterrupted):
    losses = [point.loss for point in uninterrupted[1]]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_frozen_weights_stay():
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    optimise(model, whole(loss_on(model)), SCHEDULE)
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training_and_names_the_step(bad):
    model = network()
    good = loss_on(model)
    seen = []
    watch = Watch(batch=lambda step: f"q{step}", tell=lambda point: seen.append(point.step))
    spoilt = whole(lambda s: good(s) * (bad if s == 4 else 1))
    with pytest.raises(UserError, match="at step 4: loss (nan|inf).* on the queries q4;") as caught:
        optimise(model, spoilt, SCHEDULE, watch=watch)
    assert seen == [0, 1, 2, 3] and "\n" not in str(caught.value)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


def test_a_gradient_that_is_no_number_ends_the_training():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.zero_()
    with pytest.raises(UserError, match="step 0: loss 0.0, gradient norm (nan|inf)"):
        optimise(model, whole(lambda step: model.weight.abs().sqrt().sum()), SCHEDULE)


# --- in parts ---------------------------------------------------------------------------------


class Mean(nn.Module):
    """A student: the score of a pair is a product of the means of its embeddings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.words = nn.Embedding(20, 6)
        self.calls = 0

    def lengths_of(self, queries, passages):
        return [len(q) + len(p) for q, p in zip(queries, passages, strict=True)]

    def score(self, queries, passages):
        self.calls += 1
        sides = [
            torch.stack([self.words(torch.from_numpy(t).long()).mean(0) for t in texts])
            for texts in (queries, passages)
        ]
        return (sides[0] * sides[1]).sum(-1)


def texts(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(20, size=rng.integers(1, 9)).astype(np.int32) for _ in range(count)]


ROOMS = {
    "one pass": (999, 999),
    "passes held": (12, 999),
    "passes twice": (12, 20),
    "pairs": (1, 0),
}


def learnt(room: tuple[int, int], precision: str = "float32") -> tuple[Mean, Tensor]:
    def loss(scores: Tensor) -> Tensor:
        return (scores.view(3, 3).softmax(-1)[:, 0] - 0.2).square().sum()

    student, pairs = Mean(), (texts(1, 9), texts(2, 9))
    return student, learn(student, pairs, loss, Room(*room), precision, (1, 1), Processes("cpu"))


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS.keys())
def test_a_batch_in_parts_has_the_loss_and_gradient_of_the_whole(room):
    whole_batch, parts = Mean(), learnt(room)
    scores = whole_batch.score(texts(1, 9), texts(2, 9))
    loss = (scores.view(3, 3).softmax(-1)[:, 0] - 0.2).square().sum()
    loss.backward()
    torch.testing.assert_close(parts[1], loss.detach())
    torch.testing.assert_close(parts[0].words.weight.grad, whole_batch.words.weight.grad)


def test_a_step_beyond_its_room_is_scored_twice_and_no_other():
    calls = {name: learnt(room)[0].calls for name, room in ROOMS.items()}
    assert calls["one pass"] == 1 and calls["pairs"] == 18
    assert calls["passes twice"] == 2 * calls["passes held"]


class Dropping(Mean):
    """A student whose scores hang on its dropout."""

    def score(self, queries, passages):
        return nn.functional.dropout(super().score(queries, passages), 0.5)


def test_the_second_pass_draws_the_dropout_of_the_first():
    pairs, gradients = (texts(1, 9), texts(2, 9)), []
    for held in (0, 999):
        student = Dropping()
        learn(
            student,
            pairs,
            lambda s: s.square().sum(),
            Room(12, held),
            "float32",
            (1, 5),
            Processes("cpu"),
        )
        gradients.append(student.words.weight.grad)
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1])


# --- looked at from outside ---------------------------------------------------------------------


def validated(values, every=2, patience=None, checkpoint=None):
    model, told = network(), iter(values)
    validation = Validation(every, lambda: {"dev": next(told)}, patience)
    return model, optimise(model, whole(loss_on(model)), SCHEDULE, checkpoint, validation)


def test_a_training_is_looked_at_every_so_many_steps_and_at_its_end():
    _, history = validated([0.1, 0.2, 0.3, 0.4], every=3)
    assert [one.step for one in history.validations] == [3, 6, 9, 10]


def test_the_best_is_the_highest_current_mean_and_the_earliest_of_equals():
    history = History()
    for step, values in enumerate([(0.9, 0.1), (0.4, 0.7), (0.7, 0.4), (0.2, 0.8)], 1):
        history.validations.append(Validated(step, dict(zip("ab", values, strict=True))))
    # the mean of each set's best so far would be highest, 0.85, at step 4
    assert history.best.step == 2 and history.best.mean == pytest.approx(0.55)


def test_patience_ends_a_training_that_does_not_improve(uninterrupted):
    _, history = validated([0.5, 0.6, 0.6, 0.1, 0.7], patience=2)
    assert len(history.points) == 8 and history.best.step == 4
    assert history.points == uninterrupted[1][:8]


def test_a_validation_that_draws_numbers_changes_no_weight(uninterrupted):
    model = network()
    validation = Validation(1, lambda: {"dev": torch.rand(1).item() + model.eval().training}, None)
    optimise(model, whole(loss_on(model)), SCHEDULE, validation=validation)
    assert weights_of(model) == uninterrupted[0]


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


def checkpoint_in(folder: Path, fingerprint: str = "this") -> Checkpoint:
    return Checkpoint(folder / "checkpoint.safetensors", 3, fingerprint)


def killed_at(step: int, checkpoint: Checkpoint) -> None:
    """Train until the loss of `step` is asked for."""
    model = network()
    with pytest.raises(KeyboardInterrupt):
        optimise(model, until(step, whole(loss_on(model))), SCHEDULE, checkpoint)


def test_a_checkpoint_changes_nothing(uninterrupted, tmp_path):
    assert trained(checkpoint_in(tmp_path)) == uninterrupted
    checkpoint_in(tmp_path).done()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("step", "seconds"), [(2, 10.0), (5, 20.0)])
def test_what_was_spent_before_a_kill_is_counted_from_the_last_state(
    step, seconds, tmp_path, monkeypatch
):
    """A meter that always says ten seconds; the first state is written after three steps."""

    class Ten(Meter):
        def spent(self) -> Spent:
            return Spent(10.0, 7.0, None)

    monkeypatch.setattr("redistil.optimise.Meter", Ten)
    killed_at(step, checkpoint_in(tmp_path))
    model = network()
    history = optimise(model, whole(loss_on(model)), SCHEDULE, checkpoint_in(tmp_path))
    assert history.spent == Spent(seconds, 0.7 * seconds, None)


@pytest.mark.parametrize("said", [{"spent": '{"hours": 9.0}'}, {"spent": "[9.0]"}, {}])
def test_restored_from_a_state_of_another_version_the_cost_is_not_known(
    uninterrupted, said, tmp_path
):
    state = checkpoint_in(tmp_path)
    killed_at(5, state)
    with safe_open(state.path, framework="pt") as file:
        metadata = file.metadata()
    del metadata["spent"]
    state.path.write_bytes(save(load_file(state.path), metadata | said))
    model = network()
    history = optimise(model, whole(loss_on(model)), SCHEDULE, state)
    assert history.spent == Spent(None, None, None)
    assert weights_of(model) == uninterrupted[0]


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


def test_a_training_that_ended_before_its_weights_were_saved_is_not_done_again(
    uninterrupted, tmp_path
):
    state = Checkpoint(tmp_path / "c.safetensors", STEPS, "this")
    assert trained(state) == uninterrupted
    model = network()

    def never(step: int) -> Tensor:
        raise AssertionError

    assert optimise(model, never, SCHEDULE, state).points == uninterrupted[1]
    assert weights_of(model) == uninterrupted[0]


def test_killed_without_warning_and_resumed_is_uninterrupted(uninterrupted, tmp_path):
    """SIGKILL, in the middle of a step: nothing gets to clean up."""
    script = f"""
    import os, signal, sys
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import test_optimise as here
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


def test_what_a_kill_left_of_writing_a_checkpoint_goes_in_the_end(tmp_path):
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


def test_a_checkpoint_of_something_else_is_ignored(uninterrupted, tmp_path):
    state = checkpoint_in(tmp_path)
    state.path.write_text("not a checkpoint" * 100)
    assert trained(state) == uninterrupted


def test_dropout_does_not_depend_on_what_was_drawn_before(uninterrupted):
    torch.manual_seed(99)
    torch.rand(10)
    assert trained() == uninterrupted
