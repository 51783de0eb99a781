"""The training loop: its rates, its gradients, and what a look from outside may change."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from redistil.errors import UserError
from redistil.learning.history import Point
from redistil.learning.optimise import Group, Schedule, Validation, Watch, optimise, whole
from tests.made.loop import SCHEDULE, STEPS, loss_on, network, trained, weights_of


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
    schedule = Schedule(10, warmup, 1.0, "linear", 1e-8, 0.0, 1.0, 0)
    rates = [schedule.rate(step) for step in range(10)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == (1 / warmup if warmup else 1)


def test_a_constant_rate_stays():
    schedule = replace(SCHEDULE, shape="constant")
    rates = [schedule.rate(step) / schedule.learning_rate for step in range(STEPS)]
    assert rates == pytest.approx([1 / 3, 2 / 3] + [1.0] * 8)
    assert replace(schedule, warmup_steps=0).rate(0) == schedule.learning_rate


def test_a_cosine_falls_in_stairs():
    """After two steps of warm-up 8 remain: the cosine at 0, a quarter, a half, three quarters."""
    schedule = replace(SCHEDULE, shape="cosine", warmup_steps=2, stair=2)
    rates = [schedule.rate(step) / schedule.learning_rate for step in range(STEPS)]
    quarter, half, rest = (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2
    wanted = [0.5, 1, 1, 1, quarter, quarter, half, half, rest, rest]
    assert rates == pytest.approx(wanted)


def test_a_line_falls_in_stairs():
    schedule = replace(SCHEDULE, warmup_steps=0, stair=5)
    rates = [schedule.rate(step) / schedule.learning_rate for step in range(STEPS)]
    assert rates == pytest.approx([1.0] * 5 + [0.5] * 5)


def test_groups_have_their_rates():
    """AdamW's first step moves a weight by its rate, whatever its gradient."""
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 2.0)
    schedule = Schedule(1, 0, 0.1, "linear", 1e-12, 0.0, None, 0)
    groups = [Group([model.weight], 1.0), Group([model.bias], 0.25)]
    learn = whole(lambda step: model(torch.ones(1)).sum())
    history = optimise(model, learn, schedule, groups=groups)
    assert model.weight.item() == pytest.approx(1.9)
    assert model.bias.item() == pytest.approx(1.975)
    assert history.points[0].learning_rate == 0.1


@pytest.mark.parametrize(("not_before", "ends"), [(0, 3), (5, 5), (99, STEPS)])
def test_patience_waits_for_its_steps(not_before, ends):
    model = network()
    values = iter([0.9] + [0.1] * STEPS)
    look = Validation(1, lambda: {"dev": next(values)}, patience=2, not_before=not_before)
    history = optimise(model, whole(loss_on(model)), SCHEDULE, validation=look)
    assert len(history.points) == ends


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
    schedule = Schedule(1, 0, 0.1, "linear", 1e-12, 0.5, 100.0, 0)
    (point,) = optimise(model, whole(lambda step: 3 * model.weight.sum()), schedule).points
    assert model.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1)
    assert (point.loss, point.gradient_norm) == (6.0, pytest.approx(3.0))


def test_norms_are_taken_before_clipping():
    model = nn.Linear(2, 1, bias=False)
    schedule = Schedule(1, 0, 0.1, "linear", 1e-12, 0.0, 1.0, 0)
    scale = torch.tensor([[30.0, 40.0]])
    (point,) = optimise(model, whole(lambda step: (model.weight * scale).sum()), schedule).points
    assert point.gradient_norm == pytest.approx(50.0)
    assert model.weight.grad.flatten().tolist() == pytest.approx([0.6, 0.8], rel=1e-4)


def test_no_limit_clips_nothing():
    model = nn.Linear(2, 1, bias=False)
    schedule = Schedule(1, 0, 0.1, "linear", 1e-12, 0.0, None, 0)
    scale = torch.tensor([[30.0, 40.0]])
    (point,) = optimise(model, whole(lambda step: (model.weight * scale).sum()), schedule).points
    assert point.gradient_norm == pytest.approx(50.0)
    assert torch.equal(model.weight.grad, scale)


def test_training_learns(uninterrupted):
    losses = [point.loss for point in uninterrupted[1]]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_earlier_draws_change_no_dropout(uninterrupted):
    torch.manual_seed(99)
    torch.rand(10)
    assert trained() == uninterrupted


def test_frozen_weights_stay():
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    optimise(model, whole(loss_on(model)), SCHEDULE)
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_nan_loss_names_its_step(bad):
    model = network()
    good = loss_on(model)
    seen = []
    watch = Watch(batch=lambda step: f"q{step}", tell=lambda point: seen.append(point.step))
    spoilt = whole(lambda s: good(s) * (bad if s == 4 else 1))
    with pytest.raises(UserError, match="at step 4: loss (nan|inf).* on the queries q4;") as caught:
        optimise(model, spoilt, SCHEDULE, watch=watch)
    assert seen == [0, 1, 2, 3] and "\n" not in str(caught.value)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


def test_a_nan_gradient_ends_the_training():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.zero_()
    with pytest.raises(UserError, match="step 0: loss 0.0, gradient norm (nan|inf)"):
        optimise(model, whole(lambda step: model.weight.abs().sqrt().sum()), SCHEDULE)


# --- looked at from outside ---------------------------------------------------------------------


def validated(values, every=2, patience=None):
    model, told = network(), iter(values)
    validation = Validation(every, lambda: {"dev": next(told)}, patience)
    return model, optimise(model, whole(loss_on(model)), SCHEDULE, None, validation)


def test_validations_come_on_time():
    _, history = validated([0.1, 0.2, 0.3, 0.4], every=3)
    assert [one.step for one in history.validations] == [3, 6, 9, 10]


def test_patience_ends_a_training(uninterrupted):
    _, history = validated([0.5, 0.6, 0.6, 0.1, 0.7], patience=2)
    assert len(history.points) == 8 and history.best.step == 4
    assert history.points == uninterrupted[1][:8]


def test_a_validation_changes_no_weight(uninterrupted):
    model = network()
    validation = Validation(1, lambda: {"dev": torch.rand(1).item() + model.eval().training}, None)
    optimise(model, whole(loss_on(model)), SCHEDULE, validation=validation)
    assert weights_of(model) == uninterrupted[0]
