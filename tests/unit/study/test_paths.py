"""The paths of a study: words filled in by its catalogues, rows of the grid, names of wildcards."""

import re

import pytest

from redistil.errors import BadSettings
from redistil.study import paths
from tests.made.configs import config_of, resolved

CELL = {"student": "tiny-bert", "loss": "margin-mse", "seed": "1"}


@pytest.fixture
def config():
    """A study's settings, to be changed and then resolved."""
    return config_of("embedded")


def test_words_come_from_the_catalogues(config):
    pattern = "data/tokens/{backbone}/queries/{dataset}.arrow"
    expected = ["data/tokens/tiny-bert/queries/pydocs-train.arrow"]
    assert paths.paths(resolved(config), pattern, None, CELL) == expected


def test_a_word_without_value_gives_no_path(config):
    pattern = "data/teachers/{teacher}.parquet"
    assert paths.paths(resolved(config), pattern, None, CELL) == [
        "data/teachers/pydocs-mean.parquet"
    ]
    assert paths.paths(resolved(config), pattern, None, CELL | {"loss": "bce"}) == []


def test_rows_are_distinct_and_in_order(config):
    found = paths.paths(resolved(config), "data/teachers/{teacher}.parquet", "losses", {})
    assert found == ["data/teachers/pydocs-mean.parquet"]
    datasets = paths.paths(resolved(config), "{dataset}", "datasets", {})
    assert datasets == config["grid"]["datasets"]


def test_flags_keep_repeated_rows(config):
    config["students"]["tiny-modernbert-teacher"]["backbone"] = "tiny-bert"
    known = {"teacher": "pydocs-mean", "dataset": "pydocs-test"}
    assert paths.filled(resolved(config), "{backbone}", "members", known) == [
        "tiny-bert",
        "tiny-bert",
    ]
    assert paths.paths(resolved(config), "{backbone}", "members", known) == ["tiny-bert"]


def test_a_member_has_its_own_model(config):
    known = {"teacher": "pydocs-mean", "dataset": "pydocs-test"}
    assert paths.paths(resolved(config), "{model}", "members", known) == [
        "results/embedded/models/tiny-bert-teacher/infonce/1",
        "results/embedded/models/tiny-modernbert-teacher/infonce/1",
    ]
    over = paths.rows(resolved(config), "members", {"scored": "pydocs-bert"})
    assert [row["dataset"] for row in over] == ["pydocs-train"]


def test_an_untrained_teacher_is_refused(config):
    lone = {"student": "tiny-bert-teacher", "loss": "bce", "seed": 1}
    config["teachers"]["lone"] = {"model": lone, "over": ["pydocs-triples"]}
    with pytest.raises(BadSettings, match="teachers.lone: the study embedded neither tests it"):
        paths.paths(resolved(config), "{model}", "members", {"scored": "lone"})


def test_tests_are_parted_by_corpus(config):
    for known in ({"mined": "pydocs-lists"}, {"built": "tiny-bert"}):
        assert paths.paths(resolved(config), "{dataset}", "tests", known) == ["pydocs-test"]
        assert paths.paths(resolved(config), "{dataset}", "tests elsewhere", known) == [
            "pydocs-held-out"
        ]


def test_a_second_stage_has_a_predecessor():
    config = config_of("rank-distillm")
    known = {"student": "electra-base", "loss": "dual-ranknet", "seed": "42"}
    assert paths.paths(resolved(config), "{loss}/{after}", "predecessor", known) == [
        "dual-ranknet/infonce"
    ]
    assert (
        paths.paths(resolved(config), "{after}", "predecessor", known | {"loss": "infonce"}) == []
    )


def test_an_import_without_a_run_is_refused(config):
    known = {"imported": "colbertv2-test", "dataset": "dl19"}
    with pytest.raises(BadSettings, match="first_stages.colbertv2-test.import: no run for dl19"):
        paths.paths(resolved(config), "{file}", "import", known)


@pytest.mark.parametrize("study", ["embedded", "morand2026", "rank-distillm"])
@pytest.mark.parametrize("over", ["cells", "runs", "tokens", "systems", "shown", "teaching"])
def test_every_row_names_its_study(study, over):
    rows = list(paths.rows(resolved(config_of(study)), over, {}))
    assert {row["study"] for row in rows} <= {study}


def test_wildcards_take_names_of_their_kind(config):
    patterns = paths.constraints(resolved(config))
    assert re.fullmatch(patterns["built"], "tiny-bert")
    assert not re.fullmatch(patterns["built"], "bert-base")
    assert re.fullmatch(patterns["fetched"], "bert-base")
    assert re.fullmatch(patterns["baseline"], "bm25")
    assert not re.fullmatch(patterns["system"], "bm25")
    assert not re.fullmatch(paths.one_of([]), "")
