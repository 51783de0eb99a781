"""Runs of BM25 and of ensembles: the same candidates, scored by words or by several members."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import BadTable, UserError
from redistil.learning import ensembles
from redistil.stages import runs
from redistil.storage import digests, lineage
from redistil.storage.tables import RUN, ranked, top
from tests.made import tiny
from tests.made.first_stages import bm25_run

FIRST = {("q", "a"): 1.0, ("q", "b"): 4.0, ("q", "c"): 7.0, ("r", "a"): 0.25, ("r", "b"): -3.5}
SECOND = {("q", "a"): 30.1, ("q", "b"): 20.2, ("q", "c"): 10.3, ("r", "a"): 5.0, ("r", "b"): 5.0}
SPENT = {"seconds": 2.0, "processor_joules": 7.0, "gpu_joules": None, "device": "a", "threads": 1}


def run_file(path, scores):
    """Write {(query, passage): score} as a run."""
    pairs = list(scores)
    rows = ranked([q for q, _ in pairs], [d for _, d in pairs], list(scores.values()))
    RUN.write(rows, path, tiny.MADE)
    return path


def scores_of(path):
    rows = RUN.read(path).to_pylist()
    return {(row["query_id"], row["doc_id"]): row["score"] for row in rows}


@pytest.fixture
def members(tmp_path):
    named = (("first", FIRST), ("second", SECOND))
    return [run_file(tmp_path / f"{name}.parquet", scores) for name, scores in named]


def invoke(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output


# --- ensembles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 4, 1 << 16])
def test_a_fused_run_has_mean_scores(members, tmp_path, monkeypatch, piece):
    monkeypatch.setattr(ensembles, "PIECE", piece)
    runs.fuse(members, tmp_path / "mean.parquet", tiny.MADE)
    first, second = map(scores_of, members)
    mean = {pair: np.float32((float(first[pair]) + float(second[pair])) / 2) for pair in first}
    assert scores_of(tmp_path / "mean.parquet") == mean
    wanted = ranked([q for q, _ in mean], [d for _, d in mean], list(mean.values()))
    assert RUN.read(tmp_path / "mean.parquet") == wanted, "best first"


def test_a_member_twice_is_itself(members, tmp_path):
    runs.fuse([members[0]] * 2, tmp_path / "twice.parquet", tiny.MADE)
    assert RUN.read(tmp_path / "twice.parquet") == RUN.read(members[0])


@pytest.mark.parametrize("standardise", [None, "query"])
def test_the_order_of_members_is_irrelevant(members, tmp_path, standardise):
    third = run_file(tmp_path / "third.parquet", {pair: s**2 for pair, s in FIRST.items()})
    for name, order in (("one", [*members, third]), ("other", [third, *reversed(members)])):
        runs.fuse(order, tmp_path / f"{name}.parquet", tiny.MADE, standardise)
    assert RUN.read(tmp_path / "one.parquet") == RUN.read(tmp_path / "other.parquet")


def test_standardised_members_count_alike(members, tmp_path):
    """Of q both members are evenly spaced and opposed; of r the second does not vary."""
    runs.fuse(members, tmp_path / "mean.parquet", tiny.MADE, "query")
    wanted = {("q", "a"): 0, ("q", "b"): 0, ("q", "c"): 0, ("r", "a"): 0.5, ("r", "b"): -0.5}
    assert scores_of(tmp_path / "mean.parquet") == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("lacking", [("q", "b"), ("r", "a"), ("r", "b")])
@pytest.mark.parametrize("instead", [{}, {("r", "z"): 1.0}])
@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_members_of_other_candidates_are_refused(
    members, tmp_path, monkeypatch, lacking, instead, piece
):
    monkeypatch.setattr(ensembles, "PIECE", piece)
    others = {pair: score for pair, score in SECOND.items() if pair != lacking}
    run_file(members[1], others | instead)
    with pytest.raises(UserError, match="second.parquet and .*first.parquet scored different"):
        runs.fuse(members, tmp_path / "mean.parquet", tiny.MADE)
    assert not (tmp_path / "mean.parquet").exists()


def test_an_ensemble_costs_what_its_members_cost(members, tmp_path):
    out, cost = tmp_path / "mean.parquet", tmp_path / "mean.cost.json"
    digests.write_json(SPENT, tmp_path / "first.cost.json")
    cost.write_text("of an earlier run")
    runs.fuse(members, out, tiny.MADE)
    assert not cost.exists(), "one member does not tell"
    digests.write_json(SPENT | {"seconds": 3, "device": "b"}, tmp_path / "second.cost.json")
    runs.fuse(members, out, tiny.MADE)
    found = json.loads(cost.read_text())
    assert (found["seconds"], found["pairs"], found["pairs_per_second"]) == (5.0, 5, 1.0)
    assert (found["processor_joules"], found["gpu_joules"]) == (14.0, None)
    assert (found["device"], found["threads"]) == (["a", "b"], 1)


def test_the_command_fuses_runs(members, tmp_path):
    invoke("fuse", tmp_path / "mean.parquet", *members, "--standardise", "query", "--name", "m/t")
    runs.fuse(members, tmp_path / "direct.parquet", tiny.MADE, "query")
    assert scores_of(tmp_path / "mean.parquet") == scores_of(tmp_path / "direct.parquet")
    made = lineage.of(tmp_path / "mean.parquet")
    assert made.who == "fuse m/t" and made.settings == {"standardise": "query"}
    invoke("fuse", tmp_path / "plain.parquet", *members)
    assert lineage.of(tmp_path / "plain.parquet").settings == {}


# --- BM25 -----------------------------------------------------------------------------------------

PASSAGES = {"a": "tensor rank rank", "b": "rank", "c": "graph tensor tensor", "d": "table"}
HOW = {"k1": 1.2, "b": 0.5, "stemmer": "english"}


@pytest.fixture
def retrieved(tmp_path):
    """A first stage's BM25 run, with its queries and passages beside it."""
    return bm25_run(tmp_path, PASSAGES, {"q": "rank tensor", "r": "table"}, **HOW)


def test_bm25_reranks_by_the_first_stages_scores(retrieved, tmp_path):
    every = {(q, d): float(place) for q in "qr" for place, d in enumerate(PASSAGES)}
    candidates = run_file(tmp_path / "candidates.parquet", every)
    out = tmp_path / "run.parquet"
    files = candidates, tmp_path / "queries.parquet", tmp_path / "passages.parquet", out
    flags = "--depth 3 --k1 1.2 --b 0.5 --stemmer english --name bm25/test".split()
    invoke("rerank-bm25", *files, *flags)
    first_stage = scores_of(retrieved)
    kept = scores_of_rows(top(RUN.read(candidates), 3))
    assert scores_of(out) == {pair: first_stage.get(pair, 0.0) for pair in kept}
    assert RUN.read(out).filter(RUN.read(out)["rank"].to_numpy() == 1)["doc_id"].to_pylist() == [
        max((d for q, d in kept if q == query), key=lambda d: first_stage.get((query, d), 0.0))
        for query in "qr"
    ]
    assert lineage.of(out).settings == {"depth": 3} | HOW
    cost = json.loads((tmp_path / "run.cost.json").read_text())
    assert cost["pairs"] == 6 and cost["seconds"] > 0 and cost["machine"]


def scores_of_rows(rows):
    return {(row["query_id"], row["doc_id"]): row["score"] for row in rows.to_pylist()}


def test_bm25_refuses_unknown_candidates(retrieved, tmp_path):
    candidates = run_file(tmp_path / "candidates.parquet", {("q", "elsewhere"): 1.0})
    files = candidates, tmp_path / "queries.parquet", tmp_path / "passages.parquet"
    with pytest.raises(BadTable, match="first: 'elsewhere'"):
        runs.rerank_bm25(*files, tmp_path / "run.parquet", tiny.MADE, depth=3, **HOW)
    assert not (tmp_path / "run.parquet").exists()
