"""The benchmark of kills: which files it compares, and which costs it finds incomplete."""

import pytest

from benchmarks import kills
from redistil.machine.energy import Note, Spent
from redistil.storage import digests


def put(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_costs_are_not_compared(tmp_path):
    put(tmp_path, "data/teachers/t.parquet", "scores")
    put(tmp_path, "results/m/models/s/made.json", "a record")
    for name in ("models/s/cost.json", "runs/d.cost.json", "report/tables/costs.csv"):
        put(tmp_path, f"results/m/{name}")
    put(tmp_path, "results/m/report/tables/made.json", "digests of costs")
    made = kills.bytes_made(tmp_path)
    assert set(made) == {"data/teachers/t.parquet", "results/m/models/s/made.json"}
    other = made | {"data/teachers/t.parquet": b"other", "new": b""}
    assert kills.differing(made, other) == ["data/teachers/t.parquet", "new"]


@pytest.mark.parametrize(
    ("cost", "complete"),
    [
        ({"seconds": 12.0, "interruptions": 1}, True),
        ({"seconds": 9.0, "interruptions": 1}, False),
        ({"seconds": 12.0, "interruptions": 0}, False),
    ],
)
def test_a_cost_holds_what_was_noted(tmp_path, cost, complete):
    path = put(tmp_path, "results/m/models/s/cost.json")
    Note.beside(path, "its work").write(Spent(10.0))
    study = kills.Killed(tmp_path, [1.0], kills.notes(tmp_path))
    assert study.noted == {path: 10.0}
    digests.write_json(cost, path)
    assert study.unpaid() == ([] if complete else [path])


def test_a_study_is_begun_anew(tmp_path):
    put(tmp_path, "data/README.md", "kept")
    put(tmp_path, "data/corpora/x.parquet")
    put(tmp_path, ".snakemake/metadata/x")
    kills.begin_anew(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["README.md"]
