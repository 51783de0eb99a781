"""Rank and score of a published ranking: ties fall by rank, contradictions are refused."""

import pyarrow as pa
import pytest

from redistil.errors import BadTable
from redistil.storage.tables import LISTS
from tests.unit.stages.test_teachers_imported import import_file, rows_of, scores_of


def test_ties_of_a_teacher_fall_by_rank(tmp_path):
    """The input tied.run: RankNet would train on no pair at all."""
    lines = [f"q1 Q0 {d} {n} 1.0 x" for n, d in enumerate("bca", 1)]
    scores, pairs, sifted = import_file(tmp_path, "\n".join(lines), "trec")
    assert rows_of(LISTS, pairs) == [("q1", ["b", "c", "a"], [0, 0, 0])]
    found = scores_of(scores)
    assert 1 == found["q1", "b"] > found["q1", "c"] > found["q1", "a"] > 1 - 1e-6
    assert "2 ordered by their rank" in sifted.said()[-1]


@pytest.mark.parametrize("form", ["trec", "ranking"])
def test_a_teacher_that_contradicts_itself_is_refused(tmp_path, form):
    """The input contra.run, spelled with the ids of the file."""
    rows = [("q1", d, float(n), n) for n, d in enumerate("bca", 1)]
    content = "\n".join(f"{q} Q0 {d} {n} {s} x" for q, d, s, n in rows)
    if form == "ranking":
        columns = dict(zip(("qid", "docno", "score", "rank"), zip(*rows, strict=True), strict=True))
        content = pa.table({name: list(values) for name, values in columns.items()})
    with pytest.raises(BadTable, match="2 of 3 .* query 'q1': rank 2 scores 2, rank 3 scores 3"):
        import_file(tmp_path, content, form)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_a_teacher_of_ties_alone_is_refused(tmp_path):
    lines = [f"{q} Q0 {d} 0 1.0 x" for q in ("q0", "q1") for d in "ab"]
    with pytest.raises(BadTable, match="all passages of a query have one score"):
        import_file(tmp_path, "\n".join(lines), "trec")
    single = "q0 Q0 a 0 1.0 x\nq1 Q0 a 0 1.0 x\nq1 Q0 b 0 0.0 x"
    (tmp_path / "published").unlink()
    import_file(tmp_path, single, "trec")


def test_a_list_without_ids_is_refused(tmp_path):
    content = pa.table({"query_id": ["q0", "q1"], "doc_ids": [["a"], None]})
    with pytest.raises(BadTable, match="1 rows have no doc_ids"):
        import_file(tmp_path, content, "id-lists")
