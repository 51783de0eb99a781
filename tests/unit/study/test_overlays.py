"""Studies as files: what one that is like another comes to, and what is left out of it."""

import copy
from pathlib import Path

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study.overlays import leave_out, merged, overlay, refuse_missing

ROOT = Path(__file__).parents[3]


@pytest.fixture
def studies(tmp_path):
    """Write studies: name -> settings, or the text of the file."""

    def write(**files):
        for name, settings in files.items():
            text = settings if isinstance(settings, str) else yaml.safe_dump(settings)
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


BASE = {
    "title": "Base",
    "grid": {"losses": ["a", "b"], "seeds": [1]},
    "groups": {"One": ["x"], "Two": ["y"]},
    "training": {"sizes": {"tiny": {"steps": 5, "rate": 0.1}}},
}


def test_a_study_that_is_like_another_says_only_what_differs(studies):
    mine = {
        "like": "base",
        "grid": {"losses": ["c"]},
        "training": {"sizes": {"tiny": {"steps": 9}}},
    }
    assert overlay("mine", studies(base=BASE, mine=mine)) == BASE | {
        "grid": {"losses": ["c"], "seeds": [1]},
        "training": {"sizes": {"tiny": {"steps": 9, "rate": 0.1}}},
    }


def test_groups_are_replaced_as_a_whole(studies):
    folder = studies(
        base=BASE,
        mine={"like": "base", "groups": {"Mine": ["z"]}},
        ours={"like": "mine", "title": "Ours"},
    )
    assert overlay("mine", folder)["groups"] == {"Mine": ["z"]}
    assert overlay("ours", folder) == BASE | {"groups": {"Mine": ["z"]}, "title": "Ours"}


def test_a_study_like_none_is_its_own_file(studies):
    assert overlay("base", studies(base=BASE)) == BASE


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("bsae", "study: no .*bsae.yaml: did you mean 'base'"),
        ("lost", "studies/lost.yaml: like: no .*nobody.yaml"),
        ("hen", "hen is like egg is like hen"),
        ("list", "wanted a mapping"),
        ("empty", "wanted a mapping"),
        ("broken", "not readable YAML"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_sentence(studies, name, complaint):
    folder = studies(base=BASE, lost={"like": "nobody"}, hen={"like": "egg"}, egg={"like": "hen"})
    studies(list="- a\n- b\n", empty="", broken="a: [1,\n  b: }")
    with pytest.raises(BadSettings, match=complaint) as caught:
        overlay(name, folder)
    assert "\n" not in str(caught.value)


def test_merging_changes_neither_side():
    below, above = copy.deepcopy(BASE), {"grid": {"seeds": [2]}}
    assert merged(below, above)["grid"]["seeds"] == [2]
    assert below == BASE and above == {"grid": {"seeds": [2]}}


# --- what is licensed -----------------------------------------------------------------------------


@pytest.fixture
def config(monkeypatch, tmp_path):
    """The study of 22 data sets, on a machine that has nothing in place."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    whole = merged(params, overlay("morand2026", ROOT / "studies")) | {"study": "morand2026"}
    study.check(whole, yaml.safe_load((ROOT / "workflow/schemas/params.schema.yaml").read_text()))
    return whole


def test_a_licensed_collection_that_is_not_in_place_is_one_line_and_no_failure(config, tmp_path):
    assert len(config["grid"]["datasets"]) == 22
    (line,) = leave_out(config, tmp_path)
    assert line.startswith("robust04 is left out, and with it 'Out of domain' and 'Robust04'")
    assert str(tmp_path / "home" / "disks45" / "corpus") in line
    assert len(config["grid"]["datasets"]) == 21 and "robust04" not in config["grid"]["datasets"]
    assert list(config["groups"]) == ["In domain", "BEIR-13", "LoTTE search"]
    assert not [key for key in study.asked(config) if key[1].endswith("hinge/1/robust04")]
    assert config["table"] == ["dev-small", "dl19", "dl20", "BEIR-13", "LoTTE search"]
    lost = {"dataset": "robust04", "groups": ["Out of domain", "Robust04"]}
    assert config["left_out"] == [lost]


def test_a_main_table_of_nothing_else_becomes_that_of_all_groups(config, tmp_path):
    config["table"] = ["Robust04"]
    assert leave_out(config, tmp_path) and "table" not in config


def test_it_is_taken_when_it_is_in_place_or_was_exported_before(config, tmp_path):
    wanted = copy.deepcopy(config)
    place = tmp_path / "home" / "disks45" / "corpus"
    place.mkdir(parents=True)
    assert leave_out(copy.deepcopy(config), tmp_path)  # an empty folder is none
    (place / "FT").mkdir()
    assert leave_out(config, tmp_path) == [] and config == wanted
    (place / "FT").rmdir()
    (tmp_path / "robust04.parquet").write_bytes(b"")
    assert leave_out(config, tmp_path) == [] and config == wanted


def test_a_study_of_nothing_else_is_refused(config, tmp_path):
    config["grid"]["datasets"], config["groups"] = ["robust04"], {"Robust04": ["robust04"]}
    with pytest.raises(BadSettings, match="nothing is left to be measured: robust04 is left out"):
        leave_out(config, tmp_path)


# --- folders of one's own -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "corpora.arguana",
        "corpora.msmarco-passage",
        "corpora.nano-nq",  # of the validation
        "backbones.bert-base",
        "backbones.splade-v3-distilbert",  # of the first stage
    ],
)
def test_a_folder_that_the_study_reads_and_that_is_not_there_is_refused(config, tmp_path, key):
    catalogue, name = key.split(".")
    config[catalogue][name] = {"folder": str(tmp_path / "mine")}
    with pytest.raises(BadSettings, match=f"{key}.folder: .*mine is not a folder: check the path"):
        refuse_missing(config)
    (tmp_path / "mine").mkdir()
    refuse_missing(config)


READERS = {  # of a backbone, or of a corpus: by what the study says
    "a teacher it tests": ("backbones", ("grid", "teachers"), ["minilm-l6"]),
    "a member of a mean": ("backbones", ("grid", "teachers"), ["mean"]),
    "a teacher it learns from": ("backbones", ("sources", "ranked-lists", "teacher"), "minilm-l6"),
    "a model that ranks": ("backbones", ("sources", "ranked-lists", "teacher"), "rankzephyr"),
    "what a model ranked": ("backbones", ("sources", "lists", "negatives"), "rankzephyr"),
    "a baseline": ("backbones", ("grid", "baselines"), ["wide"]),
    "a test set elsewhere": ("corpora", ("datasets", "msmarco-train", "apart_from"), ["theirs"]),
    "a built encoder": ("corpora", ("students", "bert-base", "backbone"), "built"),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_reads_a_folder_is_found(config, reader):
    catalogue, (*path, key), value = READERS[reader]
    config["teachers"]["minilm-l6"]["checkpoint"] = "theirs"
    config["teachers"]["rankzephyr"]["llm"] = "theirs"
    config["teachers"]["mean"] = {"average": ["t1", "minilm-l6"]}
    config["first_stages"]["wide"] = {"encoder": "theirs"}
    config["datasets"]["theirs"] = {"corpus": "theirs"}
    config["backbones"]["built"] = {"build": {"corpus": "theirs", "dataset": "theirs"}}
    config[catalogue]["theirs"] = {"folder": "nowhere"}
    refuse_missing(config)  # nobody reads it
    place = config
    for part in path:
        place = place[part]
    place[key] = value
    with pytest.raises(BadSettings, match=f"{catalogue}.theirs.folder: nowhere is not a folder"):
        refuse_missing(config)


# --- how many shards ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "wanted"), [(1, 1), (100, 1), (101, 2), (1000, 10), (None, 1)]
)
def test_a_corpus_is_encoded_in_as_many_shards_as_its_declared_size_needs(declared, wanted):
    corpus = {"irds": "x"} | ({"documents": declared} if declared else {})
    config = {"corpora": {"c": corpus}, "first_stages": {"s": {"shard": 100}}}
    assert study.shards(config, "s", "c") == wanted
