"""Studies as files: what one that is like another comes to, and what is left out of it."""

import copy

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.study import artefacts as study
from redistil.study import behind, paths
from redistil.study.corpora import IrdsCorpus
from redistil.study.overlays import (
    laid_on,
    leave_out,
    merged,
    overlay,
    planned,
    refuse_inherited,
    refuse_missing,
)
from redistil.study.reading import read as typed
from redistil.study.study import Study
from tests.made.configs import ROOT, config_of, resolved


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


def test_groups_follow_when_other_datasets_are_tested_on():
    base = {"grid": {"datasets": ["x", "y"]}, "groups": {"One": ["x"], "Both": ["x", "y"]}}
    base["table"] = ["x", "One", "Both"]
    fewer = laid_on(base, {"grid": {"datasets": ["x", "z"]}})
    assert fewer["groups"] == {"One": ["x"]} and fewer["table"] == ["x", "One"]
    others = laid_on(base, {"grid": {"datasets": ["z"]}})
    assert "groups" not in others and "table" not in others
    own = laid_on(base, {"grid": {"datasets": ["z"]}, "groups": {"Own": ["z"]}, "table": ["Own"]})
    assert own["groups"] == {"Own": ["z"]} and own["table"] == ["Own"]


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


def test_what_is_laid_on_a_study_is_like_none(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(BadSettings, match="^like: only a study may .* `study: mine` in place of"):
        planned({"study": "embedded"}, {"like": "mine"})


def test_merging_changes_neither_side():
    below, above = copy.deepcopy(BASE), {"grid": {"seeds": [2]}}
    assert merged(below, above)["grid"]["seeds"] == [2]
    assert below == BASE and above == {"grid": {"seeds": [2]}}


# --- what is licensed -----------------------------------------------------------------------------


@pytest.fixture
def config(monkeypatch, tmp_path):
    """The study of 22 datasets, on a machine that has nothing in place."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    return config_of("morand2026")


def test_a_licensed_collection_that_is_missing_is_left_out(config, tmp_path):
    whole = resolved(config)
    assert len(whole.grid.datasets) == 22
    left, (line,) = leave_out(whole, tmp_path)
    assert line.startswith("robust04 is left out, and with it 'Out of domain' and 'Robust04'")
    assert str(tmp_path / "home" / "disks45" / "corpus") in line
    assert len(left.grid.datasets) == 21 and "robust04" not in left.grid.datasets
    assert list(left.groups) == ["In domain", "BEIR-13", "LoTTE search"]
    assert not [key for key in study.settings_of(left) if key[1].endswith("hinge/1/robust04")]
    assert left.table == ["dev-small", "dl19", "dl20", "BEIR-13", "LoTTE search"]
    lost = {"dataset": "robust04", "groups": ["Out of domain", "Robust04"]}
    assert left.stated()["left_out"] == [lost]
    assert study.resolve(left.stated()) == left


def test_what_is_left_out_is_kept_apart_from_training(config, tmp_path):
    whole = resolved(config)
    left, _ = leave_out(whole, tmp_path)
    apart = study.test_sets(left, "msmarco-train")
    assert apart == study.test_sets(whole, "msmarco-train") and "robust04" in apart.elsewhere


def test_queries_of_licensed_texts_are_exported_without_the_texts(config, tmp_path):
    whole = resolved(config)
    left, _ = leave_out(whole, tmp_path)
    pattern = "data/corpora/passages/{corpus}.parquet"
    for one in (whole, left):  # as long as they are missing, and after
        assert paths.paths(one, pattern, "judged passages", {"dataset": "robust04"}) == []
        needed = paths.paths(one, pattern, "judged passages", {"dataset": "dl19"})
        assert needed == ["data/corpora/passages/msmarco-passage.parquet"]
    datasets, corpora = behind.collections(left)
    assert "robust04" in datasets and "robust04" not in corpora


def test_a_main_table_of_nothing_else_becomes_that_of_all_groups(config, tmp_path):
    config["table"] = ["Robust04"]
    left, lines = leave_out(resolved(config), tmp_path)
    assert lines and left.table is None


def test_it_is_taken_when_it_is_in_place_or_was_exported_before(config, tmp_path):
    whole = resolved(config)
    place = tmp_path / "home" / "disks45" / "corpus"
    place.mkdir(parents=True)
    assert leave_out(whole, tmp_path)[1]  # an empty folder is none
    (place / "FT").mkdir()
    assert leave_out(whole, tmp_path) == (whole, [])
    (place / "FT").rmdir()
    (tmp_path / "robust04.parquet").write_bytes(b"")
    assert leave_out(whole, tmp_path) == (whole, [])


def test_a_study_of_nothing_else_is_refused(config, tmp_path):
    config["grid"]["datasets"], config["groups"] = ["robust04"], {"Robust04": ["robust04"]}
    del config["table"]
    with pytest.raises(BadSettings, match="nothing is left to be measured: robust04 is left out"):
        leave_out(resolved(config), tmp_path)


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
        refuse_missing(resolved(config))
    (tmp_path / "mine").mkdir()
    refuse_missing(resolved(config))


READERS = {  # of a backbone, or of a corpus: by what the study says
    "a checkpoint it tests": ("checkpoints", ("grid", "checkpoints"), ["ours"]),
    "a teacher it tests": ("checkpoints", ("grid", "teachers"), ["minilm-l6"]),
    "a member of a mean": ("checkpoints", ("grid", "teachers"), ["mean"]),
    "a teacher it learns from": (
        "checkpoints",
        ("sources", "ranked-lists", "teacher"),
        "minilm-l6",
    ),
    "a model that ranks": ("backbones", ("sources", "ranked-lists", "teacher"), "rankzephyr"),
    "what a model ranked": ("backbones", ("sources", "lists", "negatives"), "rankzephyr"),
    "a baseline": ("backbones", ("grid", "baselines"), ["wide"]),
    "a test set elsewhere": ("corpora", ("kept_apart",), ["theirs"]),
    "a built encoder": ("corpora", ("students", "bert-base", "backbone"), "built"),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_reads_a_folder_is_found(config, reader):
    catalogue, (*path, key), value = READERS[reader]
    config["teachers"]["minilm-l6"]["checkpoint"] = "ours"
    config["teachers"]["rankzephyr"]["llm"] = "theirs"
    config["teachers"]["mean"] = {"average": ["t1", "minilm-l6"]}
    wide = config["first_stages"]["splade-v3-distilbert"]
    config["first_stages"]["wide"] = wide | {"encoder": "theirs"}
    config["datasets"]["theirs"] = {"corpus": "theirs", "split": "test", "relevant_from": 1}
    build = config["backbones"]["tiny-bert"]["build"] | {"corpus": "theirs", "dataset": "theirs"}
    config["backbones"]["built"] = {"build": build}
    for other in ("corpora", "backbones"):
        config[other]["theirs"] = {"folder": str(ROOT)}
    model = config["checkpoints"]["ms-marco-minilm-l6"] | {
        "hub": None,
        "revision": None,
        "folder": str(ROOT),
    }
    config["checkpoints"]["ours"] = model
    name = "ours" if catalogue == "checkpoints" else "theirs"
    config[catalogue][name] |= {"folder": "nowhere"}
    refuse_missing(resolved(config))  # nobody reads it
    place = config
    for part in path:
        place = place[part]
    place[key] = value
    with pytest.raises(BadSettings, match=f"{catalogue}.{name}.folder: nowhere is not a folder"):
        refuse_missing(typed(Study, config))


# --- a study that is like another -----------------------------------------------------------------


def own_study():
    """The study of docs/own-collection.md, with one more loss than it has sources."""
    config = config_of("embedded")
    config["corpora"]["mine"] = {"folder": "mine"}
    for split in ("train", "test"):
        split_of = {"corpus": "mine", "split": split, "relevant_from": 1}
        config["datasets"][f"mine-{split}"] = split_of
    drawn = config["negatives"]["pydocs-lists"] | {"dataset": "mine-train", "first_stage": "bm25"}
    config["negatives"]["mine"] = drawn
    config["sources"]["lists"]["negatives"] = "mine"
    config["grid"] |= {"losses": ["infonce", "bce"], "teachers": []}
    return config


def test_a_loss_on_inherited_data_is_refused():
    config = own_study()
    with pytest.raises(BadSettings) as refused:
        refuse_inherited(typed(Study, config), ["lists"])
    for words in ("grid.losses: 'bce' reads `triples`", "'pydocs'", "add sources.triples"):
        assert words in str(refused.value)
    refuse_inherited(typed(Study, config), [])
    config["sources"]["triples"]["negatives"] = "mine"
    refuse_inherited(typed(Study, config), ["lists"])
    refuse_inherited(typed(Study, own_study()), ["lists", "triples"])


def test_a_first_stage_of_training_counts():
    config = own_study()
    config["losses"]["second"] = {"objective": "infonce", "temperature": 1.0, "reads": "lists"}
    config["losses"]["second"]["after"] = "bce"
    config["grid"]["losses"] = ["second"]
    with pytest.raises(BadSettings, match="'second' reads `triples`"):
        refuse_inherited(typed(Study, config), ["lists"])


# --- how many shards ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "wanted"), [(1, 1), (100, 1), (101, 2), (1000, 10), (None, 1)]
)
def test_a_corpus_is_encoded_in_as_many_shards_as_its_declared_size_needs(declared, wanted):
    corpus = IrdsCorpus(irds="x", passages=declared)
    assert corpus.parts(100) == wanted
