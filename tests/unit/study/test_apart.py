"""What a backbone is warmed up on is training data: it is kept apart from the tests, and read."""

import pytest

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study.overlays import refuse_missing
from tests.made.configs import SCHEMA, config_of, refusal


@pytest.fixture
def config():
    """The embedded study, whose backbones may be warmed up on a set of their own."""
    config = config_of("embedded")
    config["datasets"]["warm"] = config["datasets"]["pydocs-train"] | {"apart_from": []}
    return config


@pytest.mark.parametrize("backbone", ["tiny-bert", "tiny-splade"])
def test_a_warm_up_on_what_may_hold_test_queries_is_refused(config, backbone):
    build = {"build": config["backbones"][backbone]["build"] | {"dataset": "warm"}}
    config["backbones"]["nobodys"] = build
    study.check(config, SCHEMA)
    config["backbones"][backbone] = build
    assert refusal(config).startswith("datasets.warm.apart_from: 'pydocs-test' is in grid.datasets")


def test_the_test_sets_of_a_warm_up_are_read(config):
    config["corpora"]["theirs"] = {"folder": "nowhere"}
    config["datasets"]["theirs"] = {"corpus": "theirs", "split": "test", "relevant_from": 1}
    config["datasets"]["warm"]["apart_from"] = ["theirs"]
    refuse_missing(config)
    config["backbones"]["tiny-bert"]["build"]["dataset"] = "warm"
    with pytest.raises(BadSettings, match="corpora.theirs.folder: nowhere is not a folder"):
        refuse_missing(config)
