"""A student that retrieves, from nothing to the report, through the rules, commands and code."""

import csv
import hashlib
import shutil

import pytest
import yaml

from redistil.storage import lineage
from redistil.storage.states import Stored
from redistil.storage.tables import RUN
from tests.pipeline.conftest import House, clone

CHANGE = {
    "least_success": 0.0,  # a student of four steps finds hardly anything
    "backbones": {"tiny-bert-unwarmed": {"build": {"vocabulary": 600, "width": 16}}},
    "grid": {
        "students": ["tiny-dot"],
        "losses": ["infonce"],
        "teachers": [],
        "baselines": [],
    },
    "retrieval": {"students": ["tiny-dot"], "depth": 20, "shard": 10000, "numbers": "float16"},
    "states": {"students": ["tiny-dot"], "shard": 10000, "numbers": "float16"},
    "training": {"sizes": {"tiny-dot": {"steps": 4, "warmup_steps": 1}}},
}
CELL = "tiny-dot/infonce/1"


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    house = clone(tmp_path_factory.mktemp("search"))
    house.study(CHANGE)
    house.run("snakemake", "--cores", "2")
    return house


def test_the_retriever_has_its_row(house):
    rows = {row["system"]: row for row in csv.DictReader(house.leaderboard().splitlines())}
    assert rows["retrieved/tiny-dot/infonce"]["kind"] == "retriever"
    assert rows["tiny-dot/infonce"]["kind"] == "student"
    page = (house.root / "results/miniature/report/index.html").read_text(encoding="utf-8")
    assert "retrieved/tiny-dot/infonce" in page and house.planned() == {}


def test_its_runs_are_as_deep_as_asked(house):
    run = RUN.read(house.root / f"results/miniature/runs/retrieved/{CELL}/pydocs-test.parquet")
    assert max(run["rank"].to_pylist()) == 20
    folder = house.root / f"results/miniature/vectors/{CELL}/pydocs"
    stored = Stored(folder / "0.arrow")
    assert stored.bytes_per_passage == 2 * 16 and not (folder / "1.arrow").exists()
    assert set(run["doc_id"].to_pylist()) <= set(stored.ids().to_pylist())
    cells = (house.root / "results/miniature/report/tables/cells.csv").read_text()
    assert "R@20" in cells


def test_re_ranking_reads_the_store_of_the_search(house):
    runs = house.root / "results/miniature/runs"
    files = runs / f"retrieved/{CELL}/pydocs-test.parquet", runs / f"{CELL}/pydocs-test.parquet"
    searched, reranked = map(lineage.of, files)
    store = f"embed {CELL}/pydocs/0"
    assert searched.inputs[store] == reranked.inputs[store]


def test_another_depth_remakes_the_search_alone(house):
    house.study({"retrieval": {"depth": 10}})
    planned = house.planned()
    assert planned["search"] == 1
    assert not planned["embed"] + planned["train"] + planned["rerank"]
    assert planned["evaluate"] > 1  # recall at the new depth


def test_another_study_takes_its_run_as_first_stage(house):
    house.run("snakemake", "trec")
    written = house.root / f"results/miniature/trec/retrieved/{CELL}/pydocs-test.run"
    brought = house.root / "data/downloads/mine.run"
    brought.parent.mkdir(exist_ok=True)
    shutil.copyfile(written, brought)
    study = {
        "like": "miniature",
        "title": "Re-ranking what a student found",
        "downloads": {"mine.run": {"sha256": hashlib.sha256(brought.read_bytes()).hexdigest()}},
        "first_stages": {"mine": {"import": "mine.run"}},
        "grid": {"first_stage": "mine", "baselines": ["bm25"]},
        "retrieval": None,
        "states": None,
    }
    (house.root / "studies/mine.yaml").write_text(yaml.safe_dump(study))
    house.run("snakemake", "--config", "study=mine")
    imported = RUN.read(house.root / "data/candidates/mine/pydocs-test.parquet")
    searched = RUN.read(house.root / f"results/miniature/runs/retrieved/{CELL}/pydocs-test.parquet")
    assert imported["doc_id"].to_pylist() == searched["doc_id"].to_pylist()
    table = house.root / "results/mine/report/tables/leaderboard.csv"
    rows = csv.DictReader(table.read_text().splitlines())
    kinds = {row["system"]: row["kind"] for row in rows}
    assert kinds["mine"] == kinds["bm25"] == "first stage"
    assert kinds["tiny-dot/infonce"] == "student"
