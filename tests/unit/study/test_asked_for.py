"""Entries of the catalogues that a study's grid leads to, and no others."""

import pytest

from redistil.study import artefacts
from redistil.study.grid import asked_for
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


def test_an_unused_entry_is_left_out():
    config = config_of("embedded")
    before = asked_for(resolved(config))
    config["losses"]["unused"] = dict(config["losses"]["hinge"])
    config["backbones"]["unused"] = dict(config["backbones"]["tiny-bert"])
    assert asked_for(resolved(config)) == before
    config["training"]["checkpoint_every"] += 1
    assert asked_for(resolved(config)) == before
    config["grid"]["losses"].append("unused")
    assert "unused" in asked_for(resolved(config))["losses"]
