"""Students that retrieve: their artefacts, systems and paths, and what is refused."""

import pytest

from redistil.learning import students
from redistil.learning.students.interface import Kept
from redistil.study import artefacts as study
from redistil.study import grid, paths, patterns
from redistil.study.architectures import ARCHITECTURES
from tests.made.configs import config_of, put, refusal, resolved
from tests.made.students import SETTINGS, student_of

RETRIEVAL = {"students": ["tiny-dot"], "depth": 50, "shard": 4000, "numbers": "float16"}
CELL = "tiny-dot/bce/1"


@pytest.fixture
def config():
    config = config_of("embedded")
    put(config, "grid students", ["tiny-bert", "tiny-dot"])
    put(config, "grid losses", ["bce"])
    put(config, "grid seeds", [1, 2])
    config["retrieval"] = dict(RETRIEVAL)
    return config


def test_without_the_block_nothing_is_retrieved():
    embedded = resolved("embedded")
    assert embedded.retrieval is None and "retrieval" not in grid.asked_for(embedded)
    commands = {command for command, _ in study.settings_of(embedded)}
    assert not {"embed", "search"} & commands
    assert not any(
        measure.startswith("R@") for measure in grid.own_measures(embedded, "pydocs-test")
    )


def test_each_shard_and_run_has_its_settings(config):
    put(config, "corpora pydocs passages", 9000)
    asked = study.settings_of(resolved(config))
    stored = {"precision": "float32", "numbers": "float16", "shards": 3}
    for shard in range(3):
        assert asked["embed", f"{CELL}/pydocs/{shard}"] == stored | {"shard": shard}
    wanted = {"precision": "float32", "depth": 50, "drop_identical": False}
    assert asked["search", f"retrieved/{CELL}/pydocs-test"] == wanted
    embedded = [name for command, name in asked if command == "embed"]
    assert all(name.startswith("tiny-dot/bce/") for name in embedded)


def test_they_are_systems_beside_the_first_stages(config):
    found = {system.name: system for system in study.systems(resolved(config))}
    names = list(found)
    assert found[f"retrieved/{CELL}"].kind == "retriever"
    assert found[f"retrieved/{CELL}"].model == CELL
    assert found["bm25"].model is None
    assert names.index(f"retrieved/{CELL}") < names.index("pydocs-mean") < names.index(CELL)
    assert "R@50" in study.measures_of(resolved(config), "pydocs-test")


def test_their_files_are_found(config):
    chosen = resolved(config)
    runs = paths.paths(chosen, "{runs}/{dataset}.parquet", "shown", {"dataset": "pydocs-test"})
    ours = [path for path in runs if "retrieved" in path]
    assert ours == ["results/embedded/runs/retrieved/tiny-dot/bce/1/pydocs-test.parquet"]
    words = {"student": "tiny-dot", "loss": "bce", "seed": 1, "dataset": "pydocs-test"}
    vectors = paths.paths(chosen, "{student}/{loss}/{seed}/{corpus}/{shard}", "vectors", words)
    count = chosen.corpora["pydocs"].parts(4000)
    assert vectors == [f"{CELL}/pydocs/{shard}" for shard in range(count)]
    assert f"retrieved/{CELL}" in patterns.constraints(chosen)["system"].replace("\\", "")
    every = paths.paths(chosen, "{student}/{seed}/{dataset}", "searches", {})
    assert len(every) == 2 * len(chosen.grid.datasets)


def test_the_first_seed_alone_is_shown(config):
    put(config, "grid seeds", [2, 1])
    known = {"dataset": "pydocs-test"}
    runs = paths.paths(resolved(config), "{runs}", "shown", known)
    assert [path for path in runs if "tiny-dot" in path] == [
        "results/embedded/runs/retrieved/tiny-dot/bce/2",
        "results/embedded/runs/tiny-dot/bce/2",
    ]


def test_a_student_outside_the_grid_is_refused(config):
    put(config, "grid students", ["tiny-bert"])
    assert refusal(config).startswith("retrieval.students: 'tiny-dot' is not in grid.students")


def test_a_student_whose_score_is_no_inner_product_is_refused(config):
    config["retrieval"]["students"] = ["tiny-bert"]
    assert refusal(config).startswith(
        "retrieval.students: 'tiny-bert' is a cat, whose score is no inner product"
    )


@pytest.mark.parametrize(
    ("key", "value"), [("depth", 0), ("shard", 0), ("numbers", "int8"), ("students", [])]
)
def test_values_out_of_range_are_refused(config, key, value):
    config["retrieval"][key] = value
    assert refusal(config).startswith(f"retrieval.{key}")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("architecture", [name for name in SETTINGS if name != "tk"])
def test_what_searches_is_what_keeps_one_vector(checkpoints, architecture):
    kept = student_of(architecture, checkpoints["bert"]).kept
    assert isinstance(kept, Kept)
    assert kept.search == ARCHITECTURES[architecture].searched
    assert not kept.search or kept.rows == "text"
    assert students.ARCHITECTURES.keys() == ARCHITECTURES.keys()
