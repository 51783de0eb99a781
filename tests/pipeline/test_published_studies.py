"""The studies of the papers, the whole way: `like` each of them one that says only what is smaller.

It says how much there is of each collection, where the teacher files lie, how long is trained and,
so that it takes minutes, which part of the grid is run. Ids, formats, protocol, rules and commands
are those of the full size. Every student on every dataset, with one loss, by hand:
`EVERY_DATASET=1 python -m pytest tests/pipeline/test_published_studies.py`.
"""

import csv
import dataclasses
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from redistil.storage.tables import LISTS, QUERIES, RUN, TRIPLES, VALIDATION, texts
from redistil.study.architectures import ARCHITECTURES
from redistil.study.overlays import merged, overlay
from tests.made.served import serving
from tests.pipeline import publishers
from tests.pipeline.conftest import House, clone

ROOT = Path(__file__).parents[2]
WHOLE = "EVERY_DATASET" in os.environ
STUDIES = {  # of each, the part of its grid that is run: together, every kind of collection
    "morand2026": {
        "students": ["ettin-17m"],
        "datasets": ["dev-small", "lotte-writing"],
        "seeds": [662124363],
    },
    "morand2026-rerun": {"datasets": ["robust04"], "seeds": [662124363]},
    "rank-distillm": {"datasets": ["dl19", "nfcorpus"]},
    "hofstatter2020": {
        "losses": ["margin-mse-t1", "margin-mse-t2", "weighted-ranknet-t1", "pointwise-mse-t1"],
        "fewer_students": {
            "margin-mse-t2": ["distilbert-dot"],
            "weighted-ranknet-t1": ["colbert"],
            "pointwise-mse-t1": ["tk"],
        },
        "datasets": ["dl19", "dev-49k"],
    },
}
CHECKED = "published-checkpoints"  # it trains nothing
VALIDATED = ["nano-arguana"]
DEV_SETS = ("dev-49k", "dev-held-out", "dev-small")


def shorter(study: dict[str, Any]) -> dict[str, Any]:
    """Return what lets the trainings of a study take seconds: steps, and what goes by them."""
    training = study["training"]
    if training is None:
        return {}
    sizes = {
        name: {
            "steps": dict.fromkeys(size["steps"], 4) if isinstance(size["steps"], dict) else 4,
            "warmup_steps": min(size["warmup_steps"], 1),
        }
        for name, size in training["sizes"].items()
    }
    found = {"checkpoint_every": 2, "log_every": 1, "sizes": sizes}
    if training["validation"]:
        found["validation"] = {"every": 2}
    return {"training": found}


def smaller(study: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return what makes its grid smaller: of every kind of collection one, or else of losses."""
    if WHOLE:
        grid = study["grid"]
        return {"grid": {"losses": grid["losses"][2:3], "seeds": grid["seeds"][:1]}}
    kept, tested = part["datasets"], {name for one in STUDIES.values() for name in one["datasets"]}
    found = {"grid": part, "kept_apart": sorted(tested)}
    if study.get("latency"):
        found["latency"] = {"queries": 4, "passages": 20}
    if "table" in study:
        groups = {
            name: left
            for name, datasets in study["groups"].items()
            if (left := [dataset for dataset in datasets if dataset in kept])
        }
        columns = [name for name in study["table"] if name in {*kept, *groups}]
        found |= {"groups": groups, "table": columns}
    if study["training"] and study["training"]["validation"]:
        theirs = study["training"]["validation"]["datasets"]
        large = [name for name in theirs if not name.startswith("nano-")]
        found["training"] = {"validation": {"datasets": large or VALIDATED}}
    return found


every_study = pytest.mark.parametrize("study", STUDIES)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A clone with an overlay for each study, in a world that publishes everything in small."""
    root = tmp_path_factory.mktemp("published")
    collections = publishers.home(root / "irds")
    publishers.teachers(root / "files")
    repositories = publishers.checkpoints(root / "hub") | publishers.re_rankers(root / "theirs")
    revisions = publishers.revisions()
    with serving(repositories, files=root / "files", revisions=revisions) as web:
        here = publishers.moved(root / "files", web.address)
        here |= publishers.counted(collections)
        made = clone(root / "clone")
        publishers.word_vectors(made.root / "data/downloads/glove.42B.300d.txt", width=300)
        checked = {"datasets": ["dl19"], "checkpoints": [*publishers.RE_RANKERS]}
        for name, part in {**STUDIES, CHECKED: checked}.items():
            study = overlay(name, made.root / "studies")
            laid = merged(merged(here, shorter(study)), smaller(study, part))
            text = yaml.safe_dump({"like": name, "redefines": True, **laid}, sort_keys=False)
            (made.root / f"studies/{small(name)}.yaml").write_text(text)
        nowhere = "http://127.0.0.1:9"  # nothing listens there: whatever is fetched is ours
        env = {"http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": "127.0.0.1"}
        env |= {"HF_ENDPOINT": web.address, "HF_HOME": str(root / "cache"), "HF_HUB_OFFLINE": "0"}
        env |= {"IR_DATASETS_HOME": str(root / "irds"), "IR_DATASETS_DL_TRIES": "1"}
        yield dataclasses.replace(made, env=env)


def small(study: str) -> str:
    return f"{study}-in-small"


def asked_of(house: House, study: str) -> dict[str, Any]:
    return overlay(small(study), house.root / "studies")


def table(house: House, study: str, name: str) -> list[dict[str, str]]:
    path = house.root / f"results/{small(study)}/report/tables/{name}.csv"
    return list(csv.DictReader(path.read_text().splitlines()))


def cells_of(grid: dict[str, Any]) -> list[str]:
    fewer = grid.get("fewer_students", {})
    cells = []
    for student, loss in product(grid["students"], grid["losses"]):
        if student in fewer.get(loss, grid["students"]):
            cells.append(f"{student}/{loss}")
    return cells


def retrieved_of(asked: dict[str, Any]) -> list[str]:
    students = (asked.get("retrieval") or {}).get("students", [])
    cells = cells_of(asked["grid"])
    return [f"retrieved/{cell}" for cell in cells if cell.split("/")[0] in students]


@every_study
def test_it_reports_and_then_rests(house: House, study: str):
    flags = ("--config", f"study={small(study)}")
    said = house.run("snakemake", *flags)
    asked = asked_of(house, study)
    grid = asked["grid"]
    rows = table(house, study, "leaderboard")
    systems = {"random", grid["first_stage"], *grid.get("teachers", []), *cells_of(grid)}
    assert {row["system"] for row in rows} == systems | {*retrieved_of(asked)}
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in grid["datasets"])
    results = house.root / "results" / small(study)
    resolved = yaml.safe_load((results / "study.yaml").read_text())
    groups = asked.get("groups", resolved["groups"])
    assert list(resolved["groups"]) == list(groups), "in the order of the study"
    main = (results / "report/tables/paste/main.md").read_text()
    header = next(line for line in main.splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in header.strip("|").split("|")][2:]
    assert columns == asked.get("table", columns)
    assert (results / "report/index.html").exists()
    assert "is left out" not in said, "the licensed texts are in place"
    assert "leaderboard:" in said
    assert "1 of 40 queries left out: same text, in data/corpora/queries/dev-small" in said
    assert house.planned(*flags) == {}


@every_study
def test_every_cell_is_complete(house: House, study: str):
    results, asked = house.root / "results" / small(study), asked_of(house, study)
    grid = asked["grid"]
    wanted = {2, 4} if asked["training"]["validation"] else set()
    candidates = house.root / "data/candidates" / grid["first_stage"]
    for cell in (f"{name}/{seed}" for name in cells_of(grid) for seed in grid["seeds"]):
        assert (results / f"models/{cell}/model.safetensors").exists()
        validated = VALIDATION.read(results / f"models/{cell}/validation.parquet")
        assert set(validated["step"].to_pylist()) == wanted, cell
        for dataset in grid["datasets"]:
            run = RUN.read(results / f"runs/{cell}/{dataset}.parquet")
            assert len(run) == len(RUN.read(candidates / f"{dataset}.parquet"))


@every_study
def test_published_values_stand_beside_ours(house: House, study: str):
    resources = ROOT / "workflow/resources"
    name = study.removesuffix("-rerun")
    of = yaml.safe_load((resources / "published.yaml").read_text())[name]
    asked, rows = asked_of(house, study), table(house, study, "published")
    grid = asked["grid"]
    columns = {
        column
        for column, datasets in of["columns"].items()
        if set(datasets) <= set(grid["datasets"])
    }
    values = csv.DictReader((resources / "published.csv").read_text().splitlines())
    published = set()
    for row in values:
        if row["study"] == name and row["dataset"] in columns:
            student = of["students"].get(row["student"])
            loss, column = of["losses"].get(row["loss_or_teacher"]), row["dataset"]
            searched = "retrieved/" if column in of.get("retrieved", []) else ""
            published.add((f"{searched}{student}/{loss}", column))
    systems = {*cells_of(grid), *retrieved_of(asked)}
    wanted = {(system, column) for system, column in published if system in systems}
    assert wanted
    assert {(row["system"], row["column"]) for row in rows} >= wanted


@pytest.mark.skipif(WHOLE, reason="one loss has no student of every architecture")
def test_no_architecture_is_left_out(house: House):
    results = house.root / "results" / small("hofstatter2020")
    records = [*results.glob("models/*/*/*/recipe.yaml")]
    records += (house.root / "data/teachers/models").glob("own-*/*/*/*/recipe.yaml")
    trained = [yaml.safe_load(path.read_text())["architecture"] for path in records]
    assert set(trained) == ARCHITECTURES.keys() and len(trained) == 9 + 3
    timed = {path.stem for path in results.glob("latency/*.json")}
    assert timed == {*asked_of(house, "hofstatter2020")["grid"]["students"]}


def test_dev_queries_are_in_one_set_each(house: House):
    folder = house.root / "data/corpora/queries"
    sets = [texts(folder / f"{name}.parquet", QUERIES).keys() for name in DEV_SETS]
    assert [len(one) for one in sets] == [10, publishers.HELD_OUT, 12]
    assert set().union(*sets) == publishers.JUDGED.queries.keys(), "26: no query is in two"


def test_checkpoints_are_measured_without_training(house: House):
    flags = ("--config", f"study={small(CHECKED)}")
    jobs = house.planned(*flags)
    assert not {"train", "recipe", "mine", "build"} & jobs.keys()
    house.run("snakemake", *flags)
    assert house.planned(*flags) == {}
    rows = {row["system"]: row for row in table(house, CHECKED, "leaderboard")}
    baselines = {"random", "splade-v3-distilbert", "bm25"}
    assert rows.keys() == {*baselines, *publishers.RE_RANKERS}
    assert {rows[name]["kind"] for name in publishers.RE_RANKERS} == {"checkpoint"}
    beside = table(house, CHECKED, "published")
    about = {(row["system"], row["student"] or None, row["column"]) for row in beside}
    assert ("xpmir-bert-base-infonce", None, "trec2019") in about
    for row in beside:
        if row["system"] in publishers.RE_RANKERS:
            assert row["ours"] == row["measured"] == rows[row["system"]]["dl19"]
    page = house.root / "results" / small(CHECKED) / "report/index.html"
    assert "No student was trained" in page.read_text()


@pytest.mark.skipif(WHOLE, reason="one loss reads one of these files")
def test_each_study_trains_as_declared(house: House):
    """Of a published list the positives that it has, or its best alone; rankings at full length."""
    data, used = house.root / "data/negatives", set(publishers.TRAIN.queries) - {publishers.TWIN}
    kept = [query_id for query_id, _, _ in publishers.TRAIN.qrels if query_id in used]
    assert len(TRIPLES.read(data / "msmarco-docpairs.parquet")) == 20 * len(kept)
    for name, positives in (("", {1, 2}), ("-first", {1}), ("-200", {1, 2})):
        lists = LISTS.read(data / f"msmarco-colbertv2{name}.parquet").to_pylist()
        assert {sum(row["relevances"]) for row in lists} == positives
        assert {row["query_id"] for row in lists} == used
    for name, length in (("colbert-50", 50), ("colbert-100", 100), ("bm25-100", 100)):
        lists = LISTS.read(data / f"rankzephyr-{name}.parquet").to_pylist()
        assert {len(row["doc_ids"]) for row in lists} == {length}
