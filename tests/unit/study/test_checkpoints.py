"""Checkpoints of others: their catalogue, and studies of first stages and checkpoints alone."""

import pytest

from redistil.study import artefacts as study
from redistil.study import paths
from redistil.study.artefacts import settings_of, systems
from redistil.study.checkpoints import FORMS
from tests.made.configs import config_of, put, refusal, resolved

OWN = {"architecture": "cat", "query_length": 16, "passage_length": 64, "pair_length": 90}
OWN |= {"pair_form": "native", "form": "plain", "folder": "mine"}


@pytest.fixture
def config():
    return config_of("embedded")


def alone(config, *checkpoints):
    """Let a study train nothing: it compares a first stage with checkpoints."""
    for axis in ("students", "losses", "seeds", "teachers"):
        put(config, f"grid {axis}", [])
    put(config, "grid checkpoints", list(checkpoints))
    for key in ("training", "sources"):
        del config[key]
    return config


def test_a_checkpoint_ranks_beside_students(config):
    put(config, "grid checkpoints", ["monoelectra-base", "ettin-reranker-17m"])
    made = resolved(config)
    kinds = {system.name: system.kind for system in systems(made)}
    assert kinds["monoelectra-base"] == kinds["ettin-reranker-17m"] == "checkpoint"
    asked = settings_of(made)
    assert asked["rerank", "monoelectra-base/pydocs-test"] == made.reranking.settings()
    source = asked["fetch", "monoelectra-base"]["source"]
    assert source["form"] == "lightning-ir" and source["hub"] == "webis/monoelectra-base"
    assert ("tokenize", "monoelectra-base/queries/pydocs-test") in asked
    measured = paths.paths(made, "results/{study}/measures/{system}.parquet", "systems", {})
    assert "results/embedded/measures/ettin-reranker-17m.parquet" in measured


def test_a_run_reads_its_own_tokens(config):
    put(config, "grid checkpoints", ["monoelectra-base"])
    job = {"adopted": "monoelectra-base", "dataset": "pydocs-test"}
    pattern = "{model} data/tokens/{backbone}/passages/{corpus}.arrow"
    (found,) = paths.paths(resolved(config), pattern, "members", job)
    model = "data/teachers/models/monoelectra-base"
    assert found == f"{model} data/tokens/monoelectra-base/passages/pydocs.arrow"


def test_a_teacher_shares_the_model(config):
    job = {"scored": "minilm-l6", "dataset": "pydocs-test"}
    (found,) = paths.paths(resolved(config), "{model} {backbone}", "members", job)
    assert found == "data/teachers/models/ms-marco-minilm-l6 ms-marco-minilm-l6"


def test_nothing_needs_to_be_trained(config):
    made = resolved(alone(config, "ms-marco-minilm-l6"))
    assert [system.kind for system in systems(made)] == [
        "random",
        "first stage",
        "first stage",
        "checkpoint",
    ]
    assert not [key for key in settings_of(made) if key[0] in ("train", "sweep")]
    assert made.validation is None


def test_a_study_that_trains_says_how(config):
    del config["training"]
    assert refusal(config).startswith("training: missing, and tiny-bert/bce/1 is to be trained")


def test_half_an_empty_grid_is_refused(config):
    put(config, "grid students", [])
    assert refusal(config).startswith("grid.students: an empty list leaves nothing to train")


def test_a_grid_compares_something(config):
    alone(config)
    put(config, "grid baselines", [])
    assert refusal(config).startswith("grid: nothing is compared")


NAMES = {"of a backbone": "tiny-bert", "of a teacher": "minilm-l6"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_shared_names_are_refused(config, name):
    put(config, f"checkpoints {name}", OWN)
    assert "has this name too" in refusal(config)


WRONG = {
    "both": ({"hub": "a/b", "revision": "main"}, "wanted one of `hub`"),
    "no revision": ({"folder": None, "hub": "a/b"}, "`hub` and `revision` belong together"),
    "no source": ({"folder": None}, "wanted one of `hub`"),
    "form": ({"form": "modulse"}, "did you mean 'modules'"),
    "architecture": ({"architecture": "cta"}, "did you mean 'cat'"),
    "unknown key": ({"passage_lenght": 3}, "did you mean 'passage_length'"),
    "key of another form": ({"prompt": "{query} {passage}"}, "unknown key"),
    "no prompt": ({"form": "yes-no", "yes": "yes", "no": "no"}, "needs `prompt`"),
    "prompt": (
        {"form": "yes-no", "yes": "yes", "no": "no", "prompt": "{passage} {query}"},
        "wanted {query} and after it {passage}",
    ),
}


@pytest.mark.parametrize(("changed", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_entry_is_told(config, changed, said):
    put(config, "checkpoints mine", OWN | changed)
    sentence = refusal(config)
    assert sentence.startswith("checkpoints.mine") and said in sentence


def test_a_missing_length_is_told(config):
    short = {key: value for key, value in OWN.items() if key != "pair_length"}
    put(config, "checkpoints mine", short)
    assert "needs `pair_length`" in refusal(config)


def test_the_catalogue_names_known_forms():
    made = resolved("embedded")
    assert {entry.form for entry in made.checkpoints.values()} <= set(FORMS)
    for name, entry in made.checkpoints.items():
        assert not entry.how().keys() & entry.source().keys(), name
        assert study.flags(entry.how())
