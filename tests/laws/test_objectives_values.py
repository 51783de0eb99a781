"""Laws of every objective: what it reads of labels and teachers, and where its value is least."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from redistil.learning.objectives import OBJECTIVES
from tests.laws.objectives import (
    BELOW_ZERO,
    EIGHTHS,
    LABELLED,
    MOVED_BY_A_SHIFT,
    OF_MARGINS,
    OF_SCORES,
    ORDINAL,
    batches,
    cases,
    examine,
    loss_and_gradient,
    objective,
)


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


@cases(*OF_MARGINS, *ORDINAL)
@examine
@given(batch=batches(), data=st.data())
def test_a_shift_of_the_teacher_for_a_query_is_invisible(name, options, batch, data):
    scores, targets, mask = batch
    rows = len(scores)
    shift = torch.tensor(data.draw(st.lists(EIGHTHS, min_size=rows, max_size=rows)))
    shifted = objective(name, options)(scores, targets + shift[:, None], mask)
    torch.testing.assert_close(shifted, objective(name, options)(*batch), atol=1e-5, rtol=1e-5)


@cases(*OF_SCORES)
def test_a_shift_of_the_teacher_is_seen_by_what_reads_whole_scores(name, options):
    targets = torch.tensor([[2.0, 1.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss, gradient = loss_and_gradient(name, options, targets, targets, mask)
    shifted, other = loss_and_gradient(name, options, targets, targets + 1, mask)
    assert shifted > loss and not torch.equal(gradient, other)


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
