"""Where a file comes from: its chain, its costs, and what has changed since."""

import json

import pytest

from redistil.storage import lineage, trace
from redistil.storage.tables import RUN
from tests.made.rankings import run_of


@pytest.fixture
def files(tmp_path):
    """A run made from a published file and a model."""
    published = tmp_path / "published.tsv"
    published.write_text("as it came")
    model = lineage.make("train", "m", {"seed": 1}, "formula-1", [lineage.of(published)])
    made = lineage.make("rerank", "m/d", {"depth": 5}, "formula-2", [model])
    run = tmp_path / "d.parquet"
    RUN.write(run_of({"q": {"a": 1.0}}), run, made)
    return run, published


def same(command, settings):
    return {"train": "formula-1", "rerank": "formula-2"}[command]


def test_a_chain_is_followed_to_its_source(files):
    run, published = files
    found = trace.steps(run, same)
    assert [step.made.command for step in found] == ["rerank", "train", "file"]
    assert [step.is_source for step in found] == [False, False, True]
    assert "Nothing has changed since." in list(trace.lines(run, same))


def test_changed_code_is_told(files):
    run, _ = files
    found = trace.steps(run, lambda command, settings: "formula-2")
    assert [bool(step.changed) for step in found] == [False, True, False]
    assert "formula-1 and is formula-2" in found[1].changed


def test_changed_sources_are_told(files):
    run, published = files
    published.write_text("as it is now")
    assert "1 of 3 have changed since." in list(trace.lines(run, same))
    published.unlink()  # what is gone cannot be said to differ
    assert "Nothing has changed since." in list(trace.lines(run, same))


def test_costs_are_told(files):
    run, _ = files
    cost = {"commit": "abc", "seconds": 1.5, "machine": {"torch": "2.13.0"}}
    run.with_suffix(".cost.json").write_text(json.dumps(cost))
    said = "\n".join(trace.lines(run, same))
    assert "commit: abc" in said and "torch: 2.13.0" in said
