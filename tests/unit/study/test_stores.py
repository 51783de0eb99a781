"""States that re-ranking reads: their parts and paths, and what is refused."""

import pytest

from redistil.learning import students
from redistil.study import artefacts, paths
from redistil.study.architectures import ARCHITECTURES, architecture_of
from redistil.study.grid import asked_for
from tests.made.configs import config_of, put, refusal, resolved
from tests.made.students import LENGTHS, PAIR, SETTINGS, write_words

STATES = {"students": ["tiny-dot", "tiny-prettr"], "shard": 4000, "numbers": "float16"}
STUDENTS = ["tiny-bert", "tiny-dot", "tiny-colbert", "tiny-prettr"]
RETRIEVAL = {"students": ["tiny-dot"], "depth": 50, "shard": 4000, "numbers": "float16"}


@pytest.fixture
def config():
    config = config_of("architectures")
    put(config, "grid students", list(STUDENTS))
    put(config, "claims", [])
    put(config, "corpora pydocs passages", 9000)
    config["states"] = dict(STATES)
    return config


def embedded(config):
    found = artefacts.settings_of(resolved(config))
    return {name: how for (command, name), how in found.items() if command == "embed"}


def read_by(config, student, over="states"):
    words = {"student": student, "loss": "ranknet", "seed": 1, "dataset": "pydocs-test"}
    return paths.paths(resolved(config), "{student}/{loss}/{seed}/{corpus}/{shard}", over, words)


def test_without_the_block_no_passage_is_stored(config):
    del config["states"]
    assert embedded(config) == {} and read_by(config, "tiny-dot") == []
    assert "states" not in asked_for(resolved(config))


def test_the_block_changes_no_other_artefact(config):
    found = artefacts.settings_of(resolved(config))
    del config["states"]
    without = artefacts.settings_of(resolved(config))
    assert {key for key in found if key[0] != "embed"} == without.keys()
    assert all(found[key] == how for key, how in without.items())


def test_each_training_stores_each_corpus_once(config):
    stored = embedded(config)
    how = {"precision": "float32", "numbers": "float16", "shards": 3}
    for student in STATES["students"]:
        for shard in range(3):
            assert stored[f"{student}/ranknet/1/pydocs/{shard}"] == how | {"shard": shard}
    assert {name.partition("/")[0] for name in stored} == {*STATES["students"]}
    corpora = {name.split("/")[3] for name in stored}
    grid = resolved(config).grid
    assert corpora == {config["datasets"][name]["corpus"] for name in grid.datasets}


def test_re_ranking_reads_them(config):
    for student in STUDENTS:
        wanted = [f"{student}/ranknet/1/pydocs/{shard}" for shard in range(3)]
        assert read_by(config, student) == (wanted if student in STATES["students"] else [])


def test_search_reads_the_same_store(config):
    config["retrieval"] = dict(RETRIEVAL)
    assert read_by(config, "tiny-dot", "vectors") == read_by(config, "tiny-dot")
    both = embedded(config)
    del config["retrieval"]
    assert embedded(config) == both
    config["retrieval"] = RETRIEVAL | {"students": ["tiny-dot"]}
    del config["states"]
    assert {name.partition("/")[0] for name in embedded(config)} == {"tiny-dot"}


@pytest.mark.parametrize(("key", "value"), [("numbers", "float32"), ("shard", 5000)])
def test_two_stores_of_one_training_are_refused(config, key, value):
    config["retrieval"] = RETRIEVAL | {key: value}
    assert refusal(config).startswith(f"states.{key}: 'tiny-dot' would be stored twice")
    config["states"]["students"] = ["tiny-prettr"]
    resolved(config)  # then each has its own


def test_a_student_that_keeps_nothing_is_refused(config):
    said = "reads query and passage together, so that nothing of a passage can be stored"
    config["states"]["students"] = ["tiny-dot", "tiny-bert"]
    assert refusal(config).startswith("states.students: 'tiny-bert' is a cat that reads")
    assert said in refusal(config)
    config["states"]["students"] = ["tiny-prettr"]
    config["students"]["tiny-prettr"]["offset"] = "batch"
    assert said in refusal(config)


def test_a_student_outside_the_grid_is_refused(config):
    config["states"]["students"] = ["tiny-tk"]
    assert refusal(config).startswith("states.students: 'tiny-tk' is not in grid.students")


@pytest.mark.parametrize(("key", "value"), [("shard", 0), ("numbers", "int8"), ("students", [])])
def test_values_out_of_range_are_refused(config, key, value):
    config["states"][key] = value
    assert refusal(config).startswith(f"states.{key}")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("offset", ["fixed", "batch"])
def test_what_keeps_something_is_declared(checkpoints, tmp_path, name, offset):
    settings = {"architecture": name} | LENGTHS | PAIR | SETTINGS.get(name, {}) | {"offset": offset}
    ground = write_words(tmp_path / "words") if name == "tk" else checkpoints["bert"]
    student = students.new(settings, ground, 1)
    assert architecture_of(settings).keeps == (student.kept is not None)
