"""Runs from elsewhere: taken whole, ranked anew, and refused in one sentence."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redistil.errors import BadSource, BadTable
from redistil.seeds import generator
from redistil.stages.candidates import imported
from redistil.storage import sql, trec
from redistil.storage.tables import RUN
from tests.made.first_stages import MADE, judge

LINES = ["q1 Q0 007 1 9.5 tag", "q1 Q0 d,2 2 9.25 tag", 'q10 Q0 d"3 1 1e-3 tag']


def import_file(tmp_path, source, drop=False, least=0.0, pairs=()):
    out, qrels = tmp_path / "out.parquet", judge(tmp_path, pairs)
    how = {"drop_identical": drop, "least_success": least}
    try:
        imported.import_run(source, qrels, out, MADE, **how)
    finally:
        qrels.unlink()
    return RUN.read(out)


def import_text(tmp_path, text, drop=False):
    (tmp_path / "a.run").write_text(text)
    return import_file(tmp_path, tmp_path / "a.run", drop)


@pytest.mark.parametrize("delimiter", [" ", "\t"])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_trec_run_is_taken_whole(tmp_path, delimiter, end):
    rows = import_text(tmp_path, "\n".join(LINES).replace(" ", delimiter) + end)
    found = [tuple(row.values()) for row in rows.to_pylist()]
    assert found == [
        ("q1", "007", 1, 9.5),
        ("q1", "d,2", 2, 9.25),
        ("q10", 'd"3', 1, pytest.approx(1e-3)),
    ]


def test_ranks_follow_from_scores(tmp_path):
    lines = ["q Q0 a 0 1.0 t", "q Q0 b 0 3.0 t", "q Q0 c 0 3.0 t"]
    rows = import_text(tmp_path, "\n".join(lines)).to_pylist()
    assert [(row["doc_id"], row["rank"]) for row in rows] == [("c", 1), ("b", 2), ("a", 3)]


def test_ties_keep_the_ranks_of_the_file(tmp_path, caplog):
    """The input tied.run: all scores are equal, and its ranks say the order."""
    lines = [f"1 Q0 d{d} {n} 1.0 x" for n, d in enumerate((3, 1, 2, 4), 1)]
    rows = import_text(tmp_path, "\n".join(reversed(lines))).to_pylist()
    assert [row["doc_id"] for row in rows] == ["d3", "d1", "d2", "d4"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4] and {row["score"] for row in rows} == {1}
    assert "3 of 4 passages have the score of the one before them: 3 ordered by" in caplog.text


def test_scores_that_rise_with_rank_are_refused(tmp_path):
    """The input contra.run: its lists would come out reversed."""
    lines = [f"1 Q0 d{d} {n} {n}.0 x" for n, d in enumerate((3, 1, 2, 4), 1)]
    with pytest.raises(BadTable, match="3 of 4 passages score less than one of a worse rank"):
        import_text(tmp_path, "\n".join(lines))
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


def test_other_words_than_ranks_are_no_ranks(tmp_path):
    rows = import_text(tmp_path, "q Q0 a first 1.0 t\nq Q0 b - 3.0 t").to_pylist()
    assert [row["doc_id"] for row in rows] == ["b", "a"]


def test_blanks_and_remarks_are_passed_over(tmp_path):
    """The input multi-blank.run, behind the head that ir_metadata writes."""
    head = "# ir_metadata.start\n# platform:\n#   hardware:\n#\n# ir_metadata.end\n"
    text = head + "train0  Q0  d0  1  9.5  x\n train0\tQ0 o1   2  8.5  x \r\n"
    rows = import_text(tmp_path, text).to_pylist()
    assert [(row["query_id"], row["doc_id"]) for row in rows] == [
        ("train0", "d0"),
        ("train0", "o1"),
    ]


def test_import_drops_identical_ids(tmp_path):
    lines = ["a Q0 a 1 2.0 t", "a Q0 b 2 1.0 t"]
    assert import_text(tmp_path, "\n".join(lines))["rank"].to_pylist() == [1, 2]
    rows = import_text(tmp_path, "\n".join(lines), drop=True).to_pylist()
    assert [(row["doc_id"], row["rank"]) for row in rows] == [("b", 1)]


def as_parquet(path, rows, names):
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    ranks = pa.array([0] * len(rows), pa.int64())
    pq.write_table(pa.table([ranks, *columns], names=["rank", *names]), path, row_group_size=2)
    return path


@pytest.mark.parametrize("names", [("qid", "docno", "score"), ("query_id", "doc_id", "score")])
def test_column_names_of_parquet_runs_vary(tmp_path, names):
    rows = [("q2", "b", 2.0), ("q1", "a", 0.5), ("q1", "é", 1.5)]
    got = import_file(tmp_path, as_parquet(tmp_path / "a.parquet", rows, names))
    wanted = [("q1", "é", 1, 1.5), ("q1", "a", 2, 0.5), ("q2", "b", 1, 2.0)]
    assert [tuple(row.values()) for row in got.to_pylist()] == wanted


def test_numeric_ids_of_parquet_become_strings(tmp_path):
    source = as_parquet(tmp_path / "a.parquet", [(7, 12, 1.0)], ["qid", "docid", "score"])
    assert import_file(tmp_path, source).to_pylist()[0]["doc_id"] == "12"


def test_rows_without_an_id_are_refused(tmp_path):
    rows = [("q", "a", 1.0), (None, "b", 0.5)]
    source = as_parquet(tmp_path / "a.parquet", rows, ["qid", "docno", "score"])
    with pytest.raises(BadTable, match="1 rows have no qid"):
        import_file(tmp_path, source)


def test_parquet_without_run_is_refused(tmp_path):
    source = as_parquet(tmp_path / "a.parquet", [("q", "d", 1.0)], ["qid", "title", "score"])
    with pytest.raises(BadTable, match="the column doc_id, got rank, qid, title, score"):
        import_file(tmp_path, source)


def test_import_sorts_runs_by_query(tmp_path, monkeypatch):
    """In pieces far smaller than the run, with queries in pieces of their own, gzipped."""
    monkeypatch.setattr(imported, "ROWS", 7)
    monkeypatch.setattr(trec, "BLOCK", 100)
    monkeypatch.setattr(sql, "BATCH", 5)
    rng = generator(2, "run")
    rows = [(f"q{q}", f"d{d}", float(rng.integers(5))) for q in range(20) for d in range(9)]
    lines = [f"{q} Q0 {d} 1 {score} tag" for q, d, score in rows]
    whole = import_text(tmp_path, "\n".join(lines)).to_pylist()
    assert len(whole) == len(rows)
    wanted = sorted(rows, key=lambda row: (row[0], -row[2], [-ord(c) for c in row[1]]))
    assert [(row["query_id"], row["doc_id"], row["score"]) for row in whole] == wanted
    rng.shuffle(lines)
    (tmp_path / "b.run.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert import_file(tmp_path, tmp_path / "b.run.gz").to_pylist() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.run", "b.run.gz", "out.parquet"]


def test_foreign_runs_are_refused(tmp_path):
    (tmp_path / "a.run").write_text("\n".join(LINES))
    import_file(tmp_path, tmp_path / "a.run", least=0.5, pairs=[("q1", "007"), ("q10", "x")])
    (tmp_path / "out.parquet").unlink()
    with pytest.raises(BadSource, match="0 of 1 judged queries"):
        import_file(tmp_path, tmp_path / "a.run", least=0.5, pairs=[("q1", 'd"3')])
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("01", "007"), r"none of its queries is judged \(first: 'q1'; in .*qrels.*: '01'\)"),
        (("q1", "7"), r"none of its passages is judged \(first: '007'; in .*qrels.*: '7'\)"),
    ],
)
def test_a_run_that_meets_no_judgement_is_refused(tmp_path, pair, said):
    """However little it must find: all values would be 0."""
    (tmp_path / "a.run").write_text("\n".join(LINES))
    with pytest.raises(BadTable, match=said):
        import_file(tmp_path, tmp_path / "a.run", pairs=[pair])
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


def test_ids_are_met_in_a_later_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "ROWS", 1)
    (tmp_path / "a.run").write_text("\n".join(LINES))
    assert len(import_file(tmp_path, tmp_path / "a.run", pairs=[("q10", 'd"3')])) == 3


MALFORMED = {
    "a column short": "q Q0 d 1 0.5",
    "a column more": "q Q0 d 1 0.5 tag more",
    "a word for a score": "q Q0 d 1 high tag",
    "a score that is no number": "q Q0 d 1 nan tag",
    "an endless score": "q Q0 d 1 inf tag",
    "nothing": "",
    "a pair twice": "q Q0 d 1 0.5 tag\nq Q0 d 2 0.4 tag",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_runs_are_refused(tmp_path, text):
    with pytest.raises(BadTable) as caught:
        import_text(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


def test_binary_files_are_refused(tmp_path):
    (tmp_path / "a.run").write_bytes(b"q Q0 \xff\xfe 1 0.5 tag\n")
    with pytest.raises(BadTable):
        import_file(tmp_path, tmp_path / "a.run")
