"""The studies of the repository as settings, to be changed and checked."""

import copy
from pathlib import Path

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study.overlays import merged, overlay

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def read(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


SCHEMA = read("workflow/schemas/params.schema.yaml")


def config_of(name):
    return copy.deepcopy(
        merged(read("params.yaml") | {"study": name}, overlay(name, ROOT / "studies"))
    )


def put(config, path, value):
    *folders, name = path.split(" ")
    for folder in folders:
        config = config[folder]
    config[name] = value


def refusal(config):
    with pytest.raises(BadSettings) as caught:
        study.check(config, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)
