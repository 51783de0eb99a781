"""The crate of a file, as the crates' own library reads it."""

import json
from pathlib import Path

import pytest

from redistil.storage import crate, lineage
from redistil.storage.tables import RUN
from tests.made.rankings import run_of

rocrate = pytest.importorskip("rocrate.rocrate", reason="rocrate is not installed: make setup")


@pytest.fixture
def read(tmp_path, monkeypatch):
    """A run made from a model that was made from two files; the crate of the run, read."""
    monkeypatch.chdir(tmp_path)
    inside, gone = tmp_path / "a b.tsv", tmp_path / "gone.tsv"
    inside.write_text("as it came")
    gone.write_text("soon gone")
    sources = [lineage.of(inside.relative_to(tmp_path)), lineage.of(gone)]
    gone.unlink()
    model = lineage.make("train", "m", {"seed": 1}, "formula-1", sources)
    made = lineage.make("rerank", "m/d", {"depth": 5, "on": ["x"]}, "formula-2", [model])
    RUN.write(run_of({"q": {"a": 1.0}}), tmp_path / "d.parquet", made)
    cost = {"commit": "abc", "seconds": 1.5, "machine": {"torch": "2.13.0"}}
    (tmp_path / "d.cost.json").write_text(json.dumps(cost))

    def read(now="formula-2"):
        text = crate.text((tmp_path / "d.parquet").relative_to(tmp_path), lambda *asked: now)
        (tmp_path / "ro-crate-metadata.json").write_text(text)
        return rocrate.ROCrate(tmp_path)

    return read


def test_files_in_place_are_parts_with_digests(read):
    parts = {part.id: part for part in read().data_entities}
    assert set(parts) == {"d.parquet", "a%20b.tsv"}
    assert parts["a%20b.tsv"]["sha256"] == lineage.sha256(parts["a%20b.tsv"].source)


def test_actions_lead_from_a_file_to_its_sources(read):
    actions = {action["name"]: action for action in read().get_by_type("CreateAction")}
    last, first = actions["redistil rerank m/d"], actions["redistil train m"]
    assert last["result"].id == "d.parquet"
    assert first["result"] in last["object"]
    sources = [one for one in first["object"] if one.type != "PropertyValue"]
    assert {one["name"].rpartition("/")[2] for one in sources} == {"a b.tsv", "gone.tsv"}


def test_no_reference_leads_nowhere(read):
    graph = read().metadata.generate()["@graph"]
    named = {entity["@id"] for entity in graph}
    assert len(named) == len(graph)
    outside = {"https://w3id.org/ro/crate/1.1", crate.PROFILE}
    assert set(_references(graph)) <= named | outside


def _references(value):
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict) and value.keys() == {"@id"}:
        yield value["@id"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)


def test_settings_costs_and_changes_are_told(read):
    told = {(one["name"], one["value"]) for one in read().get_by_type("PropertyValue")}
    expected = {("seed", "1"), ("depth", "5"), ("on", '["x"]'), ("commit", "abc")}
    assert told >= expected | {("torch", "2.13.0"), ("seconds", "1.5")}
    train = read().dereference("#made-" + _training())
    assert train["description"] == "CHANGED SINCE: its code was formula-1 and is formula-2"
    assert "1 of 4 have changed since." in read().root_dataset["description"]


def test_changed_sources_are_told(read, tmp_path):
    (tmp_path / "a b.tsv").write_text("as it is now")
    assert "has other bytes" in read().dereference("a%20b.tsv")["description"]


def _training():
    """Return the fingerprint of the model's record."""
    chain = lineage.of(Path("d.parquet")).chain()
    return next(key for key, made in chain.items() if made.command == "train")
