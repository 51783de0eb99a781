"""Laws of every objective. One that is added to the registry is examined from that moment."""

import inspect

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from redistil.learning.objectives import OBJECTIVES
from redistil.study.objectives import DECLARED
from tests.laws.objectives import (
    EIGHTHS,
    FIRST_IS_POSITIVE,
    MOVED_BY_A_SHIFT,
    OPTIONS,
    batches,
    cases,
    examine,
    loss_and_gradient,
    objective,
)

GARBAGE = [float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 17.0]

# What the registry says of itself


def test_every_option_is_required_and_examined():
    for name, function in OBJECTIVES.items():
        first, options = [], {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                options[parameter.name] = parameter
            else:
                first.append(parameter.name)
        assert first == ["scores", "targets", "mask"], name
        for option in options.values():
            assert option.default is option.empty, name
        for case in OPTIONS.get(name, [{}]):
            assert set(case) == set(options), name


def test_every_objective_says_what_it_reads():
    assert OBJECTIVES.keys() == DECLARED.keys()
    for loss in DECLARED.values():
        assert loss.targets


# Padding, order, size


@cases()
@examine
@given(batch=batches(), garbage=st.lists(st.sampled_from(GARBAGE), min_size=2, max_size=2))
def test_what_lies_under_the_mask_cannot_be_seen(name, options, batch, garbage):
    scores, targets, mask = batch
    clean = loss_and_gradient(name, options, *batch)
    soiled = loss_and_gradient(
        name,
        options,
        scores.masked_fill(~mask, garbage[0]),
        targets.masked_fill(~mask, garbage[1]),
        mask,
    )
    assert torch.equal(clean[0], soiled[0])
    assert torch.equal(clean[1], soiled[1])


@cases()
@examine
@given(batch=batches(), columns=st.integers(1, 3), garbage=st.sampled_from(GARBAGE))
def test_padding_cannot_move_the_loss(name, options, batch, columns, garbage):
    loss, gradient = loss_and_gradient(name, options, *batch)
    scores, targets, mask = (
        torch.nn.functional.pad(table, (0, columns), value=value)
        for table, value in zip(batch, (garbage, garbage, False), strict=True)
    )
    padded_loss, padded_gradient = loss_and_gradient(name, options, scores, targets, mask)
    torch.testing.assert_close(padded_loss, loss)
    torch.testing.assert_close(padded_gradient[:, :-columns], gradient)
    assert not padded_gradient[:, -columns:].any()


@cases()
@examine
@given(batch=batches())
def test_an_empty_list_beside_the_others_cannot_move_the_loss(name, options, batch):
    longer = [torch.cat([table, torch.zeros_like(table[:1])]) for table in batch]
    with_empty, alone = objective(name, options)(*longer), objective(name, options)(*batch)
    torch.testing.assert_close(with_empty, alone)


@cases()
@examine
@given(batch=batches(), data=st.data())
def test_order_of_candidates_is_irrelevant(name, options, batch, data):
    fixed = int(name in FIRST_IS_POSITIVE)
    others = data.draw(st.permutations(range(fixed, batch[0].shape[1])))
    order = torch.tensor([*range(fixed), *others])
    loss, gradient = loss_and_gradient(name, options, *batch)
    moved_loss, moved = loss_and_gradient(name, options, *(table[:, order] for table in batch))
    torch.testing.assert_close(moved_loss, loss)
    torch.testing.assert_close(moved, gradient[:, order])


@cases()
@examine
@given(batch=batches(), data=st.data())
def test_order_of_queries_is_irrelevant(name, options, batch, data):
    order = torch.tensor(data.draw(st.permutations(range(len(batch[0])))))
    moved = objective(name, options)(*(table[order] for table in batch))
    torch.testing.assert_close(moved, objective(name, options)(*batch))


@cases()
@examine
@given(batch=batches())
def test_a_batch_twice_over_is_the_batch(name, options, batch):
    """A mean and not a sum: the learning rate does not hang on the batch size."""
    twice = objective(name, options)(*(torch.cat([table, table]) for table in batch))
    torch.testing.assert_close(twice, objective(name, options)(*batch))


@cases()
@examine
@given(batch=batches())
def test_gradients_reach_only_real_candidates(name, options, batch):
    _, gradient = loss_and_gradient(name, options, *batch)
    assert gradient.isfinite().all()
    assert not gradient[~batch[2]].any()


@cases()
@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (0, 3), (2, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("garbage", [0.0, float("nan")])
def test_an_empty_batch_is_zero_with_a_zero_gradient(name, options, shape, garbage):
    table = torch.full(shape, garbage)
    loss, gradient = loss_and_gradient(
        name, options, table, table, torch.zeros(shape, dtype=torch.bool)
    )
    assert loss == 0
    assert torch.equal(gradient, torch.zeros(shape))


@cases()
@examine
@given(scores=st.lists(EIGHTHS, min_size=1, max_size=4), target=EIGHTHS)
def test_lists_of_one_are_finite_and_compare_nothing(name, options, scores, target):
    scores = torch.tensor(scores)[:, None]
    mask = torch.ones_like(scores, dtype=torch.bool)
    batch = scores, torch.full_like(scores, target), mask
    loss, gradient = loss_and_gradient(name, options, *batch)
    assert loss.isfinite() and gradient.isfinite().all()
    if name not in MOVED_BY_A_SHIFT:
        assert loss == 0 and not gradient.any()


@cases()
def test_far_apart_scores_stay_finite(name, options):
    scores = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    mask = torch.ones(2, 3, dtype=torch.bool)
    loss, gradient = loss_and_gradient(name, options, scores, targets, mask)
    assert loss.isfinite() and gradient.isfinite().all()


# Precision, purity, refusals


@cases()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@examine
@given(batch=batches())
def test_other_precisions_are_computed_in_float32(name, options, dtype, batch):
    scores, targets, mask = batch  # eighths are exact in all of them
    loss, gradient = loss_and_gradient(name, options, *batch)
    other_loss, other = loss_and_gradient(name, options, scores.to(dtype), targets.to(dtype), mask)
    assert other_loss.dtype == torch.float32 and other.dtype == dtype
    assert torch.equal(other_loss, loss)
    torch.testing.assert_close(other, gradient.to(dtype))


@cases()
@examine
@given(batch=batches())
def test_autocast_changes_nothing(name, options, batch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = objective(name, options)(*batch)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, objective(name, options)(*batch))


@cases()
@examine
@given(batch=batches())
def test_arguments_are_left_as_they_were(name, options, batch):
    before = tuple(map(torch.clone, batch))
    first = objective(name, options)(*batch)
    assert all(map(torch.equal, batch, before))
    assert torch.equal(first, objective(name, options)(*batch))


@cases()
def test_the_loss_is_a_scalar_and_targets_are_constants(name, options):
    scores = torch.tensor([[0.0, 2.0, 1.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    loss = objective(name, options)(scores, targets, torch.ones(1, 3, dtype=torch.bool))
    assert loss.shape == () and loss.dtype == torch.float32
    loss.backward()
    assert targets.grad is None
    assert scores.grad.any()


@cases(*(OBJECTIVES.keys() - {"hinge"}))  # at its corners a step along a subgradient may not pay
@examine
@given(batch=batches())
def test_a_step_down_the_gradient_lowers_the_loss(name, options, batch):
    scores, targets, mask = batch
    loss, gradient = loss_and_gradient(name, options, *batch)
    steepness = gradient.norm()
    assume(steepness > 1e-2)  # else the gain of so short a step drowns in float32
    after = objective(name, options)(scores - gradient / steepness / 128, targets, mask)
    assert after < loss


@cases()
@pytest.mark.parametrize(
    "shapes",
    [((2, 1), (2, 2), (2, 2)), ((2, 2), (2,), (2, 2)), ((2, 2), (2, 2), (2, 1)), ((2,),) * 3],
    ids=["scores", "targets", "mask", "flat"],
)
def test_shapes_that_would_broadcast_are_refused(name, options, shapes):
    scores, targets, mask = map(torch.ones, shapes)
    with pytest.raises(ValueError) as refusal:
        objective(name, options)(scores, targets, mask.bool())
    for shape in shapes:
        assert str(list(shape)) in str(refusal.value)


@cases()
def test_a_mask_of_numbers_is_refused(name, options):
    with pytest.raises(ValueError, match="bool"):
        objective(name, options)(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2).long())


@cases(*(OPTIONS.keys() - {"weighted-ranknet"}))
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_options_out_of_range_are_refused(name, options, value):
    batch = torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=next(iter(options))):
        objective(name, dict.fromkeys(options, value))(*batch)
