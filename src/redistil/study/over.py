"""Rows of words that a pattern of paths runs over, from a study's catalogues."""

from collections.abc import Callable

from redistil.errors import BadSettings
from redistil.study import behind, grid, stores, teaching_rows
from redistil.study.backbones import WordsBackbone
from redistil.study.candidates import ImportedStage, SpladeStage
from redistil.study.grid import Cell
from redistil.study.protocol import States
from redistil.study.study import Study
from redistil.study.teachers import ImportedTeacher
from redistil.study.teaching_rows import Rows, Words


def _datasets(study: Study, words: Words) -> Rows:
    for dataset in study.grid.datasets:
        yield {"dataset": dataset}


def _pushed(study: Study, words: Words) -> Rows:
    """Yield the datasets of the grid whose texts may be handed on."""
    for dataset in study.grid.datasets:
        if study.corpora[study.datasets[dataset].corpus].is_pushed:
            yield {"dataset": dataset}


def _judged(study: Study, words: Words) -> Rows:
    """Yield the dataset, if its judgements are held against its passages.

    Licensed texts may be missing, and the queries are kept apart all the same.
    """
    if study.corpora[study.datasets[words["dataset"]].corpus].get("licensed") is None:
        yield {"dataset": words["dataset"]}


def _without(study: Study, words: Words) -> Rows:
    """Yield the datasets whose queries are left out of a dataset."""
    for name in study.datasets[words["dataset"]].get("without", []):
        yield {"dataset": name}


def _students(study: Study, words: Words) -> Rows:
    for student in study.grid.students:
        yield {"student": student}


def _readers(study: Study, words: Words) -> Rows:
    """Yield everything of the grid that reads tokens."""
    yield from _students(study, words)
    for checkpoint in study.grid.checkpoints:
        yield {"backbone": checkpoint}


def _losses(study: Study, words: Words) -> Rows:
    for loss in study.grid.losses:
        yield {"loss": loss}


def _cells(study: Study, words: Words) -> Rows:
    for cell in grid.grid_cells(study):
        if words.get("student", cell.student) == cell.student:
            yield {**vars(cell), "system": cell.name}


def _timed(study: Study, words: Words) -> Rows:
    """Yield the training of each student that is timed, with the dataset whose texts it reads."""
    for cell in grid.timed_cells(study):
        if words.get("student", cell.student) == cell.student:
            yield {**vars(cell), "dataset": study.grid.datasets[0]}


def _runs(study: Study, words: Words) -> Rows:
    """Yield every run of the cells of the grid, or of those of one student."""
    for cell in _cells(study, words):
        for dataset in _datasets(study, words):
            yield cell | dataset


def _tokens(study: Study, words: Words) -> Rows:
    for reader in _readers(study, words):
        for dataset in _datasets(study, words):
            yield reader | dataset


def _first_stages(study: Study, words: Words) -> Rows:
    for first_stage in [study.grid.first_stage, *study.grid.baselines]:
        for dataset in _datasets(study, words):
            yield {"first_stage": first_stage} | dataset


def _systems(study: Study, words: Words) -> Rows:
    for system in grid.systems(study):
        yield {"system": system.name}


def _ranking_systems(study: Study, words: Words) -> Rows:
    """Yield every run that is not a first stage's."""
    for system in grid.systems(study):
        if system.kind != "first stage":
            for dataset in _datasets(study, words):
                yield {"system": system.name} | dataset


def _reranking_models(study: Study, words: Words) -> Rows:
    for system in grid.systems(study):
        if system.kind in ("student", "teacher", "checkpoint"):
            yield {"system": system.name}


def _shown(study: Study, words: Words) -> Rows:
    """Yield the runs that the page shows: of what is trained with several seeds, the first's."""
    first = study.grid.seeds[:1]
    for system in grid.systems(study):
        if system.kind == "first stage":
            yield {"runs": f"data/candidates/{system.name}"}
        elif system.student is None or system.seed in first:
            yield {"runs": f"results/{study.study}/runs/{system.name}"}


def _predecessors(study: Study, words: Words) -> Rows:
    cell = Cell(words["student"], words["loss"], int(words["seed"]))
    before = grid.predecessor(study, cell)
    if before:
        yield {"after": before.loss}


def _validated(study: Study, words: Words) -> Rows:
    validation = study.validation
    if validation:
        for dataset in validation.datasets:
            yield {"dataset": dataset, "first_stage": validation.first_stage}


def _gates(study: Study, words: Words) -> Rows:
    for teacher in grid.gated_teachers(study):
        yield {"teacher": teacher}


def _members_validated(study: Study, words: Words) -> Rows:
    """Yield the members of an ensemble on every validation set; other teachers have none."""
    for member in grid.members(study, words["teacher"]):
        if member != words["teacher"]:
            for row in _validated(study, words):
                yield {"member": member, "dataset": row["dataset"]}


def _stages_validated(study: Study, words: Words) -> Rows:
    """Yield what a teacher has to beat on every validation set."""
    for first_stage in grid.stages_to_beat(study):
        for row in _validated(study, words):
            yield row | {"first_stage": first_stage}


def _built_backbones(study: Study, words: Words) -> Rows:
    for name in grid.built_backbones(study):
        yield {"built": name}


def _tests(study: Study, words: Words) -> Rows:
    """Yield the test sets over the corpus of a training set."""
    training_set = grid.words(study, **words)["dataset"]
    for dataset in grid.test_sets(study, training_set).same_corpus:
        yield {"dataset": dataset}


def _tests_elsewhere(study: Study, words: Words) -> Rows:
    """Yield the test sets over other corpora."""
    training_set = grid.words(study, **words)["dataset"]
    for dataset in grid.test_sets(study, training_set).elsewhere:
        yield {"dataset": dataset}


def _validated_and_tested(study: Study, words: Words) -> Rows:
    """Yield every validation set with every test set over its corpus."""
    for row in _validated(study, words):
        corpus = study.datasets[row["dataset"]].corpus
        for test in study.grid.datasets:
            if study.datasets[test].corpus == corpus:
                yield {"dataset": row["dataset"], "test": test}


def _shards(study: Study, words: Words) -> Rows:
    corpus = study.datasets[words["dataset"]].corpus
    stage = study.first_stages[words["splade"]]
    assert isinstance(stage, SpladeStage)
    for shard in range(study.corpora[corpus].parts(stage.shard)):
        yield {"shard": shard}


def _vectors(study: Study, words: Words) -> Rows:
    """Yield the shards of a corpus that a student searches."""
    return _parts(study, study.retrieval, words)


def _states(study: Study, words: Words) -> Rows:
    """Yield the shards of the states that re-ranking by a student reads, if it reads any."""
    return _parts(study, stores.kept_for_reranking(study, words["student"]), words)


def _parts(study: Study, how: States | None, words: Words) -> Rows:
    corpus = study.datasets[words["dataset"]].corpus
    for shard in stores.shards(study, how, corpus) if how else []:
        yield {"shard": shard}


def _searches(study: Study, words: Words) -> Rows:
    """Yield every run that a student retrieves."""
    for cell in grid.searching_cells(study):
        for dataset in _datasets(study, words):
            yield vars(cell) | dataset


def _imported(study: Study, words: Words) -> Rows:
    """Yield the download that a teacher, or a first stage for a dataset, is imported from."""
    if "published" in words:
        teacher = study.teachers[words["published"]]
        assert isinstance(teacher, ImportedTeacher)
        yield {"file": teacher.file}
        return
    name, dataset = words["imported"], words["dataset"]
    stage = study.first_stages[name]
    assert isinstance(stage, ImportedStage)
    file = stage.run_of(dataset)
    if file is None:
        lacking = f"first_stages.{name}.import: no run for {dataset}, which this study asks for"
        raise BadSettings(f"{lacking}: name its file, or leave the dataset out")
    yield {"file": file}


def _exported(study: Study, words: Words) -> Rows:
    entry = study.exports[words["exported"]]
    yield {"negatives": entry.negatives, "teacher": entry.teacher}


def _words_of(study: Study, words: Words) -> Rows:
    """Yield the corpora whose words a backbone has."""
    backbone = study.backbones[words["worded"]]
    assert isinstance(backbone, WordsBackbone)
    for corpus in backbone.words.corpora:
        yield {"corpus": corpus}


def _files(study: Study, words: Words) -> Rows:
    for file in behind.files(study):
        yield {"file": file}


def _collections(study: Study, words: Words) -> Rows:
    """Yield every dataset and every corpus that the study's numbers come from."""
    datasets, corpora = behind.collections(study)
    for dataset in datasets:
        yield {"dataset": dataset}
    for corpus in corpora:
        yield {"corpus": corpus}


def _fetched(study: Study, words: Words) -> Rows:
    for name in behind.fetched(study):
        yield {"fetched": name}


def _docpairs(study: Study, words: Words) -> Rows:
    for name in behind.docpairs(study):
        yield {"docpairs": name}


def _exports(study: Study, words: Words) -> Rows:
    for name in study.exports:
        yield {"exported": name}


OVER: dict[str, Callable[[Study, Words], Rows]] = {
    "datasets": _datasets,
    "pushed": _pushed,
    "students": _students,
    "readers": _readers,
    "losses": _losses,
    "cells": _cells,
    "timed": _timed,
    "runs": _runs,
    "tokens": _tokens,
    "first stages": _first_stages,
    "systems": _systems,
    "ranking systems": _ranking_systems,
    "reranking models": _reranking_models,
    "shown": _shown,
    "predecessor": _predecessors,
    "validation": _validated,
    "gates": _gates,
    "members validated": _members_validated,
    "stages validated": _stages_validated,
    "built backbones": _built_backbones,
    "over": teaching_rows.over,
    "members": teaching_rows.members,
    "teaching": teaching_rows.teaching,
    "taught": teaching_rows.taught,
    "teaching models": teaching_rows.teaching_models,
    "tests": _tests,
    "tests elsewhere": _tests_elsewhere,
    "validated and tested": _validated_and_tested,
    "shards": _shards,
    "vectors": _vectors,
    "states": _states,
    "judged passages": _judged,
    "without": _without,
    "searches": _searches,
    "import": _imported,
    "export": _exported,
    "exports": _exports,
    "words of": _words_of,
    "files": _files,
    "collections": _collections,
    "fetched": _fetched,
    "docpairs": _docpairs,
}
