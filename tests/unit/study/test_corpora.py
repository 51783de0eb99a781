"""Datasets as a study declares them: which queries are exported."""

import pytest

from redistil.study import artefacts as study
from redistil.study import paths
from redistil.study.grid import needed
from tests.made.configs import config_of, put, refusal, resolved

PATH = "datasets mine queries"
DEV = {"corpus": "mine", "split": "dev", "relevant_from": 1}


def declared(value):
    config = config_of("embedded")
    config["corpora"]["mine"] = {"folder": "mine"}
    config["datasets"]["mine"] = {"corpus": "mine", "split": "test", "relevant_from": 2}
    put(config, PATH, value)
    return config


def test_only_with_positive_needs_the_grade():
    asked = study.settings_of(study.resolve(declared(9)))["export-queries", "mine"]
    assert asked["dataset"] == {"split": "test", "queries": 9}
    asked = study.settings_of(study.resolve(declared("with_positive")))["export-queries", "mine"]
    wanted = {"split": "test", "queries": "with_positive", "relevant_from": 2}
    assert asked["dataset"] == wanted, "another grade exports other queries"


@pytest.mark.parametrize("value", ["with-positive", 0, 2.5, True, []])
def test_queries_are_a_number_or_a_choice(value):
    assert refusal(declared(value)).startswith("datasets.mine.queries: wanted ")


def made_without(**entries):
    config = declared(9)
    for name, others in entries.items():
        config["datasets"][name] = DEV | {"without": others}
    return config


def test_what_a_dataset_is_without_is_needed():
    config = made_without(dev=["mine"])
    config["grid"]["datasets"] = ["dev"]
    made = study.settings_of(study.resolve(config))["export-queries", "dev"]
    assert made["dataset"] == {"split": "dev", "without": ["mine"]}
    assert paths.paths(resolved(config), "{dataset}", "without", {"dataset": "dev"}) == ["mine"]
    assert {"dev", "mine"} <= needed(resolved(config))["datasets"]


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"dev": ["pydocs-test"]}, "datasets.dev.without: 'pydocs-test' is over another corpus"),
        ({"dev": ["dev"]}, "datasets.dev.without: 'dev' would be made without itself"),
        ({"dev": ["other"], "other": ["dev"]}, "datasets.dev.without: 'dev' would be made without"),
        ({"dev": ["mien"]}, "datasets.dev.without: no datasets entry 'mien'"),
        ({"dev": []}, "datasets.dev.without: "),
    ],
)
def test_a_dataset_is_without_others_alone(entries, complaint):
    assert refusal(made_without(**entries)).startswith(complaint)


def test_dev_sets_of_msmarco_lie_apart():
    datasets = resolved("hofstatter2020").datasets
    assert set(datasets["dev-49k"].without) == {"dev-small", "dev-held-out"}
    assert datasets["dev-held-out"].without == ["dev-small"]
    assert datasets["dev-49k"].irds == datasets["dev-held-out"].irds == "msmarco-passage/dev/judged"


def test_every_validation_set_meets_the_tests_over_its_corpus():
    study = resolved("hofstatter2020")
    found = paths.paths(study, "{dataset} {test}", "validated and tested", {})
    assert found == ["dev-held-out dl19", "dev-held-out dev-49k", "dev-held-out dev-small"]
    assert paths.paths(resolved("morand2026"), "{test}", "validated and tested", {}) == []
