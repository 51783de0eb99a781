"""Laws of every objective. One that is added to the registry is examined from that moment."""

import inspect
import itertools
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from redistil.objectives import DISTILLED, LABELLED, OBJECTIVES, ORDINAL

# Some value for every option: all that a new objective has to be given here.
OPTIONS = {
    "hinge": [{"margin": 1.0}],
    "infonce": [{"temperature": 1.0}, {"temperature": 0.5}],
    "kl": [{"temperature": 1.0}, {"temperature": 2.0}],
    "adr-mse": [{"temperature": 1.0}, {"temperature": 0.5}],
    "weighted-ranknet": [{"weight": "signed"}, {"weight": "absolute"}],
}

CASES = [(name, options) for name in OBJECTIVES for options in OPTIONS.get(name, [{}])]

MOVED_BY_A_SHIFT = {"bce", "pointwise-mse"}  # the value of a score counts, not only margins
BELOW_ZERO = {("weighted-ranknet", "signed")}  # a pair that the teacher inverts is rewarded
FIRST_IS_POSITIVE = {"weighted-ranknet"}  # candidate 0 has a meaning

GARBAGE = [float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 17.0]


def cases(*names):
    chosen = [case for case in CASES if not names or case[0] in names]
    ids = ["-".join([name, *map(str, options.values())]) for name, options in chosen]
    return pytest.mark.parametrize(("name", "options"), chosen, ids=ids)


def objective(name, options):
    return partial(OBJECTIVES[name], **options)


def loss_and_gradient(name, options, scores, targets, mask) -> tuple[Tensor, Tensor]:
    scores = scores.clone().requires_grad_()
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        loss = objective(name, options)(scores, targets, mask)
        loss.backward()
    return loss.detach(), scores.grad


# Eighths in a small range: exact in float32, in bfloat16 and under shifts, and often tied.
EIGHTHS = st.integers(-24, 24).map(lambda n: n / 8)


@st.composite
def batches(draw, least=1) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, targets and mask; any candidate of any list may be missing."""
    shape = draw(st.integers(1, 3)), draw(st.integers(least, 5))
    cells = shape[0] * shape[1]

    def table(values):
        rows = draw(st.lists(values, min_size=cells, max_size=cells))
        return torch.tensor(rows).reshape(shape)

    mask = table(st.sampled_from([True, True, True, False]))
    return table(EIGHTHS), table(EIGHTHS), mask


# The same examples at every run; no example is worth a database in the working tree.
examine = settings(max_examples=15, deadline=None, derandomize=True, database=None)


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
        assert all(option.default is option.empty for option in options.values()), name
        assert all(set(case) == set(options) for case in OPTIONS.get(name, [{}])), name


def test_every_objective_says_what_it_reads():
    assert not LABELLED & DISTILLED
    assert OBJECTIVES.keys() - LABELLED - DISTILLED == {"ranknet"}
    assert LABELLED | DISTILLED | ORDINAL <= OBJECTIVES.keys()


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
    before = [table.clone() for table in batch]
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
    assert all(str(list(shape)) in str(refusal.value) for shape in shapes)


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


# What a value means


@cases()
def test_agreement_costs_less_than_contradiction(name, options):
    targets = torch.tensor([[2.0, 1.0, -1.0, -3.0]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    agreement = objective(name, options)(targets, targets, mask)
    assert agreement < objective(name, options)(-targets, targets, mask)


@cases(*(OBJECTIVES.keys() - MOVED_BY_A_SHIFT))
@examine
@given(batch=batches(), data=st.data())
def test_a_shift_of_a_lists_scores_is_invisible(name, options, batch, data):
    scores, targets, mask = batch
    rows = len(scores)
    shift = torch.tensor(data.draw(st.lists(EIGHTHS, min_size=rows, max_size=rows)))
    shifted = objective(name, options)(scores + shift[:, None], targets, mask)
    # Two sums of logarithms may differ by a rounding error that no tiny loss can hide.
    torch.testing.assert_close(shifted, objective(name, options)(*batch), atol=1e-5, rtol=1e-5)


@cases("margin-mse", "weighted-ranknet", "kl", *ORDINAL)
@examine
@given(batch=batches(), shift=EIGHTHS)
def test_a_shift_of_the_teacher_is_invisible(name, options, batch, shift):
    scores, targets, mask = batch
    shifted = objective(name, options)(scores, targets + shift, mask)
    torch.testing.assert_close(shifted, objective(name, options)(*batch), atol=1e-5, rtol=1e-5)


@cases(*LABELLED)
@examine
@given(batch=batches(), grade=st.integers(1, 3))
def test_a_label_is_positive_or_not(name, options, batch, grade):
    scores, targets, mask = batch
    binary = torch.where(targets > 0, grade, 0)
    assert torch.equal(
        objective(name, options)(scores, binary, mask), objective(name, options)(*batch)
    )


@cases(*ORDINAL)
@examine
@given(batch=batches())
def test_only_the_order_of_the_teacher_counts(name, options, batch):
    scores, targets, mask = batch
    stretched = torch.exp(targets) * 3 - 7
    assert torch.equal(
        objective(name, options)(scores, stretched, mask), objective(name, options)(*batch)
    )


@cases(*(OBJECTIVES.keys() - LABELLED - ORDINAL))
def test_the_others_do_read_more_than_the_order(name, options):
    scores, mask = torch.tensor([[1.0, 0.0, 3.0]]), torch.ones(1, 3, dtype=torch.bool)
    targets = torch.tensor([[3.0, 2.0, 1.0]])
    loss = objective(name, options)(scores, targets, mask)
    assert loss != objective(name, options)(scores, targets.exp(), mask)


@cases()
@examine
@given(batch=batches())
def test_no_loss_is_negative(name, options, batch):
    if (name, options.get("weight")) not in BELOW_ZERO:
        assert objective(name, options)(*batch) >= -1e-6  # rounding of a difference of logarithms


@cases("margin-mse", "pointwise-mse", "kl")
@examine
@given(batch=batches(), data=st.data())
def test_the_loss_is_zero_exactly_at_the_teacher(name, options, batch, data):
    _, targets, mask = batch
    loss, gradient = loss_and_gradient(name, options, targets, targets, mask)
    assert abs(loss) < 1e-6 and gradient.abs().max() < 1e-6

    row, column = (data.draw(st.integers(0, size - 1)) for size in mask.shape)
    comparable = mask[row, column] and (name == "pointwise-mse" or mask[row].sum() > 1)
    moved = targets.clone()
    moved[row, column] += 1.0
    away = objective(name, options)(moved, targets, mask)
    assert away > 1e-4 if comparable else abs(away) < 1e-6


@cases("ranknet", "adr-mse")
@pytest.mark.parametrize("teacher", [(3.0, 2.0, 1.0, 0.0), (0.5, 9.0, -4.0, 2.0)], ids=str)
def test_of_all_orders_the_teachers_is_the_best(name, options, teacher):
    teacher = torch.tensor([teacher])
    mask = torch.ones(1, 4, dtype=torch.bool)
    losses = {
        order: objective(name, options)(torch.tensor([order]), teacher, mask).item()
        for order in itertools.permutations((0.0, 1.0, 2.5, 3.0))
    }
    best = torch.tensor(min(losses, key=losses.get))
    assert torch.equal(best.argsort(), teacher[0].argsort())
    assert sorted(losses.values())[1] > min(losses.values())


@cases("adr-mse")
@examine
@given(batch=batches())
def test_adr_mse_vanishes_in_the_teachers_order_ties_included(name, options, batch):
    _, targets, mask = batch
    assert objective(name, options)(targets * 1000, targets, mask) < 1e-6
    assert objective(name, options)(-targets * 1000, targets, mask) >= 0


@cases("ranknet")
@examine
@given(batch=batches(least=2))
def test_ranknet_vanishes_in_the_teachers_order(name, options, batch):
    _, targets, mask = batch
    assert objective(name, options)(targets * 1000, targets, mask) < 1e-6


@cases("infonce")
@examine
@given(batch=batches())
def test_infonce_vanishes_when_the_positives_are_far_above(name, options, batch):
    _, targets, mask = batch
    scores = torch.where(targets > 0, 100.0, 0.0) + targets / 100
    assert abs(objective(name, options)(scores, targets, mask)) < 1e-4
