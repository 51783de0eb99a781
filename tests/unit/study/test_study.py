"""Studies: which settings decide which artefact."""

import copy
import shlex

import click
import pytest

from redistil.cli import cli
from redistil.cli.commands import COMMANDS
from redistil.cli.options import How, Settings, Source
from redistil.storage import lineage
from redistil.study import artefacts as study
from redistil.study import flags
from tests.made.configs import STUDIES, config_of, put, refusal, resolved


@pytest.fixture
def config():
    return config_of("embedded")


def settings_of(config):
    return study.settings_of(resolved(config))


def names_of(artefacts, *commands):
    return {name for command, name in artefacts if command in commands}


def commands_of(artefacts):
    return {command for command, _ in artefacts}


def trained(loss, cells):
    """Return the keys of the trainings with a loss."""
    return {("train", cell.name) for cell in cells if cell.loss == loss}


def test_a_published_re_ranker_is_tested_and_teaches_as_a_trained_one_does(config):
    put(config, "teachers minilm-l6 over", ["pydocs-triples", "pydocs-lists"])
    put(config, "sources ranked-lists teacher", "minilm-l6")
    put(config, "grid teachers", ["minilm-l6"])
    study.resolve(config)
    asked = settings_of(config)
    lengths = {"query_length": 64, "passage_length": 445, "pair_length": 512}
    assert asked["adopt", "ms-marco-minilm-l6"] == lengths | {
        "architecture": "cat",
        "pair_form": "native",
    }
    assert ("score", "minilm-l6") in asked and ("rerank", "minilm-l6/pydocs-test") in asked
    for key, value, said in (
        ("passage_length", 1025, "passage_length: 1025 exceeds tokens.longest (1024)"),
        (
            "query_length",
            512,
            "pair_length: 512 leaves a query of checkpoints.ms-marco-minilm-l6.q",
        ),
    ):
        changed = copy.deepcopy(config)
        put(changed, f"checkpoints ms-marco-minilm-l6 {key}", value)
        assert refusal(changed).startswith(f"checkpoints.ms-marco-minilm-l6.{said}")


def test_an_imported_first_stage_may_have_a_run_for_each_dataset(config):
    runs = {"pydocs-test": "bm25-msmarco-train.run"}
    put(config, "first_stages theirs", {"import": runs})
    study.resolve(config)
    made = names_of(settings_of(config), "import-run")
    assert "theirs/pydocs-test" in made and "theirs/dl19" not in made
    assert "colbertv2/pydocs-test" in made and "colbertv2/dl19" in made
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


def test_a_licence_that_is_learnt_of_later_remakes_nothing(config):
    before = settings_of(config)
    for owner, name in (
        ("corpora", "pydocs"),
        ("backbones", "rankzephyr"),
        ("teachers", "rankzephyr"),
    ):
        put(config, f"{owner} {name} licence", "MIT")
    study.resolve(config)
    assert settings_of(config) == before


def test_a_first_stage_is_trained_though_the_grid_does_not_name_it(config):
    put(config, "grid losses", ["dual-ranknet"])
    study.resolve(config)
    asked = settings_of(config)
    for cell in study.grid_cells(config):
        first = study.Cell(cell.student, "infonce", cell.seed)
        assert study.predecessor(config, cell) == first
        assert asked["train", cell.name]["predecessor"] == first.name
        assert asked["train", first.name]["predecessor"] is None
        assert "after" not in asked["train", cell.name]["options"]
    assert {system.loss for system in study.systems(config)} == {None, "dual-ranknet"}


def test_steps_may_be_of_a_source_as_batches_are(config):
    size = config["training"]["sizes"]["tiny"]
    size["steps"] = dict.fromkeys(size["batch"], 200) | {"ranked-lists": 50}
    study.resolve(config)
    for loss, steps in {"bce": 200, "infonce": 200, "adr-mse": 50}.items():
        assert study.recipe(config, study.Cell("tiny-bert", loss, 1)).steps == steps


def test_rank_distillm_has_its_two_stages():
    config = resolved("rank-distillm")

    def recipe_of(loss):
        return study.recipe(config, study.Cell("electra-base", loss, 42))

    assert len(study.trained_cells(config)) == 6
    first, single, dual = map(recipe_of, ("infonce", "distill-ranknet", "dual-ranknet"))
    assert dual.predecessor == "electra-base/infonce/42"
    assert first.predecessor is single.predecessor is None
    assert dual.changed(loss=single.loss, predecessor=None) == single
    assert (first.steps, first.batch, first.passages) == (20000, 32, 8)
    assert (dual.steps, dual.batch, dual.passages) == (938, 32, 100)


def changed(before, after):
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_a_losss_parameter_changes_only_its_cells_recipes(config):
    before = settings_of(config)
    config["losses"]["hinge"]["margin"] = 2.0
    cells = trained("hinge", study.grid_cells(config))
    assert changed(before, settings_of(config)) == cells


def test_a_teachers_loss_changes_its_students_cells_and_the_teachers(config):
    before = settings_of(config)
    config["losses"]["infonce"]["temperature"] = 2.0
    cells = [*study.grid_cells(config), *study.teacher_cells(config).values()]
    assert changed(before, settings_of(config)) == trained("infonce", cells)


def test_a_seed_adds_only_its_cells(config):
    before = settings_of(config)
    config["grid"]["seeds"].append(77)
    after = settings_of(config)
    added = after.keys() - before.keys()
    assert commands_of(added) == {"train", "rerank", "evaluate"}
    for _, name in added:
        assert "/77" in name
    assert commands_of(changed(before, after) - added) == {"sweep"}  # of all runs of a student


def test_a_dataset_leaves_every_training_alone(config):
    before = settings_of(config)
    config["grid"]["datasets"] = ["pydocs-test"]
    after = settings_of(config)
    remade = {"rerank", "rerank-bm25", "fuse", "shuffle", "evaluate", "sweep", "contrast"}
    assert commands_of(changed(before, after)) == remade


def test_a_threshold_of_a_dataset_remakes_its_measures_only(config):
    before = settings_of(config)
    config["datasets"]["pydocs-test"]["relevant_from"] = 2
    assert commands_of(changed(before, settings_of(config))) == {"evaluate", "sweep"}


def test_a_measure_of_a_dataset_remakes_measures_only(config):
    before = settings_of(config)
    config["datasets"]["pydocs-test"]["measures"] = ["Success@5", "nDCG@10"]
    assert commands_of(changed(before, settings_of(config))) == {"evaluate"}
    measured = settings_of(config)["evaluate", "bm25"]["measures"]
    assert measured == [*config["measures"], "pydocs-test=Success@5"]
    assert study.measures_of(config, "pydocs-test")[-1] == "Success@5"


def test_a_recipe_says_all_that_a_training_needs(config):
    recipe = study.recipe(config, study.Cell("tiny-bert", "adr-mse", 2))
    size = config["training"]["sizes"]["tiny"]
    assert recipe.objective == "adr-mse" and recipe.options == {"temperature": 1.0}
    assert recipe.seed == 2 and recipe.backbone == "tiny-bert"
    assert (recipe.negatives, recipe.teacher) == ("pydocs-lists", "pydocs-mean")
    assert recipe.passages == config["sources"]["ranked-lists"]["passages"]
    assert recipe.batch == size["batch"]["ranked-lists"]
    assert (recipe.steps, recipe.warmup_steps) == (size["steps"], size["warmup_steps"])
    assert recipe.learning_rate == size["learning_rate"]
    assert recipe.stated().items() >= config["training"]["optimiser"].items()


@pytest.mark.parametrize("name", STUDIES)
def test_every_artefact_of_a_study_is_asked_for(name):
    config = resolved(name)
    asked, grid = settings_of(config), config.grid
    assert commands_of(asked) <= COMMANDS.keys()
    negatives_made, scores_made = names_of(asked, *NEGATIVES), names_of(asked, *SCORES)
    for negatives in config.negatives.values():
        assert ("export-queries", negatives.dataset) in asked
    for dataset in grid.datasets:
        assert ("export-queries", dataset) in asked
        assert ("export-passages", config.datasets[dataset].corpus) in asked
        for student in grid.students:
            backbone = config.students[student].backbone
            assert ("tokenize", f"{backbone}/queries/{dataset}") in asked
            assert backbone in names_of(asked, "build", "fetch", "collect-words")
    for cell in [*study.grid_cells(config), *study.teacher_cells(config).values()]:
        words = study.words(config, loss=cell.loss)
        assert ("train", cell.name) in asked
        assert {f"{cell.name}/{dataset}" for dataset in grid.datasets} <= names_of(asked, "rerank")
        assert words["negatives"] in negatives_made
        assert words["teacher"] in {None} | scores_made
    for system in study.systems(config):
        assert ("evaluate", system.name) in asked


NEGATIVES = ("mine", "export-docpairs", "import-scores", "rank")
SCORES = ("score", "score-bm25", "average", "import-scores", "rank")


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
    """A setting spelt unlike its command would fail in the job, or be recorded as another."""
    asked = study.settings_of(resolved(name))
    by_kind = {}
    for (command, called), settings in asked.items():
        stated = frozenset(key for key, value in settings.items() if value is not None)
        by_kind[command, stated] = (called, settings)  # one of each kind is enough
    for (command, _), (called, settings) in by_kind.items():
        if command == "train":  # takes its recipe as a file
            continue
        parsed = taken(cli.get_command(click.Context(cli), command), study.flags(settings))
        parsed |= {key: settings[key] for key in flags.PATHS & settings.keys()}
        assert lineage.canonical(parsed) == lineage.canonical(settings), (command, called)


def test_flags_are_words_and_json():
    odd = {"words": "it's; $(a) b", "mapping": {"b": [1, 2], "a": None}, "rate": 1e-5, "no": None}
    line = study.flags(odd | {"yes": True, "per_query": 3, "on": ["left", "out"]})
    words = shlex.split(line)
    assert words[::2] == ["--mapping", "--per-query", "--rate", "--words", "--yes"]
    assert words[1::2] == ['{"a": null, "b": [1, 2]}', "3", "1e-05", "it's; $(a) b", "true"]
    assert study.flags({"b": 1, "a": 2}) == study.flags({"a": 2, "b": 1})


def test_lists_and_grades_are_repeated_flags():
    line = study.flags({"depths": [0, 5], "relevant_from": {"b": 2, "a": 1}})
    assert line == "--depth 0 --depth 5 --relevant-from a=1 --relevant-from b=2"
