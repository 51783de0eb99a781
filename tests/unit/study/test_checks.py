"""Wrong studies: refused before any job, in one sentence that says where."""

import re
import shutil

import pytest
import yaml

from redistil.errors import BadSettings
from redistil.stages import measures
from redistil.study import artefacts as study
from redistil.study import clashes, shared
from redistil.study.overlays import laid_on, overlay
from tests.made.configs import ROOT, STUDIES, config_of, flat, put, read, refusal


@pytest.fixture
def config():
    return config_of("embedded")


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_repository_passes(name):
    study.resolve(config_of(name))


PAGES = {
    "docs/own-collection.md": "embedded",
    "docs/protocol.md": "embedded",
    "docs/tables.md": "morand2026",
}


def shown():
    """Return every block of settings that a page shows, and the study that it is laid on."""
    blocks = []
    for page, study_of in PAGES.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S):
            blocks.append(pytest.param(block, study_of, id=f"{page} {len(blocks)}"))
    return blocks


SHOWN = shown()


@pytest.mark.parametrize(("block", "base"), SHOWN)
def test_settings_that_a_page_shows_are_accepted(block, base, tmp_path):
    block = block.replace("md5: THE SUM", f"md5: {'a' * 32}")
    settings = yaml.safe_load(block.replace("sha256: THE SUM", f"sha256: {'a' * 64}"))
    studies = shutil.copytree(ROOT / "studies", tmp_path / "studies")
    file = studies / "shown.yaml"
    file.write_text(yaml.safe_dump({"like": base} | settings), encoding="utf-8")
    config = read("params.yaml")
    clashes.refuse(config, "shown", studies)
    shared.refuse(config, "shown", studies)
    study.resolve(clashes.likened(laid_on(config | {"study": "shown"}, overlay("shown", studies))))


def test_pages_show_settings():
    assert len(SHOWN) >= 3


UNKNOWN = {
    "gridd": "gridd: unknown key: did you mean 'grid'?",
    "grid student": "grid.student: unknown key: did you mean 'students'?",
    "training validation mesure": "training.validation.mesure: unknown key: did you mean 'measure'",
    "training optimiser epsilom": "training.optimiser.epsilom: unknown key: did you mean 'epsilon'",
    "training sizes tiny stepz": "training.sizes.tiny.stepz: unknown key: did you mean 'steps'?",
    "losses infonce temprature": "losses.infonce.temprature: infonce takes after, reads, temp",
    "backbones tiny-splade build warmup step": "backbones.tiny-splade.build.warmup.step: the w",
}


@pytest.mark.parametrize(("path", "said"), UNKNOWN.items())
def test_an_unknown_key_is_refused_with_its_path_and_the_nearest(config, path, said):
    put(config, path, 1)
    assert refusal(config).startswith(said)


RANGES = {
    "training sizes tiny learning_rate": (
        0,
        "training.sizes.tiny.learning_rate: wanted a number ab",
    ),
    "training sizes tiny steps": (0, "training.sizes.tiny.steps: wanted at least 1, got 0"),
    "training query_length": (3, "training.query_length: wanted at least 4, got 3"),
    "losses infonce temperature": (
        -1,
        "losses.infonce.temperature: wanted a number above",
    ),
    "losses hinge margin": ("wide", "losses.hinge.margin: wanted a number, got 'wide'"),
    "losses hinge objective": ("hing", "losses.hinge.objective: wanted one of bce, hinge"),
    "reranking depth": (0, "reranking.depth: wanted at least 1, got 0"),
    "grid seeds": ([-1], "grid.seeds.0: wanted at least 0, got -1"),
    "groups": ({}, "groups: wanted at least 1 in it, got {}"),
    "grid students": ([], "grid.students: an empty list leaves nothing to train"),
    "measures": (["nDCG@10", "MRR@10"], "measures.1: wanted a measure such as nDCG@10"),
    "datasets pydocs-test test": (1, "datasets.pydocs-test.test: wanted a number below 1, got 1"),
    "first_stages bm25 b": (1.5, "first_stages.bm25.b: wanted at most 1, got 1.5"),
}


@pytest.mark.parametrize(("path", "value", "said"), flat(RANGES))
def test_a_value_out_of_range_is_refused_with_its_path(config, path, value, said):
    put(config, path, value)
    assert refusal(config).startswith(said)


def test_a_wrong_choice_names_the_nearest(config):
    put(config, "losses hinge objective", "hing")
    assert refusal(config).endswith(": did you mean 'hinge'?")


def test_a_missing_key_is_named(config):
    del config["grid"]["seeds"]
    assert refusal(config) == "grid: a key is missing: it needs `seeds`"


CONTRADICTIONS = {
    "measures": (["AP", "AP"], "measures: 'AP' is listed twice"),
    "groups Twice": (["pydocs-test", "pydocs-test"], "groups.Twice: 'pydocs-test' is listed twice"),
    # a grid that names a teacher nobody makes
    "grid teachers": (["t2"], "grid.teachers: 't2' has no model here"),
    "groups": (
        {"In domain": ["pydocs-dev"], "Out": ["pydocs-held-out"]},
        "groups.In domain: 'pydocs-dev' is not in grid.datasets",
    ),
    "grid seeds": ([1, 2, 1], "grid.seeds: 1 is listed twice"),
    "grid losses": (["bce", "bce"], "grid.losses: 'bce' is listed twice"),
    "teachers bm25": (
        {"bm25": "tiny-splade", "over": ["pydocs-lists"]},
        "teachers.bm25.bm25: 'tiny-splade' is no BM25: name a first stage with `k1`",
    ),
    "teachers pydocs-mean standardise": ("corpus", "teachers.pydocs-mean.standardise: wanted"),
    "teachers pydocs-bm25 over": (
        ["pydocs-lists", "t2"],
        "teachers.pydocs-bm25.over: negatives of msmarco-train and pydocs-train",
    ),
    "teachers twice": ({"average": ["pydocs-mean", "pydocs-bert"]}, "teachers.twice.average: 'py"),
    "sources ranked-lists": (
        {"negatives": "pydocs-lists", "passages": 16},
        "losses.adr-mse: adr-mse learns from a teacher, and sources.ranked-lists names none",
    ),
    "losses bce reads": ("scored-triples", "losses.bce: bce learns from labels, and sources.sco"),
    "sources scored-triples negatives": (
        "msmarco-docpairs",
        "sources.scored-triples: teacher 'pydocs-bert' scores ['pydocs-triples', 'pydocs-lists']",
    ),
    "sources scored-triples in_batch": (
        True,
        "sources.scored-triples.in_batch: teacher 'pydocs-mean' does not score a query with the",
    ),
    "training sizes tiny learning_rate": (
        {"triples": 1.0e-3},
        "training.sizes.tiny.learning_rate: no rate for",
    ),
    "training sizes": ({}, "students.tiny-bert.size: training.sizes has no 'tiny'"),
    "training sizes tiny batch": ({"triples": 1}, "training.sizes.tiny.batch: no batch for"),
    "training sizes teacher batch": ({"triples": 1}, "training.sizes.teacher.batch: no batch for"),
    "training sizes tiny warmup_steps": (10**6, "training.sizes.tiny.warmup_steps: more than"),
    "training query_length": (1025, "training.query_length: 1025 exceeds tokens.longest (1024)"),
    "training passage_length": (1025, "training.passage_length: 1025 exceeds tokens.longest"),
    "training pair_length": (4, "training.pair_length: 4 leaves a query of training.query_len"),
    "first_stages tiny-splade passage_length": (
        1025,
        "first_stages.tiny-splade.passage_length: 1025",
    ),
    "training validation depth": (9999, "training.validation.depth: 9999 exceeds first_stages"),
    "training validation datasets": (
        ["pydocs-test"],
        "training.validation.datasets: 'pydocs-test' is in grid.datasets: a test set cannot",
    ),
    "training validation first_stage": (
        "tiny-splad",
        "training.validation.first_stage: no first_stages entry 'tiny-splad': did you mean",
    ),
    "reranking depth": (9999, "reranking.depth: 9999 exceeds first_stages.bm25.depth"),
    "negatives pydocs-lists depth": (9999, "negatives.pydocs-lists.depth: 9999 exceeds first_"),
    "negatives other": ({"teacher": "t2", "dataset": "msmarco-train"}, "negatives.other.teacher:"),
    "grid datasets": (
        ["pydocs-test", "pydocs-train"],
        "grid.datasets: 'pydocs-train' is what is trained on",
    ),
    "teachers new": (
        {"import": "t2-triples.tsv", "format": "trec", "unknown": 0.0, "tolerance": 0.0},
        "teachers.new: what it scores belongs to a dataset: say which, as negatives.new:",
    ),
    "exports t2-tevatron passages": (2, "exports.t2-tevatron.passages: tevatron takes all"),
    "exports t2-matchmaker library": ("pylate", "exports.t2-matchmaker.passages: pylate wants"),
    "teachers rankzephyr stride": (21, "teachers.rankzephyr.stride: more than its window"),
    "losses hinge": ({"objective": "hinge", "reads": "triples"}, "losses.hinge: hinge needs `mar"),
    "losses bce margin": (1.0, "losses.bce.margin: bce takes after, reads"),
    "backbones tiny-splade build warmup": (
        {"steps": 1, "queries": 1, "negatives": 0, "learning_rate": 0.1, "seed": 1}
        | {"query_length": 9, "passage_length": 9},
        "backbones.tiny-splade.build.warmup: the warm-up of splade needs `flops`",
    ),
    "backbones tiny-splade build heads": (3, "backbones.tiny-splade.build.width: "),
    "losses infonce after": (
        "dual-ranknet",
        "losses.infonce.after: infonce after dual-ranknet after infonce: one of them must start",
    ),
    "training sizes tiny steps": (
        {"triples": 99},
        "training.sizes.tiny.steps: no steps for 'lists'",
    ),
    "losses kl weight": ("signed", "losses.kl.weight: kl takes after, reads, temp"),
    "teachers pydocs-bert over": (
        ["pydocs-lists", "msmarco-colbertv2"],
        "teachers.pydocs-bert.over: negatives of msmarco-train and pydocs-train",
    ),
    "groups loss": (["pydocs-test"], "groups: 'loss' is a column of the leaderboard"),
    "groups pydocs-test": (["pydocs-test"], "groups.pydocs-test: a dataset has this name too"),
    "teachers pydocs-bert model loss": (
        "margin-mse",
        "teachers.pydocs-bert.model.loss: 'pydocs-bert' learns from itself",
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), flat(CONTRADICTIONS))
def test_a_contradiction_is_refused(config, path, value, said):
    if path == "teachers pydocs-bert model loss":  # taught by what it is a member of
        said = "teachers.pydocs-mean.model.loss: 'pydocs-mean' learns from itself"
    put(config, path, value)
    assert refusal(config).startswith(said)


def test_what_teaches_a_teacher_is_trained_on(config):
    put(config, "sources lists negatives", "msmarco-colbertv2")
    put(config, "grid losses", ["adr-mse"])  # reads other lists; its teacher learns from infonce
    put(config, "grid datasets", ["pydocs-test", "msmarco-train"])
    assert refusal(config).startswith("grid.datasets: 'msmarco-train' is what is trained on")


@pytest.mark.parametrize("user", ["training validation", "negatives pydocs-lists"])
def test_the_caps_of_every_first_stage_in_use_are_checked(config, user):
    put(config, "first_stages splade-v3-distilbert query_length", 1025)
    study.resolve(config)  # nobody uses it
    put(config, f"{user} first_stage", "splade-v3-distilbert")
    assert refusal(config).startswith("first_stages.splade-v3-distilbert.query_length: 1025 exc")


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({"checkpoint": "ms-marco-minilm-l6"}, "model and checkpoint"),
        ({"average": ["pydocs-modernbert", "minilm-l6"]}, "model and average"),
        ({"import": "t2-triples.tsv"}, "model and import"),
        ({"llm": "rankzephyr"}, "model and llm"),
    ],
)
def test_a_teacher_is_of_one_kind(config, more, kinds):
    config["teachers"]["pydocs-bert"] |= more
    said = f"teachers.pydocs-bert: {kinds}: an entry is of one kind, keep one of these keys"
    assert refusal(config).startswith(said)


def test_a_teacher_that_is_two_kinds_in_full_is_told_so_too(config):
    config["teachers"]["minilm-l6"]["average"] = ["pydocs-bert", "pydocs-modernbert"]
    assert refusal(config).startswith("teachers.minilm-l6: checkpoint and average: an entry is")


def test_a_first_stage_is_checked_as_a_cell_of_the_grid_is(config):
    put(config, "grid losses", ["dual-ranknet"])
    put(config, "training sizes tiny batch", {"ranked-lists": 2})
    assert refusal(config) == "training.sizes.tiny.batch: no batch for 'lists'"


@pytest.mark.parametrize(
    "name", ["nDCG@10", "AP", "R@100", "RR", "R", "P@0", "ndcg@10", "AP@", "x"]
)
def test_the_schema_takes_the_measures_that_evaluate_takes(config, name):
    put(config, "measures", [name])
    try:
        measures.parse(name)
    except BadSettings:
        assert refusal(config).startswith("measures.0: ")
    else:
        study.resolve(config)


@pytest.mark.parametrize("name", ["system", "seeds", "pydocs-test"])
def test_a_group_cannot_have_the_name_of_another_column(config, name):
    config["groups"] = {name: ["pydocs-test"]}
    assert refusal(config).startswith("groups") and repr(name)[1:-1] in refusal(config)


def test_a_data_set_cannot_have_the_name_of_another_column(config):
    config["datasets"]["loss"] = config["datasets"]["pydocs-test"]
    config["grid"]["datasets"].append("loss")
    assert refusal(config).startswith("grid.datasets: 'loss' is a column of the leaderboard")


def test_the_main_table_shows_what_the_study_has(config):
    config["table"] = ["pydocs-test", "Out of domian"]
    with pytest.raises(BadSettings, match="table: no dataset or group .* did you mean 'Out of d"):
        study.resolve(config)
