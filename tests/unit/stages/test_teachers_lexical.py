"""BM25 as a teacher: the first stage's scores, pair by pair."""

import shlex

import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import BadTable
from redistil.stages.teachers import lexical
from redistil.storage import lineage, pools
from redistil.storage.tables import LISTS, RUN, TEACHER_SCORES, TRIPLES
from tests.made import tiny
from tests.made.first_stages import bm25_run

PASSAGES = tiny.texts(30, "d") | {"odd": "zebra graphs", "empty": ""}
QUERIES = tiny.texts(4, "q", 2) | {"stop": "the"}
HOW = {"k1": 1.2, "b": 0.5, "stemmer": "english"}
FLAGS = "--k1 1.2 --b 0.5 --stemmer english"


@pytest.fixture
def house(tmp_path):
    """Queries, passages, the first stage's run of them, triples and lists."""
    bm25_run(tmp_path, PASSAGES, QUERIES, depth=50, **HOW)
    triples = {"query_id": ["q1", "stop"], "positive_id": ["d0", "odd"], "negative_id": ["d1"] * 2}
    TRIPLES.write(TRIPLES.rows(triples), tmp_path / "triples.parquet", tiny.MADE)
    count = len(QUERIES) - 1
    every = [sorted(PASSAGES)] * count
    lists = {"query_id": sorted(QUERIES)[:count], "doc_ids": every}
    lists["relevances"] = [[0] * len(PASSAGES)] * count
    LISTS.write(LISTS.rows(lists), tmp_path / "lists.parquet", tiny.MADE)
    return tmp_path


def scored(house, *over):
    files = house / "queries.parquet", house / "passages.parquet", [house / name for name in over]
    lexical.score_bm25(*files, house / "scores.parquet", tiny.MADE, **HOW)
    return scores_of(TEACHER_SCORES, house / "scores.parquet")


def scores_of(table, path):
    rows = table.read(path).to_pylist()
    return {(row["query_id"], row["doc_id"]): row["score"] for row in rows}


@pytest.mark.parametrize("piece", [2, 1 << 18])
def test_scores_are_those_of_the_first_stage(house, monkeypatch, piece):
    monkeypatch.setattr(pools, "PIECE", piece)
    retrieved = scores_of(RUN, house / "bm25.parquet")
    assert len(retrieved) > 20
    found = scored(house, "lists.parquet", "triples.parquet")
    every = {(q, d) for q in QUERIES if q != "stop" for d in PASSAGES}
    every |= {("stop", "odd"), ("stop", "d1")}
    assert found == {pair: retrieved.get(pair, 0.0) for pair in sorted(every)}


def test_a_few_pairs_are_scored_as_among_all(house):
    few = scored(house, "triples.parquet")
    everything = scored(house, "lists.parquet", "triples.parquet")
    assert len(few) == 4
    assert few == {pair: everything[pair] for pair in few}


def test_pairs_of_unknown_passages_are_refused(house):
    rows = {"query_id": ["q1"], "positive_id": ["d0"], "negative_id": ["elsewhere"]}
    TRIPLES.write(TRIPLES.rows(rows), house / "triples.parquet", tiny.MADE)
    with pytest.raises(BadTable, match="passages.parquet \\(first: 'elsewhere'"):
        scored(house, "triples.parquet")
    assert not (house / "scores.parquet").exists()


def test_the_command_scores_by_bm25(house):
    words = ["score-bm25", house / "queries.parquet", house / "passages.parquet"]
    words += [house / "out.parquet", "--over", house / "triples.parquet", *shlex.split(FLAGS)]
    result = CliRunner().invoke(cli, [*map(str, words), "--name", "lexical"])
    assert result.exit_code == 0, result.output
    assert scores_of(TEACHER_SCORES, house / "out.parquet") == scored(house, "triples.parquet")
    made = lineage.of(house / "out.parquet")
    assert made.who == "score-bm25 lexical" and made.settings == HOW
