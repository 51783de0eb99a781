"""Warm-up data of backbones are training data: kept apart from the tests, and read."""

import pytest

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study.overlays import refuse_missing
from tests.made.configs import config_of, refusal, resolved


@pytest.fixture
def config():
    """The embedded study, whose backbones may be warmed up on a set of their own."""
    config = config_of("embedded")
    config["datasets"]["warm"] = config["datasets"]["pydocs-train"]
    return config


@pytest.mark.parametrize("backbone", ["tiny-bert", "tiny-splade"])
def test_a_warm_up_set_is_no_test_set(config, backbone):
    config["grid"]["datasets"] = ["pydocs-test", "warm"]
    build = {"build": config["backbones"][backbone]["build"] | {"dataset": "warm"}}
    config["backbones"]["nobodys"] = build
    study.resolve(config)
    config["backbones"][backbone] = build
    assert refusal(config).startswith("grid.datasets: 'warm' is what is trained on")


def test_a_first_stage_that_validates_is_trained_too(config):
    config["grid"]["datasets"] = ["pydocs-test", "warm"]
    build = config["backbones"]["tiny-splade"]["build"] | {"dataset": "warm"}
    config["backbones"]["other"] = {"build": build}
    config["first_stages"]["other"] = config["first_stages"]["tiny-splade"] | {"encoder": "other"}
    resolved(config)
    config["training"]["validation"]["first_stage"] = "other"
    assert refusal(config).startswith("grid.datasets: 'warm' is what is trained on")


def test_the_sets_kept_apart_are_read(config):
    config["corpora"]["theirs"] = {"folder": "nowhere"}
    config["datasets"]["theirs"] = {"corpus": "theirs", "split": "test", "relevant_from": 1}
    refuse_missing(resolved(config))
    config["kept_apart"] = ["theirs"]
    with pytest.raises(BadSettings, match="corpora.theirs.folder: nowhere is not a folder"):
        refuse_missing(resolved(config))
