"""Studies: what is refused before any job, and which settings decide which artefact."""

import copy
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from redistil import lineage, measures, study
from redistil.cli import COMMANDS, cli
from redistil.cli.options import How, Settings, Source
from redistil.errors import BadSettings
from redistil.overlays import merged, overlay

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))


def read(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


SCHEMA = read("workflow/schemas/params.schema.yaml")


def config_of(name):
    return copy.deepcopy(
        merged(read("params.yaml") | {"study": name}, overlay(name, ROOT / "studies"))
    )


@pytest.fixture
def config():
    return config_of("embedded")


def put(config, path, value):
    *folders, name = path.split(" ")
    for folder in folders:
        config = config[folder]
    config[name] = value


def refusal(config):
    with pytest.raises(BadSettings) as caught:
        study.check(config, SCHEMA)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_repository_passes(name):
    study.check(config_of(name), SCHEMA)


PAGES = {"README.md": "embedded", "docs/protocol.md": "embedded", "docs/tables.md": "morand2026"}
SHOWN = [
    pytest.param(block, study_of, id=f"{page} {number}")
    for page, study_of in PAGES.items()
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    )
]


@pytest.mark.parametrize(("block", "base"), SHOWN)
def test_settings_that_a_page_shows_are_accepted(block, base):
    block = block.replace("md5: THE SUM", f"md5: {'a' * 32}")
    settings = yaml.safe_load(block.replace("sha256: THE SUM", f"sha256: {'a' * 64}"))
    config = config_of(settings.pop("like", base))
    config["downloads"]["theirs.tsv"] = {"url": "https://example.org/theirs.tsv", "md5": "a" * 32}
    if "groups" in settings:
        config.pop("groups")
    if "table" not in settings and "grid" in settings:
        config.pop("table", None)
    study.check(merged(config, settings), SCHEMA)


def test_pages_show_settings():
    assert len(SHOWN) >= 7


UNKNOWN = {
    "gridd": "gridd: unknown key: did you mean 'grid'?",
    "grid student": "grid.student: unknown key: did you mean 'students'?",
    "training validation mesure": "training.validation.mesure: unknown key: did you mean 'measure'",
    "training optimiser epsilom": "training.optimiser.epsilom: unknown key: did you mean 'epsilon'",
    "training sizes tiny stepz": "training.sizes.tiny.stepz: unknown key: did you mean 'steps'?",
    "losses infonce temprature": "losses.infonce.temprature: unknown key: did you mean 'temp",
    "backbones tiny-splade build warmup step": "backbones.tiny-splade.build.warmup.step: unk",
}


@pytest.mark.parametrize(("path", "said"), UNKNOWN.items())
def test_an_unknown_key_is_refused_with_its_path_and_the_nearest(config, path, said):
    put(config, path, 1)
    assert refusal(config).startswith(said)


RANGES = {
    "training sizes tiny learning_rate": (0, "training.sizes.tiny.learning_rate: 0 is"),
    "training sizes tiny steps": (0, "training.sizes.tiny.steps: 0 is"),
    "training query_length": (3, "training.query_length: 3 is"),
    "losses infonce temperature": (-1, "losses.infonce.temperature: -1 is"),
    "losses hinge margin": ("wide", "losses.hinge.margin: 'wide' is not of type 'number'"),
    "losses hinge objective": ("hing", "losses.hinge.objective: 'hing' is not one of"),
    "reranking depth": (0, "reranking.depth: 0 is"),
    "grid seeds": ([-1], "grid.seeds.0: -1 is"),
    "grid students": ([], "grid.students: [] should be non-empty"),
    "measures": (["nDCG@10", "MRR@10"], "measures.1: 'MRR@10' does not match"),
    "datasets pydocs-test test": (1, "datasets.pydocs-test.test: 1 is"),
    "first_stages bm25 b": (1.5, "first_stages.bm25.b: 1.5 is"),
}


@pytest.mark.parametrize(("path", "value", "said"), [(k, *v) for k, v in RANGES.items()])
def test_a_value_out_of_range_is_refused_with_its_path(config, path, value, said):
    put(config, path, value)
    assert refusal(config).startswith(said)


def test_a_wrong_choice_names_the_nearest(config):
    put(config, "losses hinge objective", "hing")
    assert refusal(config).endswith(": did you mean 'hinge'?")


def test_a_missing_key_is_named(config):
    del config["grid"]["seeds"]
    assert refusal(config) == "grid: 'seeds' is a required property"


NAMES = {
    "grid students": (["tiny-bret"], "grid.students: no students entry 'tiny-bret'", "tiny-bert"),
    "grid losses": (["infonse"], "grid.losses: no losses entry 'infonse'", "infonce"),
    "grid datasets": (["pydoc-test"], "grid.datasets: no datasets entry", "pydocs-test"),
    "grid teachers": (["pydocs-maen"], "grid.teachers: no teachers entry", "pydocs-mean"),
    "grid first_stage": ("tiny-spalde", "grid.first_stage: no first_stages entry", "tiny-splade"),
    "grid baselines": (["bm52"], "grid.baselines: no first_stages entry 'bm52'", "bm25"),
    "sources lists negatives": ("pydoc-lists", "sources.lists.negatives: no neg", "pydocs-lists"),
    "sources ranked-lists teacher": ("pydocs-men", "sources.ranked-lists.teacher:", "pydocs-mean"),
    "losses dual-ranknet after": ("infonse", "losses.dual-ranknet.after: no losses", "infonce"),
    "losses bce reads": ("triplets", "losses.bce.reads: no sources entry", "triples"),
    "datasets pydocs-test corpus": ("pydoc", "datasets.pydocs-test.corpus: no corpora", "pydocs"),
    "students tiny-bert backbone": ("tinybert", "students.tiny-bert.backbone:", "tiny-bert"),
    "students tiny-bert size": ("tinny", "students.tiny-bert.size: training.sizes has no", "tiny"),
    "first_stages tiny-splade encoder": ("splade", "first_stages.tiny-splade.enc", "tiny-splade"),
    "negatives pydocs-lists dataset": ("pydocs", "negatives.pydocs-lists.dataset:", "pydocs-"),
    "teachers pydocs-mean average": (["pydocs-bert", "x"], "teachers.pydocs-mean.average: no", ""),
    "teachers rankzephyr llm": (
        "rankzephir",
        "teachers.rankzephyr.llm: no backbones",
        "rankzephyr",
    ),
    "teachers minilm-l6 checkpoint": ("minilm", "teachers.minilm-l6.checkpoint: no backbones", ""),
    "exports t2-tevatron teacher": ("t-2", "exports.t2-tevatron.teacher: no teachers entry", "t2"),
    "training sizes tiny batch": ({"list": 4}, "training.sizes.tiny.batch: no sources", "lists"),
    "training sizes tiny steps": ({"list": 4}, "training.sizes.tiny.steps: no sources", "lists"),
    "datasets dl19 apart_from": (["dl-20"], "datasets.dl19.apart_from: no datasets", "dl20"),
    "teachers t2 import": ("t2.tsv", "teachers.t2.import: no downloads entry", "t2-triples.tsv"),
    "backbones tiny-bert build corpus": ("pydoc", "backbones.tiny-bert.build.corpus:", "pydocs"),
    "teachers pydocs-bert model student": ("tiny", "teachers.pydocs-bert.model.student: no", "ti"),
}


@pytest.mark.parametrize(("path", "value", "said", "near"), [(k, *v) for k, v in NAMES.items()])
def test_a_name_that_no_catalogue_has_is_refused_with_the_nearest(config, path, value, said, near):
    put(config, path, value)
    sentence = refusal(config)
    assert sentence.startswith(said)
    assert f"did you mean '{near}" in sentence or not near


CONTRADICTIONS = {
    # a grid that names a teacher nobody makes
    "grid teachers": (["t2"], "grid.teachers: 't2' has no model here"),
    "groups": (
        {"In domain": ["pydocs-dev"], "Out": ["pydocs-held-out"]},
        "groups.In domain: 'pydocs-dev' is not in grid.datasets",
    ),
    "grid seeds": ([1, 2, 1], "grid.seeds: a value is listed twice"),
    "grid losses": (["bce", "bce"], "grid.losses: a value is listed twice"),
    "teachers twice": ({"average": ["pydocs-mean", "pydocs-bert"]}, "teachers.twice.average: 'py"),
    "sources ranked-lists": (
        {"negatives": "pydocs-lists", "documents": 16},
        "losses.adr-mse: adr-mse learns from a teacher, and sources.ranked-lists names none",
    ),
    "losses bce reads": ("scored-triples", "losses.bce: bce learns from labels, and sources.sco"),
    "sources scored-triples negatives": (
        "msmarco-docpairs",
        "sources.scored-triples: teacher 'pydocs-bert' scores ['pydocs-triples', 'pydocs-lists']",
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
    "reranking depth": (9999, "reranking.depth: 9999 exceeds first_stages.tiny-splade.depth"),
    "negatives pydocs-lists depth": (9999, "negatives.pydocs-lists.depth: 9999 exceeds first_"),
    "negatives other": ({"teacher": "t2", "dataset": "msmarco-train"}, "negatives.other.teacher:"),
    "datasets pydocs-train apart_from": (
        ["pydocs-test"],
        "datasets.pydocs-train.apart_from: 'pydocs-held-out' is in grid.datasets",
    ),
    "teachers new": (
        {"import": "t2-triples.tsv", "format": "trec", "unknown": 0.0, "tolerance": 0.0},
        "teachers.new: what it scores belongs to a dataset: say which, as negatives.new:",
    ),
    "exports t2-tevatron documents": (2, "exports.t2-tevatron.documents: tevatron takes all"),
    "exports t2-matchmaker library": ("pylate", "exports.t2-matchmaker.documents: pylate wants"),
    "teachers rankzephyr stride": (21, "teachers.rankzephyr.stride: more than its window"),
    "losses hinge": ({"objective": "hinge", "reads": "triples"}, "losses.hinge: hinge needs `mar"),
    "losses bce margin": (1.0, "losses.bce.margin: bce takes no option"),
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
    "losses kl weight": ("signed", "losses.kl.weight: kl takes temperature"),
    "teachers pydocs-bert over": (
        ["pydocs-lists", "msmarco-colbertv2"],
        "teachers.pydocs-bert.over: negatives of msmarco-train and pydocs-train",
    ),
    "groups loss": (["pydocs-test"], "groups: 'loss' is a column of the leaderboard"),
    "groups pydocs-test": (["pydocs-test"], "groups.pydocs-test: a data set has this name too"),
    "teachers pydocs-bert model loss": (
        "margin-mse",
        "teachers.pydocs-bert.model.loss: 'pydocs-bert' learns from itself",
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), [(k, *v) for k, v in CONTRADICTIONS.items()])
def test_a_contradiction_is_refused(config, path, value, said):
    if path == "teachers pydocs-bert model loss":  # taught by what it is a member of
        said = "teachers.pydocs-mean.model.loss: 'pydocs-mean' learns from itself"
    put(config, path, value)
    assert refusal(config).startswith(said)


def test_what_teaches_a_teacher_is_apart_from_the_tests_too(config):
    put(config, "sources lists negatives", "msmarco-colbertv2")
    put(config, "grid losses", ["adr-mse"])  # reads other lists; its teacher learns from infonce
    said = "datasets.msmarco-train.apart_from: 'pydocs-test' is in grid.datasets"
    assert refusal(config).startswith(said)


@pytest.mark.parametrize("user", ["training validation", "negatives pydocs-lists"])
def test_the_caps_of_every_first_stage_in_use_are_checked(config, user):
    put(config, "first_stages splade-v3-distilbert query_length", 1025)
    study.check(config, SCHEMA)  # nobody uses it
    put(config, f"{user} first_stage", "splade-v3-distilbert")
    assert refusal(config).startswith("first_stages.splade-v3-distilbert.query_length: 1025 exc")


def test_a_published_re_ranker_is_tested_and_teaches_as_a_trained_one_does(config):
    put(config, "teachers minilm-l6 over", ["pydocs-triples", "pydocs-lists"])
    put(config, "sources ranked-lists teacher", "minilm-l6")
    put(config, "grid teachers", ["minilm-l6"])
    study.check(config, SCHEMA)
    asked = study.asked(config)
    lengths = {"query_length": 64, "passage_length": 445, "pair_length": 512}
    assert asked["adopt", "minilm-l6"] == lengths | {"architecture": "cat", "pair_form": "native"}
    assert ("score", "minilm-l6") in asked and ("rerank", "minilm-l6/pydocs-test") in asked
    for key, value, said in (
        ("passage_length", 1025, "passage_length: 1025 exceeds tokens.longest (1024)"),
        ("query_length", 512, "pair_length: 512 leaves a query of teachers.minilm-l6.query_length"),
    ):
        changed = copy.deepcopy(config)
        put(changed, f"teachers minilm-l6 {key}", value)
        assert refusal(changed).startswith(f"teachers.minilm-l6.{said}")


def test_an_imported_first_stage_may_have_a_run_for_each_dataset(config):
    runs = {"pydocs-test": "bm25-msmarco-train.run"}
    put(config, "first_stages theirs", {"import": runs})
    study.check(config, SCHEMA)
    made = {name for command, name in study.asked(config) if command == "import-run"}
    assert {name for name in made if name.startswith("theirs/")} == {"theirs/pydocs-test"}
    assert "colbertv2/pydocs-test" in made and "colbertv2/dl19" in made
    assert study.imported_run(config, "theirs", "pydocs-test") == "bm25-msmarco-train.run"
    assert study.imported_run(config, "theirs", "dl19") is None
    put(config, "grid baselines", ["theirs"])
    assert refusal(config) == "first_stages.theirs.import: no run for 'pydocs-held-out' of the grid"
    runs["pydocs-test"] = "bm25-msmarco-train"
    said = (
        "first_stages.theirs.import.pydocs-test: no downloads entry 'bm25-msmarco-train': did you"
    )
    assert refusal(config).startswith(said)
    put(config, "first_stages theirs", {"import": {"pydocs-tset": "bm25-msmarco-train.run"}})
    said = "first_stages.theirs.import: no datasets entry 'pydocs-tset': did you mean 'pydocs-test'"
    assert refusal(config).startswith(said)


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({"checkpoint": "minilm-l6-msmarco"}, "model and checkpoint"),
        ({"average": ["pydocs-modernbert", "minilm-l6"]}, "model and average"),
        ({"import": "t2-triples.tsv"}, "model and import"),
        ({"llm": "rankzephyr"}, "model and llm"),
    ],
)
def test_a_teacher_is_of_one_kind(config, more, kinds):
    config["teachers"]["pydocs-bert"] |= more
    said = f"teachers.pydocs-bert: {kinds}: a teacher is of one kind, keep one of these keys"
    assert refusal(config) == said


def test_a_teacher_that_is_two_kinds_in_full_is_told_so_too(config):
    config["teachers"]["minilm-l6"]["average"] = ["pydocs-bert", "pydocs-modernbert"]
    assert refusal(config).startswith("teachers.minilm-l6: checkpoint and average: a teacher is")


def test_a_licence_that_is_learnt_of_later_remakes_nothing(config):
    before = study.asked(config)
    for owner, name in (
        ("corpora", "pydocs"),
        ("backbones", "rankzephyr"),
        ("teachers", "rankzephyr"),
    ):
        put(config, f"{owner} {name} licence", "MIT")
    study.check(config, SCHEMA)
    assert study.asked(config) == before


def test_a_first_stage_is_trained_though_the_grid_does_not_name_it(config):
    put(config, "grid losses", ["dual-ranknet"])
    study.check(config, SCHEMA)
    asked = study.asked(config)
    for cell in study.grid_cells(config):
        first = study.Cell(cell.student, "infonce", cell.seed)
        assert study.predecessor(config, cell) == first
        assert asked["train", cell.name]["predecessor"] == first.name
        assert asked["train", first.name]["predecessor"] is None
        assert "after" not in asked["train", cell.name]["options"]
    assert {system.loss for system in study.systems(config) if system.kind == "student"} == {
        "dual-ranknet"
    }


def test_a_first_stage_is_checked_as_a_cell_of_the_grid_is(config):
    put(config, "grid losses", ["dual-ranknet"])
    put(config, "training sizes tiny batch", {"ranked-lists": 2})
    assert refusal(config) == "training.sizes.tiny.batch: no batch for 'lists'"


def test_what_teaches_a_first_stage_is_trained_too_and_never_taught_by_the_second(config):
    put(config, "losses dual-ranknet after", "margin-mse")
    put(config, "sources ranked-lists", {"negatives": "pydocs-lists", "documents": 16})
    put(config, "grid losses", ["dual-ranknet"])
    put(config, "grid teachers", [])
    study.check(config, SCHEMA)
    assert set(study.teacher_cells(config)) == {"pydocs-bert", "pydocs-modernbert"}
    put(config, "teachers pydocs-bert model loss", "dual-ranknet")
    assert "learns from itself" in refusal(config)


def test_steps_may_be_of_a_source_as_batches_are(config):
    size = config["training"]["sizes"]["tiny"]
    size["steps"] = dict.fromkeys(size["batch"], 200) | {"ranked-lists": 50}
    study.check(config, SCHEMA)
    steps = {
        loss: study.recipe(config, study.Cell("tiny-bert", loss, 1))["steps"]
        for loss in ("bce", "infonce", "adr-mse")
    }
    assert steps == {"bce": 200, "infonce": 200, "adr-mse": 50}


def test_rank_distillm_has_its_two_stages():
    config = config_of("rank-distillm")
    study.check(config, SCHEMA)
    recipes = {c.loss: study.recipe(config, c) for c in study.trained_cells(config)}
    assert len(recipes) == 6 and len(study.trained_cells(config)) == 6
    first, single, dual = (recipes[n] for n in ("infonce", "distill-ranknet", "dual-ranknet"))
    assert dual["predecessor"] == "electra-base/infonce/42"
    assert first["predecessor"] is single["predecessor"] is None
    told = {"loss", "predecessor"}
    assert {k: v for k, v in single.items() if k not in told} == {
        k: v for k, v in dual.items() if k not in told
    }
    assert (first["steps"], first["batch"], first["documents"]) == (20000, 32, 8)
    assert (dual["steps"], dual["batch"], dual["documents"]) == (938, 32, 100)


def test_a_teacher_may_be_taught_by_another(config):
    put(config, "teachers pupil", {"model": {**PUPIL}, "over": ["pydocs-lists"]})
    put(config, "sources ranked-lists teacher", "pupil")
    put(config, "training sizes tiny batch lists", 4)
    put(config, "grid losses", ["adr-mse"])
    put(config, "grid teachers", [])
    study.check(config, SCHEMA)
    assert set(study.teacher_cells(config)) == {"pupil", "pydocs-bert", "pydocs-modernbert"}
    assert ("train", "tiny-bert/margin-mse/7") in study.asked(config)


PUPIL = {"student": "tiny-bert", "loss": "margin-mse", "seed": 7}


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
        study.check(config, SCHEMA)


# --- the grid -----------------------------------------------------------------------------------


def test_the_paper_has_its_grid():
    config = config_of("morand2026")
    cells = study.grid_cells(config)
    assert len(cells) == len(set(cells)) == 9 * 6 * 3
    assert len(config["grid"]["datasets"]) == len(set(config["grid"]["datasets"])) == 22
    assert study.teacher_cells(config) == {}
    assert sum(made == "rerank" for made, _ in study.asked(config)) == 9 * 6 * 3 * 22


def test_the_systems_are_baselines_teachers_and_students(config):
    config["grid"] |= {"students": ["s", "t"], "losses": ["bce", "kl"], "seeds": [1, 2]}
    systems = study.systems(config)
    kinds = [system.kind for system in systems]
    assert kinds == ["random"] + ["first stage"] * 2 + ["teacher"] * 3 + ["student"] * 8
    assert [system.name for system in systems[:3]] == ["random/1", "tiny-splade", "bm25"]
    assert systems[-1] == study.System("t/kl/2", "student", "t", "kl", 2)


WORDS = [
    ({"student": "tiny-bert"}, {"backbone": "tiny-bert"}),
    ({"student": "tiny-bert-teacher"}, {"backbone": "tiny-bert"}),
    (
        {"loss": "infonce"},
        {"negatives": "pydocs-lists", "teacher": None, "dataset": "pydocs-train"}
        | {"corpus": "pydocs", "first_stage": "tiny-splade"},
    ),
    ({"loss": "margin-mse"}, {"negatives": "pydocs-triples", "teacher": "pydocs-mean"}),
    ({"dataset": "pydocs-held-out"}, {"corpus": "pydocs-held-out"}),
    ({"negatives": "t2"}, {"dataset": "msmarco-train", "first_stage": None}),
    ({"built": "tiny-splade"}, {"dataset": "pydocs-train", "corpus": "pydocs"}),
    ({"splade": "tiny-splade", "corpus": "fiqa"}, {"backbone": "tiny-splade", "corpus": "fiqa"}),
    ({"loss": "bce", "dataset": "pydocs-dev"}, {"dataset": "pydocs-dev", "corpus": "pydocs"}),
]


@pytest.mark.parametrize(("known", "derived"), WORDS)
def test_words_follow_from_the_catalogues(config, known, derived):
    found = study.words(config, **known)
    assert {word: found[word] for word in derived} == derived


# --- what each artefact is asked to be ----------------------------------------------------------


def changed(before, after):
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_a_losss_parameter_changes_only_its_cells_recipes(config):
    before = study.asked(config)
    config["losses"]["hinge"]["margin"] = 2.0
    cells = [cell for cell in study.grid_cells(config) if cell.loss == "hinge"]
    assert changed(before, study.asked(config)) == {("train", cell.name) for cell in cells}


def test_a_teachers_loss_changes_its_students_cells_and_the_teachers(config):
    before = study.asked(config)
    config["losses"]["infonce"]["temperature"] = 2.0
    names = {name for _, name in changed(before, study.asked(config))}
    cells = [*study.grid_cells(config), *study.teacher_cells(config).values()]
    assert names == {cell.name for cell in cells if cell.loss == "infonce"}


def test_a_seed_adds_only_its_cells(config):
    before = study.asked(config)
    config["grid"]["seeds"].append(77)
    after = study.asked(config)
    gathered = {"sweep"}  # of all runs of a student
    assert all(after[k] == value for k, value in before.items() if k[0] not in gathered)
    added = after.keys() - before.keys()
    assert {command for command, _ in added} == {"train", "rerank", "evaluate"}
    assert all("/77" in name for _, name in added)


def test_a_dataset_leaves_every_training_alone(config):
    before = study.asked(config)
    config["grid"]["datasets"] = ["pydocs-test"]
    config["groups"] = {"In domain": ["pydocs-test"]}
    after = study.asked(config)
    remade = {"rerank", "shuffle", "evaluate", "sweep", "contrast"}
    assert {command for command, _ in changed(before, after)} == remade


def test_a_threshold_of_a_dataset_remakes_its_measures_only(config):
    before = study.asked(config)
    config["datasets"]["pydocs-test"]["relevant_from"] = 2
    remade = {command for command, _ in changed(before, study.asked(config))}
    assert remade == {"evaluate", "sweep"}


def test_a_measure_of_a_dataset_remakes_measures_only(config):
    before = study.asked(config)
    config["datasets"]["pydocs-test"]["measures"] = ["Success@5", "nDCG@10"]
    assert {command for command, _ in changed(before, study.asked(config))} == {"evaluate"}
    assert study.asked(config)["evaluate", "bm25"]["more"] == {"pydocs-test": ["Success@5"]}
    assert study.measures_of(config, "pydocs-test")[-1] == "Success@5"


def test_the_ticks_of_a_sweep_end_at_the_depth():
    assert study.sweep_depths(20) == [0, 1, 2, 5, 10, 20]
    assert study.sweep_depths(1) == [0, 1]
    assert study.sweep_depths(1000)[-3:] == [200, 500, 1000]


@pytest.mark.parametrize("name", ["system", "seeds", "pydocs-test"])
def test_a_group_cannot_have_the_name_of_another_column(config, name):
    config["groups"] = {name: ["pydocs-test"]}
    assert refusal(config).startswith("groups") and repr(name)[1:-1] in refusal(config)


def test_a_data_set_cannot_have_the_name_of_another_column(config):
    config["datasets"]["loss"] = config["datasets"]["pydocs-test"]
    put(config, "datasets pydocs-train apart_from", ["pydocs-test", "pydocs-held-out", "loss"])
    config["grid"]["datasets"].append("loss")
    assert refusal(config).startswith("grid.datasets: 'loss' is a column of the leaderboard")


def test_the_main_table_shows_what_the_study_has(config):
    config["table"] = ["pydocs-test", "Out of domian"]
    with pytest.raises(BadSettings, match="table: no dataset or group .* did you mean 'Out of d"):
        study.check(config, SCHEMA)


def test_a_recipe_says_all_that_a_training_needs(config):
    found = study.recipe(config, study.Cell("tiny-bert", "adr-mse", 2))
    size = config["training"]["sizes"]["tiny"]
    assert found["objective"] == "adr-mse" and found["options"] == {"temperature": 1.0}
    assert found["seed"] == 2 and found["backbone"] == "tiny-bert"
    assert (found["negatives"], found["teacher"]) == ("pydocs-lists", "pydocs-mean")
    assert found["documents"] == config["sources"]["ranked-lists"]["documents"]
    assert found["batch"] == size["batch"]["ranked-lists"]
    assert all(found[key] == size[key] for key in ("steps", "warmup_steps", "learning_rate"))
    assert all(found[key] == value for key, value in config["training"]["optimiser"].items())


@pytest.mark.parametrize("name", STUDIES)
def test_every_artefact_of_a_study_is_asked_for(name):
    config = config_of(name)
    asked, grid = study.asked(config), config["grid"]
    datasets = {*grid["datasets"], *(n["dataset"] for n in config["negatives"].values())}
    wanted = {("export-queries", d) for d in datasets}
    wanted |= {("export-passages", config["datasets"][d]["corpus"]) for d in datasets}
    for student in grid["students"]:
        backbone = config["students"][student]["backbone"]
        wanted |= {("tokenize", f"{backbone}/queries/{d}") for d in datasets}
        made = "build" if "build" in config["backbones"][backbone] else "fetch"
        wanted.add((made, backbone))
    for cell in [*study.grid_cells(config), *study.teacher_cells(config).values()]:
        words = study.words(config, loss=cell.loss)
        wanted.add(("train", cell.name))
        wanted |= {("rerank", f"{cell.name}/{d}") for d in grid["datasets"]}
        wanted |= {
            key
            for key in asked
            if key[1] in (words["negatives"], words["teacher"]) and key[0] != "evaluate"
        }
        assert words["negatives"] in {n for c, n in asked if c in MAKE_NEGATIVES}
        assert words["teacher"] in {None} | {n for c, n in asked if c in MAKE_SCORES}
    wanted |= {("evaluate", system.name) for system in study.systems(config)}
    assert wanted <= asked.keys()
    assert {command for command, _ in asked} <= COMMANDS.keys()


MAKE_NEGATIVES = ("mine", "export-docpairs", "import-scores", "rank")
MAKE_SCORES = ("score", "average", "import-scores", "rank")


def taken(command, flags):
    """The settings that a command would record, given these flags."""
    parser = command.make_parser(click.Context(command))
    given, _, _ = parser.parse_args(shlex.split(flags) + ["x"] * 9)
    context, settings = click.Context(command, resilient_parsing=True), {}
    for param in command.params:
        types = getattr(param.type, "types", [param.type])
        files = any(isinstance(kind, (Source, Settings)) for kind in types)
        if isinstance(param, click.Option) and not isinstance(param, How) and not files:
            assert param.name in given or not param.required, f"{command.name}: --{param.name}"
            settings[param.name] = param.process_value(context, given.get(param.name))
    return settings


@pytest.mark.parametrize("name", STUDIES)
def test_commands_read_the_flags_as_what_was_asked(name):
    """What its command spells otherwise would fail in the job, or be recorded as another."""
    asked = study.asked(config_of(name))
    by_kind = {}
    for (command, called), settings in asked.items():
        shape = (command, *sorted(key for key, value in settings.items() if value is not None))
        by_kind[shape] = (called, settings)  # one of each kind is enough
    for (command, *_), (called, settings) in by_kind.items():
        if command == "train":  # takes its recipe as a file
            continue
        parsed = taken(cli.get_command(click.Context(cli), command), study.flags(settings))
        parsed |= {key: settings[key] for key in ("on", "runs") if key in settings}
        assert lineage.canonical(parsed) == lineage.canonical(settings), (command, called)


def test_flags_are_words_and_json():
    odd = {"words": "it's; $(a) b", "mapping": {"b": [1, 2], "a": None}, "rate": 1e-5, "no": None}
    line = study.flags(odd | {"yes": True, "per_query": 3, "on": ["left", "out"]})
    words = shlex.split(line)
    assert words[::2] == ["--mapping", "--per-query", "--rate", "--words", "--yes"]
    assert words[1::2] == ['{"a": null, "b": [1, 2]}', "3", "1e-05", "it's; $(a) b", "true"]
    assert study.flags({"b": 1, "a": 2}) == study.flags({"a": 2, "b": 1})


def test_a_test_sets_ids_are_compared_within_its_corpus_only(config):
    """Elsewhere they are numbers that mean nothing here."""
    assert study.test_sets(config, "msmarco-train")[True] == ["dev-small", "dl19", "dl20"]
    assert len(study.test_sets(config, "msmarco-train")[False]) == 19
    assert study.test_sets(config, "pydocs-train") == {
        True: ["pydocs-test"],
        False: ["pydocs-held-out"],
    }
    assert study.test_sets(config, "dl19") == {True: [], False: []}
