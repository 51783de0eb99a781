"""Rows of words that a pattern of paths runs over: what is behind a teacher."""

from collections.abc import Iterator, Mapping
from typing import Any

from redistil.errors import BadSettings
from redistil.study import grid
from redistil.study.rules import by_rule
from redistil.study.study import Study
from redistil.study.teachers import TEACHERS, AdoptedTeacher, ScoringTeacher, TrainedTeacher

Words = Mapping[str, Any]
Rows = Iterator[dict[str, Any]]


def over(study: Study, words: Words) -> Rows:
    """Yield the negatives whose pairs a teacher scores."""
    teacher = study.teachers[_teacher_of(words)]
    assert isinstance(teacher, ScoringTeacher)
    for negatives in teacher.over:
        yield {"over": negatives}


def members(study: Study, words: Words) -> Rows:
    """Yield the single teachers behind a teacher, with model and backbone where it has them."""
    if "adopted" in words:
        yield _adopted(words["adopted"])
        return
    for member in grid.members(study, _teacher_of(words)):
        yield {"member": member} | _model(study, member) | _taught_on(study, member, words)


def _teacher_of(words: Words) -> str:
    """Return the teacher that a job is for: each kind has a wildcard of its own."""
    wildcards = {"teacher", *(kind.wildcard for kind in by_rule(TEACHERS))}
    (name,) = (words[wildcard] for wildcard in wildcards if wildcard in words)
    return str(name)


def _adopted(checkpoint: str) -> dict[str, str]:
    """Return the folder of the model that a checkpoint is, and whose tokens it reads."""
    return {"model": f"data/teachers/models/{checkpoint}", "backbone": checkpoint}


def _model(study: Study, teacher: str) -> dict[str, str]:
    """Return the folder of the model that a teacher is, and the backbone whose tokens it reads."""
    entry = study.teachers[teacher]
    if isinstance(entry, AdoptedTeacher):
        return _adopted(entry.checkpoint)
    if not isinstance(entry, TrainedTeacher):
        return {}
    cell = grid.teacher_cells(study).get(teacher)
    if cell is None:
        raise BadSettings(
            f"teachers.{teacher}: the study {study.study} neither tests it nor learns from it: "
            "choose another study (--study study=...), or name it in grid.teachers or a source"
        )
    folder = f"data/teachers/models/{teacher}/{cell.name}"
    return {"model": folder, "backbone": study.students[cell.student].backbone}


def _taught_on(study: Study, teacher: str, words: Words) -> dict[str, str]:
    """Return the dataset whose pairs a teacher scores, unless the job names another."""
    entry = study.teachers[teacher]
    if "dataset" in words or not isinstance(entry, ScoringTeacher):
        return {}
    return {"dataset": study.negatives[entry.over[0]].dataset}


def teaching(study: Study, words: Words) -> Rows:
    """Yield every teacher behind a loss of the grid and its members, with the pairs scored."""
    seen = set()
    for loss in study.grid.losses:
        source = study.sources[study.losses[loss].reads]
        teacher = source.teacher
        if not teacher:
            continue
        for name in [teacher, *grid.members(study, teacher)]:
            if (name, source.negatives) not in seen:
                seen.add((name, source.negatives))
                yield {"teacher": name, "negatives": source.negatives}


def taught(study: Study, words: Words) -> Rows:
    """Yield every teacher whose scores a loss of the grid reads."""
    read = [study.sources[study.losses[loss].reads].teacher for loss in study.grid.losses]
    for teacher in dict.fromkeys(read):
        if teacher:
            yield {"taught": teacher}


def teaching_models(study: Study, words: Words) -> Rows:
    """Yield the models that were trained for such a teacher."""
    for row in taught(study, words):
        for member in grid.members(study, row["taught"]):
            if isinstance(study.teachers[member], TrainedTeacher):
                yield row | _model(study, member)
