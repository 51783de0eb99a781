"""The studies of the papers, the whole way: the study files themselves, with an overlay on top.

The overlay says how much there is of each collection, where the teacher files lie, how long is
trained and, so that it takes minutes, which part of the grid is run. Ids, formats, protocol, rules
and commands are those of the full size. The whole grid, in hours:
`WHOLE_GRID=1 python -m pytest tests/pipeline/test_published_studies.py`.
"""

import csv
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from redistil.overlays import merged, overlay
from redistil.tables import LISTS, RUN, TRIPLES, VALIDATION
from tests.pipeline import publishers
from tests.pipeline.conftest import House, clone
from tests.unit.served import serving

ROOT = Path(__file__).parents[2]
WHOLE = "WHOLE_GRID" in os.environ
DATASETS = ["dev-small", "dl19", "arguana", "lotte-writing", "robust04"]
STEPS = {
    "training": {
        "checkpoint_every": 2,
        "log_every": 1,
        "validation": {"every": 2},
        "sizes": {size: {"steps": 4, "warmup_steps": 1} for size in ("base", "mini")},
    }
}
SMALLER = {  # of every kind of collection one
    "grid": {"datasets": DATASETS, "seeds": [662124363]},
    "groups": {
        "In domain": ["dev-small", "dl19"],
        "BEIR-13": ["arguana"],
        "LoTTE search": ["lotte-writing"],
        "Robust04": ["robust04"],
        "Out of domain": ["lotte-writing", "robust04"],
    },
    "table": ["dev-small", "dl19", "BEIR-13", "LoTTE search", "Robust04"],
    "datasets": {"msmarco-train": {"apart_from": DATASETS}},
    "training": {"validation": {"datasets": ["nano-arguana", "nano-scifact"]}},
}
STUDENTS = {"morand2026": ["ettin-17m", "roberta-base"], "morand2026-rerun": ["deberta-v3-base"]}

every_study = pytest.mark.parametrize("study", STUDENTS)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A clone with an overlay for each study, in a world that publishes everything in small."""
    root = tmp_path_factory.mktemp("published")
    collections = publishers.home(root / "irds")
    publishers.teachers(root / "files")
    with serving(publishers.checkpoints(root / "hub"), files=root / "files") as web:
        laid = merged(publishers.counted(collections), STEPS)
        laid = merged(laid, publishers.moved(root / "files", web.address))
        made = clone(root / "clone")
        for study, students in STUDENTS.items():
            part = {} if WHOLE else merged(SMALLER, {"grid": {"students": students}})
            (made.root / f"{study}.yaml").write_text(yaml.safe_dump(merged(laid, part)))
        nowhere = "http://127.0.0.1:9"  # nothing listens there: whatever is fetched is ours
        env = {"http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": "127.0.0.1"}
        env |= {"HF_ENDPOINT": web.address, "HF_HOME": str(root / "cache"), "HF_HUB_OFFLINE": "0"}
        env |= {"IR_DATASETS_HOME": str(root / "irds"), "IR_DATASETS_DL_TRIES": "1"}
        yield dataclasses.replace(made, env=env)


def flags(study: str) -> tuple[str, ...]:
    return "--config", f"study={study}", "--configfile", f"{study}.yaml"


def grid(study: str) -> dict[str, Any]:
    """Return the grid that was run: that of the study file, but for what is smaller."""
    found: dict[str, Any] = overlay(study, ROOT / "studies")["grid"]
    smaller = {} if WHOLE else SMALLER["grid"] | {"students": STUDENTS[study]}
    return found | smaller


def table(house: House, study: str, name: str) -> list[dict[str, str]]:
    path = house.root / f"results/{study}/report/tables/{name}.csv"
    return list(csv.DictReader(path.read_text().splitlines()))


@every_study
def test_it_runs_to_its_report_and_then_has_nothing_to_do(house: House, study: str):
    said = house.run("snakemake", *flags(study))
    assert "leaderboard:" in said and "is left out" not in said
    asked = grid(study)
    cells = [f"{s}/{loss}" for s in asked["students"] for loss in asked["losses"]]
    rows = table(house, study, "leaderboard")
    assert {row["system"] for row in rows} == {"random", asked["first_stage"], *cells}
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in asked["datasets"])
    assert (house.root / f"results/{study}/report/index.html").exists()
    main = (house.root / f"results/{study}/report/tables/paste/main.md").read_text()
    columns = overlay(study, ROOT / "studies")["table"] if WHOLE else SMALLER["table"]
    assert [cell.strip() for cell in main.splitlines()[0].strip("|").split("|")][2:] == columns
    assert house.planned(*flags(study)) == {}


@every_study
def test_every_cell_has_its_weights_its_validation_and_its_runs(house: House, study: str):
    results, asked = house.root / "results" / study, grid(study)
    for cell in (
        f"{s}/{x}/{n}" for s in asked["students"] for x in asked["losses"] for n in asked["seeds"]
    ):
        assert (results / f"models/{cell}/model.safetensors").exists()
        validated = VALIDATION.read(results / f"models/{cell}/validation.parquet")
        assert set(validated["step"].to_pylist()) == {2, 4}, cell
        for dataset in asked["datasets"]:
            run = RUN.read(results / f"runs/{cell}/{dataset}.parquet")
            first = house.root / f"data/candidates/{asked['first_stage']}/{dataset}.parquet"
            assert len(run) == len(RUN.read(first))


@every_study
def test_published_values_stand_beside_ours(house: House, study: str):
    asked, rows = grid(study), table(house, study, "published")
    columns = {"msmarco_dev", "trec2019", "robust04"}
    found = {(row["system"], row["column"]) for row in rows if row["column"] in columns}
    wanted = {f"{s}/{loss}" for s in asked["students"] for loss in asked["losses"]}
    assert found >= {(cell, column) for cell in wanted for column in columns}


def test_each_preset_trains_on_what_it_says(house: House):
    """Negatives are those of its sources; the positives of the re-run are the best ranked only."""
    data = house.root / "data"
    triples = TRIPLES.read(data / "negatives/msmarco-docpairs.parquet")
    assert len(triples) == len(publishers.TRAIN.qrels) * 20
    for name, positives in (("", {1, 2}), ("-first", {1})):
        lists = LISTS.read(data / f"negatives/msmarco-colbertv2{name}.parquet").to_pylist()
        assert {sum(row["relevances"]) for row in lists} == positives
        assert {row["query_id"] for row in lists} == set(publishers.TRAIN.queries)
    ordered = LISTS.read(data / "negatives/rankzephyr-colbert-50.parquet").to_pylist()
    assert {len(row["doc_ids"]) for row in ordered} == {50}
