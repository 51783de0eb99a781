"""The paths of a study: words filled in by its catalogues, rows of the grid, names of wildcards."""

import re

import pytest

from redistil.errors import BadSettings
from redistil.study import paths, patterns
from tests.made.configs import config_of, resolved

CELL = {"student": "tiny-bert", "loss": "margin-mse", "seed": "1"}


@pytest.fixture
def study():
    return resolved("embedded")


def test_words_come_from_the_catalogues(study):
    pattern = "data/tokens/{backbone}/queries/{dataset}.arrow"
    expected = ["data/tokens/tiny-bert/queries/pydocs-train.arrow"]
    assert paths.paths(study, pattern, None, CELL) == expected


def test_a_word_without_value_gives_no_path(study):
    pattern = "data/teachers/{teacher}.parquet"
    assert paths.paths(study, pattern, None, CELL) == ["data/teachers/pydocs-mean.parquet"]
    assert paths.paths(study, pattern, None, CELL | {"loss": "bce"}) == []


def test_rows_are_distinct_and_in_order(study):
    found = paths.paths(study, "data/teachers/{teacher}.parquet", "losses", {})
    assert found == ["data/teachers/pydocs-mean.parquet"]
    datasets = paths.paths(study, "{dataset}", "datasets", {})
    assert datasets == study.grid.datasets


def test_flags_keep_repeated_rows():
    config = config_of("embedded")
    config["students"]["tiny-modernbert-teacher"]["backbone"] = "tiny-bert"
    study = resolved(config)
    known = {"teacher": "pydocs-mean", "dataset": "pydocs-test"}
    assert paths.filled(study, "{backbone}", "members", known) == [
        "tiny-bert",
        "tiny-bert",
    ]
    assert paths.paths(study, "{backbone}", "members", known) == ["tiny-bert"]


def test_a_member_has_its_own_model(study):
    known = {"teacher": "pydocs-mean", "dataset": "pydocs-test"}
    assert paths.paths(study, "{model}", "members", known) == [
        "data/teachers/models/pydocs-bert/tiny-bert-teacher/infonce/1",
        "data/teachers/models/pydocs-modernbert/tiny-modernbert-teacher/infonce/1",
    ]
    (row,) = paths.rows(study, "members", {"scored": "pydocs-bert"})
    assert row["dataset"] == "pydocs-train"


def test_trainings_of_teachers_lie_apart(study):
    known = {"student": "tiny-bert", "loss": "bce", "seed": "1"}
    recipe = "{models}/{student}/{loss}/{seed}/recipe.yaml"
    own = paths.paths(study, recipe, None, known)
    assert own == ["results/embedded/models/tiny-bert/bce/1/recipe.yaml"]
    teachers = paths.paths(study, recipe, None, {**known, "trained": "pydocs-bert"})
    assert teachers == ["data/teachers/models/pydocs-bert/tiny-bert/bce/1/recipe.yaml"]


def test_an_untrained_teacher_is_refused():
    lone = {"student": "tiny-bert-teacher", "loss": "bce", "seed": 1}
    config = config_of("embedded")
    config["teachers"]["lone"] = {"model": lone, "over": ["pydocs-triples"]}
    with pytest.raises(BadSettings, match="teachers.lone: the study embedded neither tests it"):
        paths.paths(resolved(config), "{model}", "members", {"scored": "lone"})


def test_tests_are_parted_by_corpus(study):
    for known in ({"mined": "pydocs-lists"}, {"built": "tiny-bert"}):
        assert paths.paths(study, "{dataset}", "tests", known) == ["pydocs-test"]
        assert paths.paths(study, "{dataset}", "tests elsewhere", known) == ["pydocs-held-out"]


def test_a_second_stage_has_a_predecessor():
    study = resolved("rank-distillm")
    known = {"student": "electra-base", "loss": "dual-ranknet", "seed": "42"}
    assert paths.paths(study, "{loss}/{after}", "predecessor", known) == ["dual-ranknet/infonce"]
    assert paths.paths(study, "{after}", "predecessor", known | {"loss": "infonce"}) == []


def test_downloads_are_what_the_numbers_come_from():
    study = resolved("rank-distillm")
    files = ["colbertv2-msmarco-train.run", "rankzephyr-bm25-100.run", "rankzephyr-colbert-100.run"]
    assert paths.paths(study, "{file}", "files", {}) == files
    assert paths.paths(study, "{fetched}", "fetched", {}) == ["electra-base"]
    assert paths.paths(study, "{docpairs}", "docpairs", {}) == []
    datasets = ["dl19", "dl20", "msmarco-train", "nfcorpus", "robust04", "touche", "trec-covid"]
    assert paths.paths(study, "{dataset}", "collections", {}) == datasets
    corpora = {study.datasets[name].corpus for name in datasets}
    assert set(paths.paths(study, "{corpus}", "collections", {})) == corpora
    full = resolved("morand2026")
    assert paths.paths(full, "{docpairs}", "docpairs", {}) == ["msmarco-docpairs"]


def test_an_import_without_a_run_is_refused(study):
    known = {"imported": "colbertv2-test", "dataset": "dl19"}
    with pytest.raises(BadSettings, match="first_stages.colbertv2-test.import: no run for dl19"):
        paths.paths(study, "{file}", "import", known)


@pytest.mark.parametrize("name", ["embedded", "morand2026", "rank-distillm"])
@pytest.mark.parametrize("over", ["cells", "runs", "tokens", "systems", "shown", "teaching"])
def test_every_row_names_its_study(name, over):
    for row in paths.rows(resolved(name), over, {}):
        assert row["study"] == name


def test_wildcards_take_names_of_their_kind(study):
    allowed = patterns.constraints(study)
    assert re.fullmatch(allowed["built"], "tiny-bert")
    assert not re.fullmatch(allowed["built"], "bert-base")
    assert re.fullmatch(allowed["fetched"], "bert-base")
    assert re.fullmatch(allowed["baseline"], "bm25")
    assert not re.fullmatch(allowed["system"], "bm25")
    assert not re.fullmatch(patterns.one_of([]), "")
