"""The gate of a teacher: values by hand, what it has to beat, and the files it leaves."""

import json
import math

import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import BadSettings
from redistil.stages.teachers import gate
from redistil.storage import lineage
from redistil.storage.tables import QRELS, RUN, ranked
from tests.made import tiny

SECOND = 1 / math.log2(3)  # nDCG of a relevant passage at rank 2
ORDERS = {"good": "abc", "fair": "bac", "bad": "bca"}  # a is relevant


@pytest.fixture
def house(tmp_path):
    """Qrels of two queries, and runs that answer one of them."""
    judged = {"query_id": ["q", "r"], "doc_id": ["a", "a"], "relevance": [1, 1]}
    QRELS.write(QRELS.rows(judged), tmp_path / "qrels.parquet", tiny.MADE)
    for name, order in ORDERS.items():
        rows = ranked(["q"] * 3, list(order), [3.0, 2.0, 1.0])
        RUN.write(rows, tmp_path / f"{name}.parquet", tiny.MADE)
    return tmp_path


def verdict(house, own, members=(), baselines=("fair",), depth=3):
    sets = [gate.ValidationSet("dev", house / f"{own}.parquet", house / "qrels.parquet", 1)]

    def runs(names):
        return gate.Runs.of((name, "dev", house / f"{name}.parquet") for name in names)

    beside = runs(members), runs(baselines)
    return gate.compare("mean", sets, *beside, measure="nDCG@10", depth=depth)


def test_values_count_every_judged_query(house):
    found = verdict(house, "good", members=["bad"])
    assert found.value == 0.5, "one query of two is answered"
    assert found.baselines == {"fair": pytest.approx(SECOND / 2)}
    assert found.members == {"bad": 0.25}


def test_passages_below_the_depth_are_unseen(house):
    assert verdict(house, "good", members=["bad"], depth=2).members == {"bad": 0.0}


def test_a_teacher_must_beat_every_first_stage(house):
    assert verdict(house, "good").passed
    assert not verdict(house, "fair").passed, "as good is not better"
    failed = verdict(house, "bad", baselines=["fair", "good"])
    assert failed.reason == "nDCG@10 0.250 on dev, and not above fair (0.315) and good (0.500)"


def test_an_ensemble_may_equal_its_best_member(house):
    assert verdict(house, "good", members=["good", "bad"]).passed
    failed = verdict(house, "fair", members=["bad", "good"], baselines=["bad"])
    assert failed.reason == "nDCG@10 0.315 on dev, and not above good (0.500)"


def invoke(house, own, *more):
    on = ["--on", "dev", house / f"{own}.parquet", house / "qrels.parquet"]
    beside = ["--baselines", "fair", "dev", house / "fair.parquet"]
    words = [house / "gate", *on, *beside, "--measure", "nDCG@10", "--depth", 3, *more]
    return CliRunner().invoke(cli, ["gate", *map(str, words), "--name", "mean"])


def test_the_command_leaves_verdict_and_record(house):
    result = invoke(house, "bad", "--relevant-from", 1)
    assert result.exit_code == 0, result.output
    found = json.loads((house / "gate/gate.json").read_text())
    assert (found["subject"], found["passed"], found["value"]) == ("mean", False, 0.25)
    made = lineage.of(house / "gate/gate.json")
    assert made.who == "gate mean"
    assert made.settings["baselines"] == ["fair", "dev"]


def test_a_failed_gate_is_warned_of(house, caplog):
    invoke(house, "bad", "--relevant-from", 1)
    assert caplog.messages == [
        "mean failed its gate: nDCG@10 0.250 on dev, and not above fair (0.315)"
    ]


def test_a_missing_run_is_refused(house):
    member = ["--members", "good", "other", house / "good.parquet"]
    result = invoke(house, "bad", "--relevant-from", 1, *member)
    assert isinstance(result.exception, BadSettings)
    assert "good has no run of dev" in str(result.exception)
    assert not (house / "gate").exists()
    twice = invoke(house, "bad", *["--relevant-from", 1] * 2)
    assert "got 2 of them and 1 --on" in str(twice.exception)
