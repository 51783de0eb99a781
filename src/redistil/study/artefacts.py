"""The settings of every artefact that a study is made of.

`settings_of` is the one place that says which settings decide which artefact. The rules pass its
values to the commands, which record them with what they write. The report compares the
two. The grid itself is in `grid`, what is refused in `checks`; both are at hand here.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from redistil.errors import nearest
from redistil.storage import digests, settings
from redistil.study.candidates import FirstStage, SpladeStage
from redistil.study.checks import resolve
from redistil.study.flags import flags
from redistil.study.grid import (
    Cell,
    KeptApart,
    System,
    gated_teachers,
    grid_cells,
    losses_behind,
    measures_of,
    members,
    own_measures,
    predecessor,
    stages_to_beat,
    sweep_depths,
    systems,
    teacher_cells,
    teachers_behind,
    test_sets,
    timed_cells,
    trained_cells,
    training_sets,
    words,
)
from redistil.study.measures import of_dataset
from redistil.study.reading import read as typed
from redistil.study.recipes import Recipe, Validated, recipe_class
from redistil.study.rules import ByRule
from redistil.study.stores import stored_and_retrieved
from redistil.study.study import Study

__all__ = [
    "Cell",
    "KeptApart",
    "Study",
    "System",
    "flags",
    "gated_teachers",
    "grid_cells",
    "losses_behind",
    "measures_of",
    "members",
    "nearest",
    "predecessor",
    "read",
    "recipe",
    "resolve",
    "settings_of",
    "sweep_depths",
    "systems",
    "teacher_cells",
    "teachers_behind",
    "test_sets",
    "trained_cells",
    "training_sets",
    "words",
]

Key = tuple[str, str]  # (command, name)
Settings = dict[str, Any]
Artefact = tuple[Key, Settings]


def read(path: Path) -> Study:
    """Return the resolved study that the rule `resolve` wrote."""
    digests.check_if_sealed(path)
    return typed(Study, settings.read(path, "study"), str(path))


def settings_of(study: Study) -> dict[Key, Settings]:
    """Return the settings of every artefact, by the command that makes it and its name."""
    artefacts = [*_data(study), *_results(study), *_report(study)]
    return dict(artefacts)


# --- data -----------------------------------------------------------------------------------------


def _data(study: Study) -> Iterator[Artefact]:
    for name, file in study.downloads.items():
        yield ("download", name), file.settings()
    for name, corpus in study.corpora.items():
        yield ("export-passages", name), {"corpus": corpus.exported()}
    for name, dataset in study.datasets.items():
        of_corpus = study.corpora[dataset.corpus].exported()
        yield ("export-queries", name), {"corpus": of_corpus, "dataset": dataset.exported()}
    for name, backbone in study.backbones.items():
        yield (backbone.command, name), backbone.how(study)
        yield from _tokens(study, name)
    for name, checkpoint in study.checkpoints.items():
        yield ("fetch", name), {"source": checkpoint.source()}
        yield ("adopt", name), checkpoint.how()
        yield from _tokens(study, name)
    for name, stage in study.first_stages.items():
        yield from _first_stage(study, name, stage)
    for name, negatives in study.negatives.items():
        if isinstance(negatives, ByRule):
            yield (negatives.command, name), negatives.how(study)
    for name, teacher in study.teachers.items():
        yield (teacher.command, name), teacher.how(study)
    for name, export in study.exports.items():
        yield ("export-training", name), {"library": export.library, "per_example": export.passages}


def _tokens(study: Study, checkpoint: str) -> Iterator[Artefact]:
    """Yield the token files under the tokenizer of a checkpoint."""
    tokens = study.tokens.settings()
    for corpus in study.corpora:
        yield ("tokenize", f"{checkpoint}/passages/{corpus}"), tokens
    for dataset in study.datasets:
        yield ("tokenize", f"{checkpoint}/queries/{dataset}"), tokens


def _first_stage(study: Study, name: str, stage: FirstStage) -> Iterator[Artefact]:
    if isinstance(stage, SpladeStage):
        yield from _shards(study, name, stage)
    for dataset, entry in study.datasets.items():
        checked: Settings = {
            "drop_identical": entry.drop_identical,
            "least_success": study.least_success,
        }
        if stage.covers(dataset):
            yield (stage.command, f"{name}/{dataset}"), stage.how(study) | checked


def _shards(study: Study, name: str, stage: SpladeStage) -> Iterator[Artefact]:
    for corpus in study.corpora:
        count = study.corpora[corpus].parts(stage.shard)
        for shard in range(count):
            lengths = {"passage_length": stage.passage_length, "shards": count}
            yield ("encode", f"{name}/{corpus}/{shard}"), lengths | {"shard": shard}


# --- results --------------------------------------------------------------------------------------


def _results(study: Study) -> Iterator[Artefact]:
    datasets = study.grid.datasets
    for cell in trained_cells(study):
        yield ("train", cell.name), recipe(study, cell).stated()
        for dataset in datasets:
            yield ("rerank", f"{cell.name}/{dataset}"), study.reranking.settings()
    for name in study.grid.teachers:
        yield from _reranked_for(study, name, datasets)
    for name in gated_teachers(study):
        yield from _gate(study, name)
    for name in study.grid.checkpoints:
        for dataset in datasets:
            yield ("rerank", f"{name}/{dataset}"), study.reranking.settings()
    yield from stored_and_retrieved(study)
    for dataset in datasets:
        order = {"depth": study.reranking.depth, "seed": study.random_seed}
        yield ("shuffle", f"random/{study.random_seed}/{dataset}"), order
    levels = {dataset: study.datasets[dataset].relevant_from for dataset in datasets}
    for system in systems(study):
        yield ("evaluate", system.name), _measured(study, levels)
    for cell in timed_cells(study):
        stated = study.latency.settings() if study.latency else {}
        yield ("time", cell.student), stated | {"precision": study.reranking.precision}
    for student in study.grid.students:
        runs = []
        for cell in grid_cells(study):
            if cell.student == student:
                for dataset in datasets:
                    runs += [cell.name, dataset]
        yield (
            ("sweep", student),
            {
                "on": list(datasets),
                "runs": runs,
                "measure": study.measures[0],
                "depths": sweep_depths(study.reranking.depth),
                "relevant_from": levels,
            },
        )


def _reranked_for(study: Study, name: str, datasets: Sequence[str]) -> Iterator[Artefact]:
    """Yield the runs of a teacher and of its members."""
    for teacher in [name, *members(study, name)]:
        for dataset in datasets:
            yield from _reranked_by(study, teacher, dataset)


def _gate(study: Study, name: str) -> Iterator[Artefact]:
    """Yield the gate of a teacher, and the runs behind it."""
    validation = study.training.validation if study.training else None
    assert validation is not None
    datasets = validation.datasets
    yield from _reranked_for(study, name, datasets)
    beside = [member for member in members(study, name) if member != name]
    levels = [study.datasets[dataset].relevant_from for dataset in datasets]
    stated: Settings = {
        "on": list(datasets),
        "baselines": _each_on(stages_to_beat(study), datasets),
        "measure": validation.measure,
        "depth": study.reranking.depth,
        "relevant_from": levels,
    }
    if beside:
        stated["members"] = _each_on(beside, datasets)
    yield ("gate", name), stated


def _each_on(names: Sequence[str], datasets: Sequence[str]) -> list[str]:
    """Return every name with every dataset, as the words of a repeated flag."""
    words = []
    for name in names:
        for dataset in datasets:
            words += [name, dataset]
    return words


def _reranked_by(study: Study, name: str, dataset: str) -> Iterator[Artefact]:
    """Yield the run of a teacher: a model's, BM25's, or that of an ensemble."""
    run = study.teachers[name].run(study)
    if run:
        yield (run.command, f"{name}/{dataset}"), run.settings


def _measured(study: Study, levels: Mapping[str, int]) -> Settings:
    """Return what every system is measured by."""
    measures: list[str] = list(study.measures)
    for dataset in study.grid.datasets:
        for own in own_measures(study, dataset):
            measures.append(of_dataset(dataset, own))
    return {
        "on": list(study.grid.datasets),
        "measures": measures,
        "relevant_from": dict(levels),
    }


def _report(study: Study) -> Iterator[Artefact]:
    statistics, page = study.statistics, study.page
    yield ("tabulate", study.study), statistics.settings()
    drawn = {"resamples": statistics.resamples, "seed": statistics.seed}
    yield ("compare", study.study), drawn
    share = page.queries // len(study.grid.datasets)
    for dataset in study.grid.datasets:
        shown = page.settings() | {"dataset": dataset, "queries": share}
        yield ("contrast", dataset), shown
    yield ("publish", study.study), {"licence": study.publishing.licence}


def recipe(study: Study, cell: Cell) -> Recipe:
    """Return the settings of one training, resolved: all that `train` needs to know."""
    student, loss, training = study.students[cell.student], study.losses[cell.loss], study.training
    assert training is not None
    source, size = study.sources[loss.reads], training.sizes[student.size]
    start = predecessor(study, cell)
    settings: Settings = {
        "student": cell.student,
        "architecture": student.architecture,
        "backbone": student.backbone,
        "loss": cell.loss,
        "objective": loss.objective,
        "options": loss.options(),
        "seed": cell.seed,
        "predecessor": start.name if start else None,
        "negatives": source.negatives,
        "teacher": source.teacher,
        "passages": source.passages,
        "batch": size.batch[loss.reads],
        "steps": size.steps_of(loss.reads),
        "warmup_steps": size.warmup_steps,
        "learning_rate": size.rate_of(loss.reads),
        "precision": training.precision,
        "memory": training.memory,
        "compile": training.compile,
        "validation": _validated(study),
    }
    if source.in_batch:
        settings["in_batch"] = True
    settings |= training.optimiser.stated()
    settings |= dict(training.reading(student))
    return recipe_class(student.architecture).model_validate(settings)


def _validated(study: Study) -> Validated | None:
    """Return how a training is validated, each dataset with its least relevant grade."""
    validation = study.validation
    if validation is None:
        return None
    levels = {name: study.datasets[name].relevant_from for name in validation.datasets}
    values = dict(validation) | {"datasets": levels}
    if validation.not_before is None:
        del values["not_before"]
    return Validated.model_validate(values)
