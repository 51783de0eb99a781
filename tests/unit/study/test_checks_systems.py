"""Systems of a grid that could not be told apart, and teachers that give less than a loss reads."""

import copy

import pytest

from redistil.study import artefacts as study
from redistil.study.reading import read as typed
from redistil.study.study import Study
from tests.made.configs import config_of, put, refusal, resolved


@pytest.fixture
def config():
    return config_of("embedded")


def named(config, catalogue, name, like):
    config[catalogue][name] = copy.deepcopy(config[catalogue][like])


def test_a_first_stage_is_no_baseline_too(config):
    put(config, "grid baselines", ["bm25", "tiny-splade"])
    said = "grid.baselines: 'bm25' is the name of grid.first_stage too: "
    assert refusal(config).startswith(said)


@pytest.mark.parametrize(
    ("name", "of"), [("bm25", "grid.first_stage"), ("tiny-splade", "grid.baselines")]
)
def test_a_teacher_has_another_name_than_the_first_stages(config, name, of):
    named(config, "teachers", name, "pydocs-mean")
    study.resolve(config)  # the grid does not have it
    put(config, "grid teachers", [name])
    assert refusal(config).startswith(f"grid.teachers: {name!r} is the name of {of} too: ")


@pytest.mark.parametrize(
    ("catalogue", "axis", "like"),
    [("teachers", "teachers", "pydocs-mean"), ("first_stages", "baselines", "bm25")],
)
def test_nothing_is_called_as_the_random_order_is(config, catalogue, axis, like):
    named(config, catalogue, "random", like)
    put(config, f"grid {axis}", ["random"])
    said = f"grid.{axis}: 'random' is the name of the random order too: "
    assert refusal(config).startswith(said)


@pytest.mark.parametrize("objective", ["margin-mse", "kl", "pointwise-mse"])
@pytest.mark.parametrize("teacher", ["rankzephyr-colbert-50", "rankzephyr", "monoelectra", "mean"])
def test_what_reads_scores_is_not_taught_by_an_order(objective, teacher):
    config = config_of("morand2026")
    config["teachers"]["monoelectra"] = config["teachers"]["monoelectra-colbert-100"]
    config["negatives"]["monoelectra"] = {"teacher": "monoelectra", "dataset": "msmarco-train"}
    config["teachers"]["mean"] = {"average": ["t2", "monoelectra"]}
    put(config, "sources ranked-lists teacher", teacher)
    study.resolve(config)  # its losses read the order
    config["losses"]["adr-mse"] = {"objective": objective, "reads": "ranked-lists"}
    if objective == "kl":
        put(config, "losses adr-mse temperature", 1.0)
    leaf = "monoelectra" if teacher == "mean" else teacher
    said = f"losses.adr-mse: {objective} reads a teacher's scores, and teachers.{leaf} "
    assert refusal(config).startswith(said)


def test_scores_that_are_declared_to_be_a_models_are_read(config):
    config = config_of("morand2026")
    put(config, "sources ranked-lists teacher", "monoelectra-colbert-100")
    put(config, "grid losses", ["kl"])
    assert refusal(config).endswith("(a run with a model's scores says `scored: true`)")
    asked = study.settings_of(typed(Study, config))
    put(config, "teachers monoelectra-colbert-100 scored", True)
    study.resolve(config)
    assert study.settings_of(resolved(config)) == asked  # it remakes nothing
    put(config, "teachers monoelectra-colbert-100 format", "id-lists")
    assert refusal(config).startswith("losses.kl: kl reads a teacher's scores, and teachers.mono")


@pytest.mark.parametrize("teacher", ["bert-margins", "mean"])
def test_what_reads_scores_is_not_taught_by_margins(teacher):
    config = config_of("morand2026")
    file = {"import": "margins", "format": "margins", "unknown": 0.0, "tolerance": 0.0}
    put(config, "downloads margins", {"url": "https://example.org/margins", "sha256": "0" * 64})
    put(config, "teachers bert-margins", file)
    put(config, "negatives bert-margins", {"teacher": "bert-margins", "dataset": "msmarco-train"})
    put(config, "teachers mean", {"average": ["t2", "bert-margins"]})
    put(config, "sources scored-triples teacher", teacher)
    put(config, "losses ranknet reads", "scored-triples")
    put(config, "losses kl reads", "scored-triples")
    put(config, "grid losses", ["margin-mse", "weighted-ranknet", "ranknet", "kl"])
    study.resolve(config)  # they see no constant that a query's scores may have more
    put(config, "grid losses", ["pointwise-mse"])
    said = "losses.pointwise-mse: pointwise-mse reads a teacher's scores, and teachers.bert-margins"
    assert refusal(config).startswith(f"{said} gives margins alone: ")
