"""Decisions of studies on files that they share: the same, or a refusal before any job."""

import shutil

import pytest

from redistil.errors import BadSettings
from redistil.storage import settings
from redistil.study import artefacts, clashes, files, paths, shared
from redistil.study.overlays import laid_on, overlay
from tests.made.configs import ROOT

CONFIG = settings.mapping(ROOT / "params.yaml")


@pytest.fixture
def refused(tmp_path):
    """Write a study beside those of the project, and return why one is refused; '' if it is not."""
    folder = shutil.copytree(ROOT / "studies", tmp_path / "studies")

    def reason(text, study="mine"):
        (folder / "mine.yaml").write_text(f"like: embedded\n{text}\n")
        try:
            shared.refuse(CONFIG, study, folder)
        except BadSettings as error:
            return str(error)
        return ""

    return reason


@pytest.mark.parametrize("study", files.names(ROOT / "studies"))
def test_our_studies_agree(study):
    shared.refuse(CONFIG, study, ROOT / "studies")


FEWER = "grid: {datasets: [pydocs-test]}"
LONGER = "training: {sizes: {teacher: {steps: 700}}}"


def test_other_test_sets_are_refused(refused):
    """Other queries are left out of a warm-up: its backbone, and all on it, would be made anew."""
    said = refused(FEWER)
    assert said.startswith("studies/mine.yaml, backbones.tiny-bert: test sets kept apart from")
    assert "['pydocs-test'] here and ['pydocs-held-out', 'pydocs-test'] in studies/" in said
    assert refused(f"{FEWER}\nkept_apart: [pydocs-held-out]") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LONGER, "steps of its training: 700 here and 600 in studies/"),
        ("training: {optimiser: {stair: 9}}", "stair of its training: 9 here and None in studies/"),
    ],
)
def test_another_training_of_a_teacher_is_refused(refused, text, said):
    assert f"teachers.pydocs-bert: {said}" in refused(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tokens: {longest: 512}", "backbones.tiny-bert: tokens.longest: 512 here and 1024"),
        ("least_success: 0.2", "first_stages.bm25: least_success: 0.2 here and 0.1"),
        (
            "reranking: {precision: bfloat16}",
            "teachers.pydocs-bert: reranking.precision: bfloat16 here and float32",
        ),
    ],
)
def test_settings_that_reach_shared_files_are_refused(refused, text, said):
    assert f"studies/mine.yaml, {said} in studies/" in refused(text)
    assert refused(f"{text}\nredefines: true") == ""


OWN = """
backbones: {mine: {like: tiny-bert}}
students: {mine: {like: tiny-bert, backbone: mine}}
grid: {students: [mine]}
"""


def test_a_backbone_under_another_name_plans(tmp_path):
    folder = shutil.copytree(ROOT / "studies", tmp_path / "studies")
    (folder / "mine.yaml").write_text(f"like: embedded\n{OWN}")
    shared.refuse(CONFIG, "mine", folder)
    clashes.refuse(CONFIG, "mine", folder)
    laid = laid_on(CONFIG, overlay("mine", folder)) | {"study": "mine"}
    study = artefacts.resolve(clashes.likened(laid))
    settings = artefacts.settings_of(study)
    assert settings["build", "mine"] == settings["build", "tiny-bert"]
    assert {cell.student for cell in artefacts.grid_cells(study)} == {"mine"}
    tokens = "data/tokens/{backbone}/queries/{dataset}.arrow"
    known = {"student": "mine", "dataset": "pydocs-dev"}
    assert paths.paths(study, tokens, None, known) == ["data/tokens/mine/queries/pydocs-dev.arrow"]


@pytest.mark.parametrize(
    "text",
    [
        "title: Mine",
        "training: {log_every: 5, sizes: {tiny: {steps: 400}}}",  # of its own results alone
        f"{FEWER}\nredefines: true",
        f"{FEWER}\nreranking: {{depth: 5000}}",  # more than there are: the command line may mend it
    ],
)
def test_what_is_not_shared_may_differ(refused, text):
    assert refused(text) == ""


@pytest.mark.parametrize("text", [FEWER, LONGER, "grid: {datasets: [nowhere]}"])
def test_a_study_that_departs_refuses_no_other(refused, text):
    assert refused(text, "embedded") == ""
