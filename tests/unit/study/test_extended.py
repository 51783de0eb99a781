"""Additions where docs say: an objective, an architecture, a kind of teacher."""

from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from redistil.study import architectures, objectives, patterns, teachers
from redistil.study import artefacts as study
from redistil.study.fields import Count, Positive
from tests.made.configs import config_of, put, refusal


class Margins(objectives.Loss, kind="margins"):
    targets: ClassVar[objectives.Targets] = frozenset({objectives.SCORES})
    slope: Positive


class Sums(architectures.Architecture):
    width: Annotated[Count, Field(description="of a vector")]


class Oracle(teachers.Teacher, kind="oracle"):
    wildcard: ClassVar[str] = "asked"
    command: ClassVar[str] = "ask"
    oracle: str


@pytest.fixture
def config():
    return config_of("embedded")


def test_an_objective_is_declared_once(config, monkeypatch):
    monkeypatch.setitem(objectives.DECLARED, "margins", Margins)
    put(config, "losses new", {"objective": "margins", "slope": 2, "reads": "scored-triples"})
    put(config, "grid losses", ["new"])
    recipe = study.recipe(study.resolve(config), study.Cell("tiny-bert", "new", 1))
    assert recipe.objective == "margins" and recipe.options == {"slope": 2.0}
    put(config, "losses new reads", "triples")
    assert refusal(config).startswith("losses.new: margins learns from a teacher, and")
    del config["losses"]["new"]["slope"]
    assert refusal(config) == "losses.new: margins needs `slope`"


def test_an_architecture_is_declared_once(config, monkeypatch):
    monkeypatch.setitem(architectures.ARCHITECTURES, "sums", Sums)
    put(config, "students tiny-bert architecture", "sums")
    assert refusal(config) == "training: the architecture sums needs `width`"
    put(config, "training width", 128)
    recipe = study.recipe(study.resolve(config), study.Cell("tiny-bert", "bce", 1))
    assert recipe["width"] == 128 and recipe.get("pair_length") is None
    put(config, "training width", 0)
    assert refusal(config).startswith("training.width: wanted at least 1, got 0")


def test_a_kind_of_teacher_is_declared_once(config, monkeypatch):
    monkeypatch.setitem(teachers.TEACHERS, "oracle", Oracle)
    put(config, "teachers sage", {"oracle": "knows"})
    put(config, "sources scored-triples teacher", "sage")
    resolved = study.resolve(config)
    assert study.settings_of(resolved)["ask", "sage"] == {}
    assert patterns.constraints(resolved)["asked"] == "sage"
    put(config, "teachers sage depth", 3)
    assert refusal(config) == "teachers.sage.depth: an entry with `oracle` takes licence"
