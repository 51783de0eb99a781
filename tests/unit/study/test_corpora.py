"""Datasets as a study declares them: which queries are exported."""

import pytest

from redistil.study import artefacts as study
from tests.made.configs import config_of, put, refusal

PATH = "datasets mine queries"


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
