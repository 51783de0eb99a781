"""Re-ranked runs: the same candidates in another order."""

import json
from importlib.metadata import version

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.cli import cli
from redistil.errors import BadTable
from redistil.learning.scoring import score_pairs
from redistil.learning.students.cat import Cat
from redistil.machine.energy import Note, Spent
from redistil.machine.processes import Processes
from redistil.stages import runs
from redistil.storage import lineage
from redistil.storage.ragged import Ragged
from redistil.storage.tables import RUN, ranked
from tests.made import tiny

CPU = Processes("cpu")


def run_of(sizes):
    """Candidates d0, d1, ... of each query, best first."""
    rows = [(q, f"d{i}", 100.0 - i) for q, size in sizes.items() for i in range(size)]
    return ranked(*([row[i] for row in rows] for i in range(3)))


def candidates_of(run, depth=10**6):
    rows = run.to_pylist()
    return {(row["query_id"], row["doc_id"]) for row in rows if row["rank"] <= depth}


def orders(run):
    found = {}
    for row in sorted(run.to_pylist(), key=lambda row: row["rank"]):
        found.setdefault(row["query_id"], []).append(row["doc_id"])
    return found


# --- by models --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for family in ("bert", "modernbert"):
        backbone = tiny.checkpoint(folder / family, family)
        tiny.tokens(folder / f"{family}-q.arrow", backbone, tiny.texts(3, "q", 4))
        tiny.tokens(folder / f"{family}-d.arrow", backbone, tiny.texts(9, "d", 20))
        tiny.model(folder / f"{family}-model", backbone, seed=len(family))
    run = run_of({"q0": 9, "q1": 4, "q2": 1})
    RUN.write(run, folder / "candidates.parquet", tiny.MADE)
    return folder


def model(house, family="bert"):
    return runs.Model(*(house / f"{family}-{name}" for name in ("model", "q.arrow", "d.arrow")))


def rerank(house, out, chosen, depth=20):
    how = {"depth": depth, "precision": "float32", "processes": CPU}
    runs.rerank(house / "candidates.parquet", chosen, out, tiny.MADE, **how)
    return RUN.read(out)


def test_a_run_has_the_models_scores(house, tmp_path):
    run = rerank(house, tmp_path / "run.parquet", model(house))
    assert candidates_of(run) == candidates_of(RUN.read(house / "candidates.parquet"))
    student = Cat.load(house / "bert-model").eval()
    queries, passages = Ragged(house / "bert-q.arrow"), Ragged(house / "bert-d.arrow")
    for row in run.to_pylist():
        pair = queries[int(row["query_id"][1:])], passages[int(row["doc_id"][1:])]
        with torch.inference_mode():
            wanted = float(student.score([pair[0]], [pair[1]]))
        assert row["score"] == pytest.approx(wanted, rel=1e-3)


def test_ranks_follow_the_new_scores(house, tmp_path):
    run = rerank(house, tmp_path / "run.parquet", model(house)).to_pylist()
    for query_id in ("q0", "q1", "q2"):
        rows = [row for row in run if row["query_id"] == query_id]
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
    assert orders(RUN.read(house / "candidates.parquet")) != orders(
        RUN.read(tmp_path / "run.parquet")
    )


def test_depth_cuts_before_scoring(house, tmp_path):
    run = rerank(house, tmp_path / "run.parquet", model(house), depth=3)
    assert candidates_of(run) == candidates_of(RUN.read(house / "candidates.parquet"), depth=3)


@pytest.mark.parametrize("dies", [0, 1, 2])
def test_a_resumed_run_is_the_run(house, tmp_path, monkeypatch, dies):
    """Shards of one query each; what was finished is not scored again."""
    whole = rerank(house, tmp_path / "whole.parquet", model(house))
    monkeypatch.setattr(runs, "SHARD", 1)
    monkeypatch.setattr(runs, "LOOKED_UP", 5)
    scored = []

    def counting(student, queries, passages, rows, precision):
        if len(scored) == dies:
            scored.append("killed")
            raise KeyboardInterrupt
        scored.append(len(rows[0]))
        return score_pairs(student, queries, passages, rows, precision)

    with monkeypatch.context() as patch:
        patch.setattr("redistil.learning.scoring.score_pairs", counting)
        with pytest.raises(KeyboardInterrupt):
            rerank(house, tmp_path / "run.parquet", model(house))
        assert not (tmp_path / "run.parquet").exists()
    with monkeypatch.context() as patch:
        patch.setattr("redistil.learning.scoring.score_pairs", counting)
        run = rerank(house, tmp_path / "run.parquet", model(house))
    assert [size for size in scored if size != "killed"] == [9, 4, 1]
    assert run.drop(["score"]) == whole.drop(["score"])
    np.testing.assert_allclose(run["score"], whole["score"], atol=1e-6)
    left = [f"{name}.{kind}" for name in ("run", "whole") for kind in ("cost.json", "parquet")]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    cost = json.loads((tmp_path / "run.cost.json").read_text())
    assert cost["pairs"] == 14 and cost["seconds"] > 0


def test_costs_include_killed_jobs(house, tmp_path, monkeypatch):
    out = tmp_path / "run.parquet"
    rerank(house, out, model(house))
    first = out.read_bytes()
    note = Note.beside(tmp_path / "run.cost.json", tiny.MADE.fingerprint)
    note.write(Spent(100.0, 7.0, None))
    rerank(house, out, model(house))
    cost = json.loads((tmp_path / "run.cost.json").read_text())
    assert 100 < cost["seconds"] < 200 and cost["pairs"] == 14 and cost["interruptions"] == 1
    assert not note.path.exists()
    assert cost["pairs_per_second"] == pytest.approx(14 / cost["seconds"], abs=0.1)
    assert cost["commit"] and cost["machine"]["torch"] == version("torch")
    assert out.read_bytes() == first, "what it cost is not in the run"


def test_only_the_first_process_asks_git(house, tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "first", False)
    monkeypatch.setattr(runs, "commit", lambda: pytest.fail("another process asked"))
    how = {"depth": 20, "precision": "float32", "processes": CPU}
    runs.rerank(house / "candidates.parquet", model(house), tmp_path / "x", tiny.MADE, **how)


def test_a_candidate_without_tokens_is_refused(house, tmp_path):
    RUN.write(ranked(["q0"], ["d77"], [1.0]), tmp_path / "odd.parquet", tiny.MADE)
    how = {"depth": 5, "precision": "float32", "processes": CPU}
    with pytest.raises(BadTable, match="first: 'd77'"):
        runs.rerank(tmp_path / "odd.parquet", model(house), tmp_path / "o", tiny.MADE, **how)
    assert not (tmp_path / "o").exists()


def test_the_command_reranks_by_a_model(house, tmp_path):
    folder, *tokens, _ = model(house)
    words = ["rerank", house / "candidates.parquet", folder / "made.json", *tokens]
    words += [tmp_path / "run.parquet", *"--depth 5 --precision float32 --device cpu".split()]
    invoke(*words, "--name", "one/test")
    direct = rerank(house, tmp_path / "direct.parquet", model(house), depth=5)
    assert RUN.read(tmp_path / "run.parquet") == direct
    made = lineage.of(tmp_path / "run.parquet")
    assert made.who == "rerank one/test" and made.settings == {"depth": 5, "precision": "float32"}
    assert "train bert-model" in made.inputs


def invoke(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output


# --- by chance ----------------------------------------------------------------------------------

sizes = st.dictionaries(st.sampled_from(["q0", "q1", "q2", "q3"]), st.integers(1, 30), min_size=1)


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 9))
def test_a_shuffle_permutes_each_query(sizes, seed):
    run = runs.shuffled(run_of(sizes), seed)
    assert candidates_of(run) == candidates_of(run_of(sizes))
    assert run == runs.shuffled(run_of(sizes), seed)


@settings(max_examples=20, deadline=None)
@given(sizes)
def test_other_queries_change_no_shuffle(sizes):
    together = orders(runs.shuffled(run_of(sizes), 1))
    for query_id, size in sizes.items():
        assert orders(runs.shuffled(run_of({query_id: size}), 1)) == {query_id: together[query_id]}


def test_seeds_and_queries_shuffle_differently():
    run = run_of({"q0": 20, "q1": 20})
    first, second = orders(runs.shuffled(run, 1)), orders(runs.shuffled(run, 2))
    assert first != second and first["q0"] != first["q1"]
    assert first["q0"] != orders(run)["q0"]


def test_shuffles_are_uniform():
    firsts = [orders(runs.shuffled(run_of({"q": 5}), seed))["q"][0] for seed in range(400)]
    assert all(50 < firsts.count(f"d{i}") < 110 for i in range(5))  # 80 each, give or take


def test_the_command_shuffles_what_depth_leaves(tmp_path):
    run = run_of({"q0": 9, "q1": 2})
    RUN.write(run, tmp_path / "run.parquet", tiny.MADE)
    words = ["shuffle", str(tmp_path / "run.parquet"), str(tmp_path / "out.parquet")]
    result = CliRunner().invoke(cli, [*words, "--depth", "4", "--seed", "7"])
    assert result.exit_code == 0, result.output
    assert candidates_of(RUN.read(tmp_path / "out.parquet")) == candidates_of(run, depth=4)
    cut = run_of({"q0": 4, "q1": 2})
    assert RUN.read(tmp_path / "out.parquet") == runs.shuffled(cut, 7)
