"""Ranks and scores of a run: which order they tell, by hand and by law."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.storage.orders import ORDER, Order


def counted(*rows):
    """Return an order that saw rows (query_id, doc_id, score, rank), and what it made of them."""
    names = ["query_id", "doc_id", "score", "rank"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["score"] = pa.array(columns["score"], pa.float32())
    order = Order()
    return order, order.add(pa.table(columns).sort_by(ORDER))


def test_falling_scores_contradict_nothing():
    order, rows = counted(("q", "a", 3, 1), ("q", "b", 2, 2), ("r", "c", 9, 1))
    order.refuse("run")
    assert (order.passages, order.inverted, order.tied) == (3, 0, 0) and order.said() == []
    assert rows["doc_id"].to_pylist() == ["a", "b", "c"]


def test_scores_that_rise_are_refused():
    order, _ = counted(("q", "a", 1, 1), ("q", "b", 2, 2), ("q", "c", 3, 3))
    with pytest.raises(BadTable, match=r"a.run: 2 of 3 .* 'q': rank 2 scores 2, rank 3 scores 3"):
        order.refuse("a.run")


def test_one_rank_for_all_says_nothing():
    order, _ = counted(("q", "a", 1, 0), ("q", "b", 2, 0))
    order.refuse("run")
    assert order.said() == []


def test_ties_fall_by_rank():
    order, rows = counted(("q", "a", 1, 2), ("q", "b", 1, 3), ("q", "z", 1, 1), ("q", "y", 2, 0))
    assert rows["doc_id"].to_pylist() == ["y", "z", "a", "b"]
    (told,) = order.said()
    assert told.startswith("2 of 4 passages have the score of the one before them: 2 ordered by")
    scores = rows["score"].to_numpy()
    assert (np.diff(scores) < 0).all() and abs(scores[1:] - 1).max() < 1e-6


def test_ties_without_ranks_stay():
    order, rows = counted(("q", "a", 1, 0), ("q", "b", 1, 0))
    assert rows["doc_id"].to_pylist() == ["b", "a"] and rows["score"].to_pylist() == [1, 1]
    assert "0 ordered by their rank, 1 by doc_id" in order.said()[0]


def test_a_step_never_passes_the_next_score():
    below = np.nextafter(np.float32(1), np.float32(0))
    _, rows = counted(("q", "a", 1, 1), ("q", "b", 1, 2), ("q", "c", below, 3))
    assert rows["doc_id"].to_pylist() == ["a", "b", "c"]
    assert (np.diff(rows["score"].to_numpy()) < 0).all()


passages = st.lists(
    st.tuples(st.sampled_from("qrs"), st.floats(-3, 3, width=16)), min_size=1, max_size=30
)


@given(passages)
def test_ranks_by_score_are_never_refused(drawn):
    """Ranks that follow from the scores, however ties fall, give a strict order back."""
    drawn = sorted(drawn, key=lambda row: (row[0], -row[1]))
    rows = [(query, f"d{n}", score, n) for n, (query, score) in enumerate(drawn)]
    order, found = counted(*rows)
    order.refuse("run")
    assert found["rank"].to_pylist() == sorted(found["rank"].to_pylist())
    for query in "qrs":
        is_its = np.array(found["query_id"].to_pylist()) == query
        assert (np.diff(found["score"].to_numpy()[is_its]) < 0).all()
