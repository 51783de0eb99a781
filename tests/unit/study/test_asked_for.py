"""Entries of the catalogues that a study's grid leads to, and no others."""

import pytest

from redistil.study import artefacts
from redistil.study.grid import CATALOGUES, asked_for
from redistil.study.reading import read as typed
from redistil.study.study import Study
from tests.made.configs import STUDIES, config_of, resolved

DATA = {"download", "export-passages", "export-queries", "fetch", "build", "tokenize", "encode"}
DATA |= {"retrieve", "retrieve-bm25", "import-run", "mine", "export-docpairs", "adopt", "score"}
DATA |= {"score-bm25", "average", "rank", "import-scores", "export-training", "collect-words"}


@pytest.mark.parametrize("name", STUDIES)
def test_unasked_entries_change_no_artefact(name):
    whole = resolved(name)
    cut = typed(Study, asked_for(whole))
    wanted, found = artefacts.settings_of(whole), artefacts.settings_of(cut)
    assert found.items() <= wanted.items()
    assert {key[0] for key in wanted.keys() - found.keys()} <= DATA
    assert asked_for(cut) == asked_for(whole)


@pytest.mark.parametrize("path", [*CATALOGUES, "training sizes"])
def test_an_unused_entry_is_left_out(path):
    config = config_of("embedded")
    before = asked_for(resolved(config))
    entries = config
    for key in path.split():
        entries = entries[key]
    entries["unused"] = dict(next(iter(entries.values())))
    assert asked_for(resolved(config)) == before


def test_every_catalogue_is_cut():
    config = config_of("embedded")
    assert {key for key, value in config.items() if _is_catalogue(value)} == set(CATALOGUES)


def _is_catalogue(value):
    return isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values())


def test_how_often_is_saved_is_left_out():
    config = config_of("embedded")
    before = asked_for(resolved(config))
    config["training"]["checkpoint_every"] += 1
    assert asked_for(resolved(config)) == before


def test_a_used_entry_is_kept():
    config = config_of("embedded")
    config["losses"]["unused"] = dict(config["losses"]["hinge"])
    config["grid"]["losses"].append("unused")
    assert "unused" in asked_for(resolved(config))["losses"]
