"""Texts that nobody may hand on: what `.dvcignore` names of them, and who may show them."""

import pytest
from pathspec import GitIgnoreSpec

from redistil.errors import Stale
from redistil.study import artefacts, paths, withheld
from tests.made.configs import config_of, resolved


@pytest.fixture
def config(monkeypatch, tmp_path):
    """The default study, in an empty folder, whose training corpus is withheld."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(withheld.RUN_BY_DVC, raising=False)
    config = config_of("embedded")
    config["corpora"]["pydocs"]["push"] = False
    return config


@pytest.mark.parametrize(
    "path",
    [
        "data/corpora/passages/pydocs.parquet",
        "data/corpora/queries/pydocs-train.parquet",
        "data/corpora/queries/pydocs-test.parquet",
        "data/tokens/tiny-bert/passages/pydocs.arrow",
        "data/tokens/tiny-splade/queries/pydocs-dev.arrow",
        "data/candidates/tiny-splade/vectors/pydocs/0.parquet",
        "results/embedded/report/contrasts/pydocs-test.parquet",
    ],
)
def test_what_holds_the_texts_is_named(config, path):
    assert GitIgnoreSpec.from_lines(withheld.patterns(resolved(config))).match_file(path)
    del config["corpora"]["pydocs"]["push"]
    assert not GitIgnoreSpec.from_lines(withheld.patterns(resolved(config))).match_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "data/corpora/passages/pydocs-held-out.parquet",
        "data/corpora/queries/pydocs-held-out.parquet",
        "data/corpora/qrels/pydocs-test.parquet",
        "data/candidates/bm25/pydocs-test.parquet",
        "data/tokens/tiny-bert/passages/pydocs-held-out.arrow",
        "results/embedded/runs/tiny-bert/hinge/1/pydocs-test.parquet",
    ],
)
def test_nothing_else_is_named(config, path):
    assert not GitIgnoreSpec.from_lines(withheld.patterns(resolved(config))).match_file(path)


def test_licensed_texts_are_withheld(config):
    named = withheld.patterns(resolved(config))
    assert "/data/corpora/passages/robust04.parquet" in named
    config["corpora"]["robust04"]["push"] = True  # what a licence forbids, nobody allows
    assert withheld.patterns(resolved(config)) == named


def test_what_is_lacking_is_added_once(config, tmp_path):
    file = tmp_path / ".dvcignore"
    file.write_text("*.partial")
    (said,) = withheld.listed(resolved(config))
    lines = file.read_text().splitlines()
    assert lines == ["*.partial", *withheld.patterns(resolved(config))]
    assert said.startswith(f"{len(lines) - 1} lines were added to .dvcignore")
    assert "the texts of pydocs and robust04" in said
    assert withheld.listed(resolved(config)) == []
    del config["corpora"]["pydocs"]["push"]
    assert withheld.listed(resolved(config)) == []
    assert file.read_text().splitlines() == lines  # the files may still be there


def test_dvc_has_to_read_it_again(config, monkeypatch):
    monkeypatch.setenv(withheld.RUN_BY_DVC, "reproduce")
    with pytest.raises(Stale, match="DVC had read it before: start DVC again"):
        withheld.listed(resolved(config))
    assert withheld.listed(resolved(config)) == []


def test_the_page_does_not_carry_the_texts(config):
    shown = "results/{study}/report/contrasts/{dataset}.parquet"
    held_out = "results/embedded/report/contrasts/pydocs-held-out.parquet"
    assert paths.paths(resolved(config), shown, "pushed", {}) == [held_out]


def test_it_changes_nothing_that_is_made(config):
    withheld_settings = artefacts.settings_of(resolved(config))
    del config["corpora"]["pydocs"]["push"]
    assert artefacts.settings_of(resolved(config)) == withheld_settings
