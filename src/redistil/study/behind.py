"""Files behind a study's numbers: runs of first stages, and downloads."""

from itertools import product

from redistil.study.backbones import FetchedBackbone
from redistil.study.candidates import DocpairNegatives, ImportedStage, MinedNegatives
from redistil.study.grid import gated_teachers, needed, stages_to_beat, training_sets
from redistil.study.study import Study
from redistil.study.teachers import ImportedTeacher, RankingTeacher


def collections(study: Study) -> tuple[list[str], list[str]]:
    """Return the datasets and the corpora.

    Test sets whose texts could not be had are among them: no training has one of their queries.
    """
    names = needed(study)
    missing = study.missing_sets if training_sets(study) else []
    return sorted(names["datasets"].union(missing)), sorted(names["corpora"])


def runs(study: Study) -> set[tuple[str, str]]:
    """Return the first stage and the dataset of every run of candidates."""
    stages = [study.grid.first_stage, *study.grid.baselines]
    stage_runs: set[tuple[str, str]] = set(product(stages, study.grid.datasets))
    if study.validation:
        gated = stages_to_beat(study) if gated_teachers(study) else []
        stages = [study.validation.first_stage, *gated]
        stage_runs.update(product(stages, study.validation.datasets))
    names = needed(study)
    for name in names["negatives"]:
        negatives = study.negatives[name]
        if isinstance(negatives, MinedNegatives):
            stage_runs.add((negatives.first_stage, negatives.dataset))
        teacher = study.teachers.get(negatives.get("teacher") or "")
        if isinstance(teacher, RankingTeacher):
            stage_runs.add((teacher.first_stage, negatives.dataset))
    return stage_runs


def files(study: Study) -> list[str]:
    """Return the published files of teachers and of first stages."""
    published: set[str] = set()
    for name in needed(study)["teachers"]:
        teacher = study.teachers[name]
        if isinstance(teacher, ImportedTeacher):
            published.add(teacher.file)
    for name, dataset in runs(study):
        stage = study.first_stages[name]
        if isinstance(stage, ImportedStage):
            file = stage.run_of(dataset)
            published.update([file] if file else [])
    return sorted(published)


def fetched(study: Study) -> list[str]:
    """Return the checkpoints that come from the hub or a folder."""
    names = needed(study)
    checkpoints = set(names["checkpoints"])
    for name in names["backbones"]:
        if isinstance(study.backbones[name], FetchedBackbone):
            checkpoints.add(name)
    return sorted(checkpoints)


def docpairs(study: Study) -> list[str]:
    """Return the negatives that a collection brings along."""
    names = needed(study)["negatives"]
    return sorted(name for name in names if isinstance(study.negatives[name], DocpairNegatives))
