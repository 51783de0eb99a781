"""Contradictions between teachers and what they score: refused before any job starts."""

from redistil.errors import BadSettings
from redistil.study.candidates import Bm25Stage, BroughtNegatives
from redistil.study.grid import members, teachers_behind
from redistil.study.study import Study
from redistil.study.teachers import AveragedTeacher, Bm25Teacher, ScoringTeacher, TrainedTeacher


def check_teachers(study: Study) -> None:
    """Refuse teachers that score, average or learn what they cannot."""
    for name in study.teachers:
        _refuse_nested_average(study, name)
        _check_bm25(study, name)
        _refuse_circle(study, name)
    for name in study.teachers:
        _check_brought(study, name)
        _check_over(study, name)
    for name, negatives in study.negatives.items():
        if isinstance(negatives, BroughtNegatives) and negatives.teacher != name:
            raise BadSettings(
                f"negatives.{name}.teacher: {negatives.teacher!r} brings negatives of its own name"
            )
    for name in study.grid.teachers:
        for member in members(study, name):
            if not study.teachers[member].re_ranks:
                raise BadSettings(f"grid.teachers: {member!r} has no model here that could re-rank")


def _refuse_nested_average(study: Study, name: str) -> None:
    teacher = study.teachers[name]
    if isinstance(teacher, AveragedTeacher):
        for member in teacher.average:
            if isinstance(study.teachers[member], AveragedTeacher):
                raise BadSettings(f"teachers.{name}.average: {member!r} is itself an average")


def _check_bm25(study: Study, name: str) -> None:
    """Refuse a BM25 teacher whose first stage is another kind."""
    teacher = study.teachers[name]
    if isinstance(teacher, Bm25Teacher):
        if not isinstance(study.first_stages[teacher.bm25], Bm25Stage):
            raise BadSettings(
                f"teachers.{name}.bm25: {teacher.bm25!r} is no BM25: name a first stage with `k1`"
            )


def _check_brought(study: Study, name: str) -> None:
    """Refuse a teacher that comes with negatives which no dataset is declared for."""
    own = study.negatives.get(name)
    is_declared = isinstance(own, BroughtNegatives) and own.teacher == name
    if study.teachers[name].brings and not is_declared:
        raise BadSettings(
            f"teachers.{name}: what it scores belongs to a dataset: say which, as "
            f"negatives.{name}: {{teacher: {name}, dataset: ...}}"
        )


def _check_over(study: Study, name: str) -> None:
    """Refuse a teacher that scores pairs of several datasets."""
    teacher = study.teachers[name]
    if not isinstance(teacher, ScoringTeacher):
        return
    datasets = {study.negatives[negatives].dataset for negatives in teacher.over}
    if len(datasets) > 1:
        raise BadSettings(
            f"teachers.{name}.over: negatives of {' and '.join(sorted(datasets))}: a teacher "
            "scores one dataset, give each its own"
        )


def check_sources(study: Study) -> None:
    """Refuse a source whose teacher does not score all that is shown."""
    for kind, source in study.sources.items():
        if source.in_batch and source.teacher:
            raise BadSettings(
                f"sources.{kind}.in_batch: teacher {source.teacher!r} does not score a query with "
                "the passages of others: leave out `in_batch`, or the teacher"
            )
        for member in members(study, source.teacher) if source.teacher else []:
            teacher = study.teachers[member]
            if isinstance(teacher, ScoringTeacher) and source.negatives not in teacher.over:
                raise BadSettings(
                    f"sources.{kind}: teacher {member!r} scores {teacher.over}, not "
                    f"{source.negatives!r}: add it to teachers.{member}.over"
                )


def _refuse_circle(study: Study, teacher: str, pupils: tuple[str, ...] = ()) -> None:
    if teacher in pupils:
        path = " <- ".join([*pupils, teacher])
        raise BadSettings(f"teachers.{teacher}.model.loss: {teacher!r} learns from itself ({path})")
    for name in members(study, teacher):
        member = study.teachers[name]
        if isinstance(member, TrainedTeacher):
            for above in teachers_behind(study, member.model.loss):
                _refuse_circle(study, above, (*pupils, teacher))
