"""What a backbone is warmed up on is training data: it is kept apart from the tests, and read."""

from pathlib import Path

import pytest
import yaml

from redistil import study
from redistil.errors import BadSettings
from redistil.overlays import merged, overlay, refuse_missing

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/params.schema.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def config():
    """The embedded study, whose backbones may be warmed up on a set of their own."""
    catalogues = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    config = merged(catalogues | {"study": "embedded"}, overlay("embedded", ROOT / "studies"))
    config["datasets"]["warm"] = config["datasets"]["pydocs-train"] | {"apart_from": []}
    return config


@pytest.mark.parametrize("backbone", ["tiny-bert", "tiny-splade"])
def test_a_warm_up_on_what_may_hold_test_queries_is_refused(config, backbone):
    build = {"build": config["backbones"][backbone]["build"] | {"dataset": "warm"}}
    config["backbones"]["nobodys"] = build
    study.check(config, SCHEMA)
    config["backbones"][backbone] = build
    with pytest.raises(BadSettings, match="datasets.warm.apart_from: 'pydocs-test' is in grid"):
        study.check(config, SCHEMA)


def test_the_test_sets_of_a_warm_up_are_read(config):
    config["corpora"]["theirs"] = {"folder": "nowhere"}
    config["datasets"]["theirs"] = {"corpus": "theirs", "split": "test", "relevant_from": 1}
    config["datasets"]["warm"]["apart_from"] = ["theirs"]
    refuse_missing(config)
    config["backbones"]["tiny-bert"]["build"]["dataset"] = "warm"
    with pytest.raises(BadSettings, match="corpora.theirs.folder: nowhere is not a folder"):
        refuse_missing(config)
