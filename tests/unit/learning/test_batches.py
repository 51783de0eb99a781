"""Order, groups and pairs of token ids: functions of their arguments, nothing lost or doubled."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistil.learning.batches import budget_on, by_budget, padded, step_rows
from redistil.learning.students.pairs import PairTemplate

sizes = st.integers(1, 40)


# --- steps ------------------------------------------------------------------------------------


@given(sizes, sizes, st.integers(0, 5), st.integers(1, 3))
def test_a_pass_covers_every_row_once(size, batch, seed, passes):
    """Whether or not the batch divides the rows; the rest of a pass opens the next batch."""
    steps = -(-passes * size // batch)
    drawn = np.concatenate([step_rows(size, batch, seed, step) for step in range(steps)])
    for start in range(0, passes * size, size):
        assert sorted(drawn[start : start + size]) == list(range(size))


@given(sizes, sizes, st.integers(0, 5), st.integers(0, 50))
def test_seed_and_step_alone_fix_batches(size, batch, seed, step):
    wanted = step_rows(size, batch, seed, step).tolist()
    for other in range(4):  # other steps and seeds in between
        step_rows(size, batch, seed + 1, other)
        step_rows(size, batch, seed, other)
    got = step_rows(size, batch, seed, step)
    assert got.tolist() == wanted
    assert got.shape == (batch,) and got.dtype == np.int64


def test_passes_and_seeds_differ_in_order():
    orders = {tuple(step_rows(30, 30, seed, step)) for seed in range(3) for step in range(3)}
    assert len(orders) == 9


# --- groups -----------------------------------------------------------------------------------

lengths = st.lists(st.integers(0, 30), max_size=40)


@given(lengths, st.integers(1, 100))
def test_groups_part_all_positions(lengths, budget):
    groups = [group.tolist() for group in by_budget(lengths, budget)]
    assert Counter(i for group in groups for i in group) == Counter(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget


@given(lengths, st.integers(1, 100))
def test_longest_first_and_ties_in_order(lengths, budget):
    order = [i for group in by_budget(lengths, budget) for i in group.tolist()]
    assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


def test_groups_by_hand():
    groups = [group.tolist() for group in by_budget([3, 9, 1, 4, 0], 8)]
    assert groups == [[1], [3, 0], [2, 4]]


def test_groups_fill_their_budget():
    assert [len(group) for group in by_budget([10] * 7, 30)] == [3, 3, 1]


def test_a_processor_reads_more_of_narrow_models():
    budgets = [budget_on("cpu", width) for width in (64, 128, 384, 768)]
    assert budgets == [8192, 4096, 2048, 2048]
    assert budget_on("cuda", 64) == budget_on("cuda", 768) == 65536


# --- pairs ------------------------------------------------------------------------------------

BERT = PairTemplate((101,), (102,), (102,), ((0,), 0, (0,), 1, (1,)), 0)
ROBERTA = PairTemplate((0,), (2, 2), (2,), None, 1)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def test_pairs_by_hand():
    queries, passages = [ids(7, 8), ids()], [ids(9), ids(4)]
    found, mask, types = BERT.join(queries, passages)
    assert found.tolist() == [[101, 7, 8, 102, 9, 102], [101, 102, 4, 102, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]
    assert types.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0]]
    assert found.dtype == mask.dtype == types.dtype == np.int64
    found, mask, types = ROBERTA.join(queries, passages)
    assert found.tolist() == [[0, 7, 8, 2, 2, 9, 2], [0, 2, 2, 4, 2, 1, 1]]
    assert mask.sum(1).tolist() == [7, 5] and types is None
    assert (BERT.special, ROBERTA.special) == (3, 4)
    assert BERT.join([ids()], [ids()])[0].tolist() == [[101, 102, 102]]


@pytest.mark.parametrize(
    ("caps", "wanted"),
    [
        ((9, 9, 99), (4, 6)),  # all of both
        ((2, 9, 99), (2, 6)),  # the query under its cap
        ((9, 3, 99), (4, 3)),  # the passage under its cap
        ((9, 9, 10), (4, 3)),  # the passage under what the pair leaves: 10 - 3 - 4
        ((2, 4, 10), (2, 4)),  # the cut query leaves more
        ((9, 9, 7), (4, 0)),  # nothing left
        ((9, 9, 5), (4, 0)),  # less than nothing left
        ((9, 9, 13), (4, 6)),  # just enough
    ],
)
def test_cuts_by_hand(caps, wanted):
    queries, passages = np.array([4, 4]), np.array([6, 0])
    q, p = BERT.kept(queries, passages, *caps)
    assert (q[0], p[0]) == wanted
    assert (q[1], p[1]) == (wanted[0], 0)


sides = st.lists(
    st.tuples(*[st.lists(st.integers(200, 300), max_size=20)] * 2), min_size=1, max_size=5
)


@given(sides, st.integers(1, 8), st.integers(1, 8), st.integers(11, 20))
def test_joined_pairs_keep_their_caps(pairs, q_cap, p_cap, cap):
    cap = max(cap, q_cap + ROBERTA.special)
    sizes = (np.array([len(side) for side in column]) for column in zip(*pairs, strict=True))
    q, p = ROBERTA.kept(*sizes, q_cap, p_cap, cap)
    assert (q + p + ROBERTA.special <= cap).all()
    cut = [(ids(*a[:m]), ids(*b[:n])) for (a, b), m, n in zip(pairs, q, p, strict=True)]
    found, mask, _ = ROBERTA.join(*zip(*cut, strict=True))
    for row, real, (query, passage) in zip(found, mask, cut, strict=True):
        length = int(real.sum())
        assert row[:length].tolist() == [0, *query, 2, 2, *passage, 2]
        assert len(query) <= q_cap and len(passage) <= p_cap
        assert (row[length:] == ROBERTA.pad).all() and not real[length:].any()


def test_padding_is_on_the_right():
    rows = [np.array([5, 6]), np.array([7]), np.array([], np.int64)]
    assert padded(rows, 9).tolist() == [[5, 6], [7, 9], [9, 9]]
    assert padded(rows, 9).dtype == np.int64
