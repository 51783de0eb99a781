"""The container's recipe: from the lock, without a secret, for no root."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

parse = pytest.importorskip("dockerfile_parse", reason="dockerfile-parse is missing: make setup")

ROOT = Path(__file__).parents[2]
KNOWN = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "CMD", "COMMENT"}


@pytest.fixture
def recipe(tmp_path):
    """The recipe, parsed from a copy: the parser opens files for writing."""
    copy = tmp_path / "Dockerfile"
    copy.write_text((ROOT / "profiles/container/Containerfile").read_text())
    return parse.DockerfileParser(str(tmp_path))


def steps(recipe, instruction):
    found = [step["value"] for step in recipe.structure if step["instruction"] == instruction]
    assert found, instruction
    return found


def test_the_recipe_is_read_to_its_end(recipe):
    assert {step["instruction"] for step in recipe.structure} == KNOWN


def test_the_base_has_a_version_that_the_project_runs_on(recipe):
    (base,) = recipe.parent_images
    low, high = re.findall(r"3\.(\d+)", project()["requires-python"])
    version = re.fullmatch(r"docker\.io/library/python:3\.(\d+)\.\d+-slim-\w+", base)
    assert version and int(low) <= int(version[1]) < int(high), base


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_what_is_copied_exists_and_holds_the_lock(recipe):
    copied = [name for step in steps(recipe, "COPY") for name in shlex.split(step)[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"Makefile", "requirements.lock", "pyproject.toml", "src"} <= set(copied)
    assert project()["readme"] in copied  # the package cannot be installed without


def test_packages_come_by_the_lock_alone(recipe):
    runs = " ".join(steps(recipe, "RUN"))
    assert "make setup" in runs and not re.search(r"\bpip\b|curl|wget", runs)
    assert not {"ADD", "ARG"} & {step["instruction"] for step in recipe.structure}


def test_its_user_is_not_root_and_starts_a_study(recipe):
    assert steps(recipe, "USER")[-1] not in ("root", "0")
    assert json.loads(recipe.cmd) == ["snakemake"]


def test_nothing_in_it_is_a_secret(recipe):
    assert set(recipe.envs) == {"PATH", "DVC_NO_ANALYTICS"}
