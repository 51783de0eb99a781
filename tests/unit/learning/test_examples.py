"""Steps show passages of each query's pool; teacher scores are joined on ids."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from redistil.learning.batches import rows_shown, step_rows
from redistil.learning.examples import Examples


def examples(pools: list[list[int]], teacher: bool = False, in_batch: bool = False) -> Examples:
    """Return examples whose query n has row 100 + n; passage rows are 1000, 1001, ...

    pools: the grades of each query's passages. A teacher's score is minus the passage row.
    """
    flat = np.array([grade for pool in pools for grade in pool], np.int32)
    rows = 1000 + np.arange(len(flat))
    return Examples(
        queries=100 + np.arange(len(pools)),
        offsets=np.concatenate([[0], np.cumsum([len(pool) for pool in pools])]).astype(np.int64),
        passages=rows,
        relevance=flat,
        teacher=-rows.astype(np.float32) if teacher else None,
        size=len(pools),
        in_batch=in_batch,
    )


POOLS = [[1, 0, 0, 0, 0], [0, 2, 1, 0], [1], [0, 0, 0, 0], [1, 3]]

pools = st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=7), min_size=1, max_size=6)


def shown_of(batch) -> list[list[int]]:
    """Return the passage rows of each list of a batch."""
    sizes = batch.mask.sum(1)
    return [part.tolist() for part in np.split(batch.passages, np.cumsum(sizes)[:-1])]


@given(pools, st.integers(1, 6), st.integers(1, 5), st.integers(0, 20))
def test_what_a_list_shows(pools, documents, size, step):
    given = examples(pools)
    batch = given.batch(size, documents, seed=1, step=step)
    rows = step_rows(given.size, size, 1, step)
    for row, shown in zip(rows, shown_of(batch), strict=True):
        pool = given.passages[given.offsets[row] : given.offsets[row + 1]].tolist()
        grades = dict(zip(pool, pools[row], strict=True))
        positives = [p for p in pool if grades[p] > 0]
        others = [p for p in pool if grades[p] <= 0]
        assert set(shown) <= set(pool) and len(set(shown)) == len(shown) <= documents
        if positives:
            # one positive, first; the others of the query are never its negatives
            assert shown[0] in positives and set(shown[1:]) <= set(others)
            assert len(shown) == 1 + min(documents - 1, len(others))
        else:
            assert len(shown) == min(documents, len(pool))


@given(pools, st.booleans(), st.integers(1, 6), st.integers(1, 5), st.integers(0, 20))
def test_flat_pairs_fill_the_mask(pools, teacher, documents, size, step):
    given = examples(pools, teacher)
    batch = given.batch(size, documents, seed=1, step=step)
    assert batch.mask.shape == batch.targets.shape
    assert batch.mask.shape[0] == size and batch.mask.shape[1] <= documents
    assert len(batch.queries) == len(batch.passages) == batch.mask.sum()
    # real passages first in every list; nothing but zeros behind them
    assert (np.sort(~batch.mask, axis=1) == ~batch.mask).all()
    assert (batch.targets[~batch.mask] == 0).all()
    values = given.teacher if teacher else given.relevance
    assert batch.targets[batch.mask].tolist() == values[batch.passages - 1000].tolist()
    rows = step_rows(given.size, size, 1, step)
    assert batch.queries.tolist() == np.repeat(given.queries[rows], batch.mask.sum(1)).tolist()
    assert batch.targets.dtype == np.float32


def test_a_teacher_is_shown_with_every_positive_of_a_list():
    batch = examples([[1, 0, 3, 0]], teacher=True).batch(1, 4, seed=1, step=0)
    assert batch.passages[0] in (1000, 1002)  # a relevant one is first
    assert sorted(batch.passages) == [1000, 1001, 1002, 1003]


# --- positives ------------------------------------------------------------------------------------


def test_relevant_passages_are_the_positives():
    """With a teacher a list shows all relevant ones; where there is none, the first stands in."""
    batch = examples([[0, 2, 1, 0]], teacher=True).batch(1, 4, seed=1, step=0)
    found = dict(zip(batch.passages.tolist(), batch.positive.tolist(), strict=True))
    assert found == {1000: False, 1001: True, 1002: True, 1003: False}
    unjudged = examples([[0, 0, 0]], teacher=True).batch(1, 2, seed=1, step=0)
    assert unjudged.positive.tolist() == [True, False]
    assert unjudged.passages[0] < unjudged.passages[1]  # the better one of a ranking


@given(pools, st.booleans(), st.integers(1, 6), st.integers(1, 5), st.integers(0, 20))
def test_every_list_has_a_positive(pools, in_batch, documents, size, step):
    given = examples(pools, in_batch=in_batch)
    batch = given.batch(size, documents, seed=1, step=step)
    grid = np.zeros(batch.mask.shape, bool)
    grid[batch.mask] = batch.positive
    assert grid[:, 0].all() and grid.sum() == size  # labels show one, and it is the first


def test_mean_scores_by_hand():
    batch = examples([[1, 0, 0], [2, 0, 0]]).batch(2, 3, seed=1, step=0)
    scores = np.array([4, 1, -3, 7, 0, 2], np.float32)
    assert batch.means(scores) == ((4 + 7) / 2, (1 - 3 + 0 + 2) / 4)
    alone = examples([[1]]).batch(1, 3, seed=1, step=0)
    assert alone.means(scores[:1]) == (4.0, None)


# --- what fixes a batch ---------------------------------------------------------------------------


def test_seed_and_step_alone_fix_batches():
    given = examples(POOLS)
    wanted = given.batch(3, 3, seed=1, step=7)
    for step in range(7):
        given.batch(3, 3, seed=2, step=step)
    again = given.batch(3, 3, seed=1, step=7)
    assert again.passages.tolist() == wanted.passages.tolist()
    assert again.queries.tolist() == wanted.queries.tolist()
    assert again.mask.tolist() == wanted.mask.tolist()


def test_other_steps_and_seeds_show_other_passages():
    given = examples([[1, *[0] * 30]])
    drawn = {
        tuple(given.batch(1, 4, seed, step).passages) for seed in range(3) for step in range(3)
    }
    assert len(drawn) == 9


def test_every_passage_has_its_turn():
    given = examples([[1, 0, 2, 0, 0, 0]])
    batches = [given.batch(1, 3, 1, step).passages for step in range(60)]
    firsts = np.array([batch[0] for batch in batches])
    assert set(np.concatenate(batches)) == set(given.passages)
    assert 15 < (firsts == 1000).sum() < 45  # positives take turns evenly


# --- of more than is shown ------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_unshown_examples_need_no_memory(size, batch, steps, seed):
    """A batch of the few that are held is the batch of all."""
    pools = [[1, 0, 0], [0, 1], [1, 0, 0, 0]] * 3
    whole = examples(pools[:size])
    numbers = rows_shown(size, batch, seed, steps)
    if numbers is None:
        assert batch * steps >= size
        return
    held = np.concatenate([np.arange(*whole.offsets[n : n + 2]) for n in numbers])
    sizes = np.diff(whole.offsets)[numbers]
    few = Examples(
        queries=whole.queries[numbers],
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        passages=whole.passages[held],
        relevance=whole.relevance[held],
        teacher=None,
        size=size,
        numbers=numbers,
    )
    assert len(numbers) == batch * steps
    for step in range(steps):
        ours, theirs = (each.batch(batch, 3, seed, step) for each in (few, whole))
        assert ours.queries.tolist() == theirs.queries.tolist()
        assert shown_of(ours) == shown_of(theirs)


@given(pools, st.integers(1, 6), st.integers(1, 5), st.integers(0, 20))
def test_in_batch_negatives_are_those_of_the_others(pools, documents, size, step):
    given = examples(pools, in_batch=True)
    alone = shown_of(examples(pools).batch(size, documents, seed=1, step=step))
    batch = given.batch(size, documents, seed=1, step=step)
    grades = dict(zip(given.passages.tolist(), given.relevance.tolist(), strict=True))
    every = {passage for shown in alone for passage in shown}
    targets = np.split(batch.targets[batch.mask], np.cumsum(batch.mask.sum(1))[:-1])
    rows = step_rows(given.size, size, 1, step)
    for row, own, shown, target in zip(rows, alone, shown_of(batch), targets, strict=True):
        pool = given.passages[given.offsets[row] : given.offsets[row + 1]].tolist()
        relevant = {passage for passage in pool if grades[passage] > 0}
        assert shown[: len(own)] == own and len(set(shown)) == len(shown)
        assert set(shown) == set(own) | (every - relevant)
        assert target.tolist() == [grades[p] for p in own] + [0] * (len(shown) - len(own))
