"""Facts that are written down twice are equal, and things that are mentioned exist."""

import csv
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from redistil.cli.commands import COMMANDS, QUESTIONS
from redistil.learning import objectives, students
from redistil.stages.report.page import departures
from redistil.study.architectures import ARCHITECTURES
from redistil.study.objectives import DECLARED, Loss
from tests.made.configs import STUDIES, config_of

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "results/README.md"]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
every_page = pytest.mark.parametrize("page", PAGES)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def load(path):
    return yaml.safe_load(read(path))


def test_objectives_are_one_list():
    used = {loss["objective"] for loss in load("params.yaml")["losses"].values()}
    assert DECLARED.keys() == objectives.OBJECTIVES.keys() == used


def test_declared_options_are_those_of_the_function():
    for name, objective in objectives.OBJECTIVES.items():
        takes = {p.name for p in inspect.signature(objective).parameters.values() if p.kind == 3}
        assert DECLARED[name].model_fields.keys() - Loss.model_fields.keys() == takes, name


def test_architectures_are_one_list():
    assert students.ARCHITECTURES.keys() == ARCHITECTURES.keys()


def test_conda_users_get_the_same_versions():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    listed = load("environment.yml")["dependencies"]
    (pinned,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    assert sorted(set(pinned) - {"--editable ."}) == sorted(wanted)
    assert all("==" in requirement for requirement in wanted)
    (python,) = [entry for entry in listed if str(entry).startswith("python=")]
    low, high = re.findall(r"3\.(\d+)", project["requires-python"])
    assert int(low) <= int(python.removeprefix("python=3.")) < int(high)


def test_the_lock_holds_every_direct_version():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    locked = set(re.split(r"[\s;\\]+", read("requirements.lock").lower().replace("_", "-")))
    for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
        assert requirement.lower().replace("_", "-") in locked, requirement


def code_of(page):
    """Return the code of a page: fenced blocks, and words between backticks."""
    prose, *blocks = re.split(r"^```.*?\n(.*?)^```", read(page), flags=re.M | re.S)
    prose += "".join(blocks[1::2])
    return "\n".join([*blocks[::2], *re.findall(r"`([^`\n]+)`", prose)])


@every_page
def test_every_command_that_a_page_mentions_exists(page):
    code = code_of(page)
    rules = set(re.findall(r"^rule (\w+):", "".join(map(read, rule_files())), re.M))
    for name in re.findall(r"^(?:\$ )?redistil +([\w-]+)", code, re.M):
        assert name in COMMANDS | QUESTIONS or name.startswith("-") or name.isupper(), (
            f"redistil {name}"
        )
    for name in re.findall(r"^(?:\$ )?snakemake +([a-z]\w*)(?![\w/])", code, re.M):
        assert name in rules, f"snakemake {name}"
    for name in re.findall(r"^(?:\$ )?make +([a-z]\w*)", code, re.M):
        assert re.search(rf"^{name}:", read("Makefile"), re.M), f"make {name}"


def rule_files():
    return ["Snakefile", *(str(p.relative_to(ROOT)) for p in (ROOT / "workflow").rglob("*.smk"))]


@every_page
def test_every_link_of_a_page_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", read(page)):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
    for path in re.findall(r"^(?:src|tests|docs|studies|workflow)/[\w./-]*$", code_of(page), re.M):
        assert (ROOT / path).exists(), f"{page} mentions {path}"
    for path in re.findall(
        r"^(?:cli|stages|learning|study|machine|storage)/[\w./-]*$", code_of(page), re.M
    ):
        assert (ROOT / "src/redistil" / path).exists(), f"{page} mentions {path}"


@every_page
def test_every_study_and_setting_that_a_page_mentions_exists(page):
    every = "\n".join(map(code_of, PAGES))
    shown = re.findall(r"^# studies/([\w.-]+)\.yaml$", every, re.M)  # in full, on a page
    for name in re.findall(r"study=([\w.-]+)", code_of(page)):
        assert name in shown or (ROOT / f"studies/{name}.yaml").exists(), name
    for path in re.findall(r"-S ([\w.-]+)=", code_of(page)):
        value = load("params.yaml")
        for key in path.split("."):
            value = value[key]


@pytest.mark.parametrize("name", STUDIES)
def test_a_page_shows_the_departures_from_each_paper_and_study_that_its_file_names(name):
    text, config, stated = read("docs/departures.md"), config_of(name), load(f"studies/{name}.yaml")
    shown = departures.of_study(text, config["title"], [])
    for paper in re.findall(r"arXiv (\d{4}\.\d{5})", read(f"studies/{name}.yaml")):
        assert f"\n## arXiv {paper} (" in shown
    if "embedded" in (name, stated.get("like")):
        assert "\n## The embedded study\n" in shown
    assert "\n## Every study\n" in shown


def test_every_published_value_is_cited():
    with (ROOT / "workflow/resources/published.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 500
    for line, row in enumerate(rows, start=2):
        assert row["source"].strip() and float(row["value"]) >= 0, f"published.csv, line {line}"
