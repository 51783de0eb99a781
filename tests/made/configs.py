"""The studies of the repository as settings, to be changed and checked."""

import copy
from pathlib import Path

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study.overlays import laid_on, overlay
from redistil.study.reading import read as typed
from redistil.study.study import Study

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def read(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


class Draft(dict):
    """Settings that a test may change; their attributes are those of the study that they make."""

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return getattr(typed(Study, self), key)


def config_of(name):
    return Draft(
        copy.deepcopy(laid_on(read("params.yaml"), overlay(name, ROOT / "studies"))), study=name
    )


def resolved(name_or_config):
    """Return a study by its name, or by its settings."""
    config = config_of(name_or_config) if isinstance(name_or_config, str) else name_or_config
    return study.resolve(config)


def put(config, path, value):
    *folders, name = path.split(" ")
    for folder in folders:
        config = config.setdefault(folder, {})
    config[name] = value


def flat(cases):
    """Return (key, *values) for each case of a mapping, as `parametrize` takes them."""
    rows = []
    for key, values in cases.items():
        rows.append((key, *values))
    return rows


def refusal(config):
    with pytest.raises(BadSettings) as caught:
        study.resolve(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)
