"""Clashes of studies: files that two studies define otherwise never lie at one path."""

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.study import clashes
from redistil.study.overlays import overlay

CONFIG = {"backbones": {"tiny": {"build": {"width": 64, "corpus": "pydocs"}}}, "negatives": {}}
WIDER = {"backbones": {"tiny": {"build": {"width": 128}}}}
MINED = {"negatives": {"mine": {"depth": 50}}}
DEEPER = {"negatives": {"mine": {"depth": 90}}}


@pytest.fixture
def refused(tmp_path):
    """Write studies, and return why `mine` is refused; '' if it is not."""

    def reason(**studies):
        for name, settings in studies.items():
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings))
        try:
            clashes.refuse(CONFIG, "mine", tmp_path)
        except BadSettings as error:
            return str(error)
        return ""

    return reason


def test_an_entry_of_the_catalogue_is_not_redefined(refused):
    said = refused(mine=WIDER)
    assert said.startswith("studies/mine.yaml, backbones.tiny: params.yaml defines it otherwise")
    assert "lie in data/backbones" in said and "`tiny-of-mine: {like: tiny, ...}`" in said


def test_an_entry_of_another_study_is_not_redefined(refused):
    assert "negatives.mine: studies/other.yaml defines it" in refused(mine=DEEPER, other=MINED)


def test_equal_entries_share_a_path(refused):
    same = {"backbones": {"tiny": {"build": {"width": 64.0}}}} | MINED
    assert refused(mine=same, other=MINED) == ""


def test_numbers_are_compared_as_taken(refused):
    """2e-3 is text to a reader of YAML 1.1, and so is what `dvc exp run -S` writes."""
    stage = {"k1": 2e-3, "b": 0.4, "stemmer": "none", "depth": 5}
    mine = {"first_stages": {"mine": stage | {"k1": "2e-3", "depth": 5.0}}}
    assert refused(mine=mine, other={"first_stages": {"mine": stage}}) == ""
    other = {"first_stages": {"mine": stage | {"k1": "3e-3"}}}
    assert "first_stages.mine: studies/other.yaml defines it" in refused(mine=mine, other=other)


def test_a_study_may_say_that_it_redefines(refused):
    assert refused(mine=WIDER | {"redefines": True}) == ""
    assert refused(mine=MINED, other=DEEPER | {"redefines": True}) == ""


def test_the_study_that_departs_is_refused(refused):
    assert refused(mine=MINED, other=DEEPER | {"like": "mine"}) == ""
    assert "negatives.mine" in refused(mine=DEEPER | {"like": "other"}, other=MINED)


def test_what_both_are_like_is_no_departure(refused):
    inherited = {"like": "base"}
    assert refused(base=MINED, mine=inherited, other=DEEPER | inherited) == ""
    said = refused(base=MINED, mine=DEEPER | inherited, another=inherited)
    assert "negatives.mine: studies/base.yaml defines it otherwise" in said


BROKEN = {
    "like nobody": {"like": "nobody"},
    "an entry like nothing": {"negatives": {"mine": {"like": "nothing"}}},
    "a list of entries": {"negatives": ["mine"]},
}


@pytest.mark.parametrize("other", BROKEN.values(), ids=BROKEN.keys())
def test_broken_studies_refuse_no_other(refused, other):
    assert refused(mine=MINED, other=other) == ""


def test_an_entry_takes_what_it_does_not_say(tmp_path):
    own = {"wide": {"like": "tiny", "build": {"width": 128}}, "wider": {"like": "wide"}}
    config = {"backbones": CONFIG["backbones"] | own}
    whole = clashes.likened(config)["backbones"]
    assert whole["wide"] == whole["wider"] == {"build": {"width": 128, "corpus": "pydocs"}}
    assert whole["tiny"] == CONFIG["backbones"]["tiny"]


@pytest.mark.parametrize("like", ["tini", "a"])
def test_likeness_ends_at_an_entry(like):
    config = {"backbones": CONFIG["backbones"] | {"a": {"like": like}}}
    wanted = "did you mean 'tiny'" if like == "tini" else "a is like a: one must end it"
    with pytest.raises(BadSettings, match=f"backbones.a.like: .*{wanted}"):
        clashes.likened(config)


def test_a_study_is_called_as_its_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("study: other\n")
    with pytest.raises(BadSettings, match=r"mine\.yaml, study: .*'mine', and not 'other'"):
        overlay("mine", tmp_path)


def test_a_loss_may_be_like_another():
    config = {"losses": {"hinge": {"objective": "hinge", "margin": 1.0}, "wide": {"like": "hinge"}}}
    assert clashes.likened(config)["losses"]["wide"] == config["losses"]["hinge"]
