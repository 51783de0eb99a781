"""Pools with their teacher's scores, from files that are read in pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.storage import pools, tables
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES
from tests.made import tiny


def write(path, table, rows, given_order=False):
    columns = {name: [row[i] for row in rows] for i, name in enumerate(table.schema.names)}
    if given_order:
        with table.writer(path, tiny.MADE) as out:
            out(table.rows(columns))
    else:
        table.write(table.rows(columns), path, tiny.MADE)
    return path


def score(query_id, doc_id):
    return float(np.float32(hash_of(query_id) * 7.25 + hash_of(doc_id) * 0.5 - 3))


def hash_of(text):
    return int(text[1:])


def scores_of(folder, pairs):
    return write(
        folder / "scores.parquet", TEACHER_SCORES, [(*p, score(*p)) for p in sorted(pairs)]
    )


def flat(pieces):
    """Every pool as (query, [(passage, grade, score)])."""
    found = []
    for piece in pieces:
        docs, grades = piece.doc_id.to_pylist(), piece.relevance.tolist()
        scores = [None] * len(docs) if piece.scores is None else piece.scores.tolist()
        rows = list(zip(docs, grades, scores, strict=True))
        for n, query_id in enumerate(piece.query_id.to_pylist()):
            found.append((query_id, rows[piece.offsets[n] : piece.offsets[n + 1]]))
    return found


few = st.integers(0, 4)
sizes = st.sampled_from([2, 6, 1 << 17])


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.tuples(few, few, few), min_size=1),
    st.sets(st.tuples(few, few)),
    sizes,
    sizes,
)
def test_triples_have_their_pairs_scores(tmp_path_factory, drawn, more, group, piece):
    """Whatever else the teacher scored, and wherever pieces end."""
    tmp_path = tmp_path_factory.mktemp("pools")
    triples = [(f"q{q}", f"d{p}", f"d{n}") for q, p, n in drawn]
    pairs = {(q, d) for q, *docs in triples for d in docs} | {(f"q{q}", f"d{d}") for q, d in more}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP", group)
        patch.setattr(pools, "PIECE", piece)
        path = write(tmp_path / "t.parquet", TRIPLES, triples)
        found = flat(pools.pools(path, scores_of(tmp_path, pairs)))
        bare = flat(pools.pools(path))
    wanted = [(q, [(p, 1, score(q, p)), (n, 0, score(q, n))]) for q, p, n in triples]
    assert sorted(found) == sorted(wanted)
    assert sorted(bare) == sorted((q, [(p, 1, None), (n, 0, None)]) for q, p, n in triples)


@pytest.mark.parametrize("group", [2, 1 << 17])
def test_triples_in_another_order_are_refused(tmp_path, monkeypatch, group):
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    for queries in (["q1", "q0", "q2"], ["q0", "q2", "q1"]):
        triples = [(query_id, "d1", "d2") for query_id in queries]
        path = write(tmp_path / "t.parquet", TRIPLES, triples, given_order=True)
        with pytest.raises(BadTable, match="t.parquet is not sorted by query_id: sort it, or"):
            list(pools.pools(path))


@pytest.mark.parametrize("group", [2, 4, 1 << 17])
def test_lists_keep_their_order_and_grades(tmp_path, monkeypatch, group):
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    rows = [(f"q{q}", [f"d{(3 * q + i) % 7}" for i in range(q)], list(range(q))) for q in range(6)]
    path = write(tmp_path / "l.parquet", LISTS, rows)
    pairs = {(q, d) for q, docs, _ in rows for d in docs} | {("q9", "d1"), ("q0", "d1")}
    found = flat(pools.pools(path, scores_of(tmp_path, pairs)))
    assert found == [
        (q, [(d, g, score(q, d)) for d, g in zip(docs, grades, strict=True)])
        for q, docs, grades in rows
    ]


@pytest.mark.parametrize("group", [2, 1 << 17])
def test_pairs_without_scores_are_counted(tmp_path, monkeypatch, group):
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    path = write(tmp_path / "t.parquet", TRIPLES, [(f"q{i}", "d1", "d2") for i in range(5)])
    pairs = {(f"q{i}", f"d{j}") for i in range(5) for j in (1, 2)} - {("q1", "d2"), ("q4", "d1")}
    with pytest.raises(BadTable, match="no score for 2 of 10 pairs"):
        list(pools.pools(path, scores_of(tmp_path, pairs)))
    with pytest.raises(BadTable, match="no score for 10 of 10 pairs"):
        list(pools.pools(path, scores_of(tmp_path, {("q9", "d1")})))


def test_other_tables_are_refused(tmp_path):
    path = scores_of(tmp_path, {("q1", "d1")})
    with pytest.raises(BadTable, match="is not a table"):
        list(pools.pools(path))
