"""Costs of the works of a chain: found by their records, and put together."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from redistil.storage import lineage, trace, works
from redistil.storage.tables import RUN
from tests.made.rankings import run_of

TRAINED = {"commit": "abc", "device": "a GPU", "seconds": 60.0, "pairs": 9}
TRAINED |= {"ended": "2026-11-30T10:00:00+00:00", "machine": {"torch": "2.13.0", "memory": "8"}}
RANKED = TRAINED | {"commit": "def", "seconds": 1.5, "ended": "2026-11-30T11:00:00+00:00"}
RUN_AT = Path("results/s/runs/m/hinge/1/d.parquet")


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """Values of a run of a model, neither of which tells a cost of its own."""
    monkeypatch.chdir(tmp_path)
    model = lineage.make("train", "m/hinge/1", {}, "formula", [])
    folder = Path("results/s/models/m/hinge/1")
    folder.mkdir(parents=True)
    lineage.record(model, folder)
    (folder / "cost.json").write_text(json.dumps(TRAINED))
    run = lineage.make("rerank", "m/hinge/1/d", {}, "formula", [model])
    RUN_AT.parent.mkdir(parents=True)
    RUN.write(run_of({"q": {"a": 1.0}}), RUN_AT, run)
    RUN_AT.with_suffix(".cost.json").write_text(json.dumps(RANKED))
    values = Path("values.parquet")
    RUN.write(run_of({"q": {"a": 1.0}}), values, lineage.make("evaluate", "m", {}, "f", [run]))
    return values


def found(values):
    costs = works.costs(values, lineage.of(values))
    return {cost["commit"]: cost for cost in costs.values()}


def test_costs_are_collected_along_the_chain(chain):
    assert found(chain) == {"abc": TRAINED, "def": RANKED}


def test_the_cost_of_another_version_is_nobodys(chain):
    other = lineage.make("rerank", "m/hinge/1/d", {"depth": 2}, "formula", [])
    RUN.write(run_of({"q": {"a": 1.0}}), RUN_AT, other)
    assert set(found(chain)) == {"abc"}


def test_works_are_told_together(chain):
    told = works.together([TRAINED, RANKED])
    assert told["seconds"] == 61.5 and told["pairs"] == 18
    assert told["commit"] == "abc; def" and told["device"] == "a GPU"
    assert told["torch"] == "2.13.0"
    assert told["ended"] == f"{TRAINED['ended']}; {RANKED['ended']}"


def test_a_file_without_a_cost_tells_those_behind_it(chain):
    said = "\n".join(trace.lines(chain, lambda command, settings: "formula"))
    assert "works behind it that tell their costs: 2" in said
    assert "seconds: 61.5" in said and "memory: 8" in said
    assert "work: commit def, device a GPU, seconds 1.5" in said


def test_times_are_those_of_snakemakes_record(chain):
    assert works.times(RUN_AT) == ""
    records = Path(".snakemake/metadata")
    records.mkdir(parents=True)
    mark = urlsafe_b64encode(str(RUN_AT).encode()).decode()
    (records / mark).write_text(json.dumps({"starttime": 0.0, "endtime": 61.4}))
    assert works.times(RUN_AT) == "1970-01-01T00:00:00+00:00 to 1970-01-01T00:01:01+00:00"
    assert works.times(RUN_AT.absolute()) == works.times(RUN_AT)
