"""Contradictions of a study: refused before any job starts.

Types, ranges and keys are refused by the classes of the settings, unknown names by `resolve`. A
message names the path of the key, what was expected and the nearest valid name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.study.candidates import Bm25Stage, BroughtNegatives, ImportedStage, MinedNegatives
from redistil.study.fields import NAME, Entry, references
from redistil.study.grid import (
    Cell,
    default_groups,
    imported_run,
    members,
    teachers_behind,
    trained_cells,
    training_sets,
)
from redistil.study.objectives import LABELS, ORDER, SCORES
from redistil.study.protocol import Size, Source
from redistil.study.reading import read
from redistil.study.study import Study
from redistil.study.teachers import AveragedTeacher, Bm25Teacher, Teacher, TrainedTeacher

COLUMNS = ("system", "kind", "student", "loss", "seeds")  # of a leaderboard, before its numbers

ONE_NUMBER = {"sentence-transformers", "pylate"}  # want as many passages of every example


def resolve(config: Mapping[str, Any]) -> Study:
    """Return a study from its settings, with its groups; refuse what asks for the impossible.

    config: params.yaml with studies/<study>.yaml on top. Raises BadSettings.
    """
    study = read(Study, config)
    _check_names(study)
    for path, name, catalogue in references(study):
        known = study[catalogue]
        if name not in known:
            raise BadSettings(
                f"{path}: no {catalogue} entry {name!r}{nearest(name, known)} "
                f"(params.yaml or the study must define it under {catalogue})"
            )
    _check_order(study)
    _check_teachers(study)
    _check_systems(study)
    for cell in trained_cells(study):
        _check_cell(study, cell)
    _check_training_sets(study)
    if study.groups is None:
        study = study.changed(groups=default_groups(study))
    _check_columns(study)
    for name, export in study.exports.items():
        check_passages(f"exports.{name}.passages", export.library, export.passages)
    _check_depths(study)
    _check_runs(study)
    _check_lengths(study)
    return study


def _check_names(study: Study) -> None:
    """Refuse names of entries that cannot be names of files."""
    names = {"study": [study.study]}
    for key in type(study).model_fields:
        entries = study[key]
        if isinstance(entries, Mapping) and key != "groups":
            names[key] = list(entries)
    for path, of_path in names.items():
        for name in of_path:
            if not NAME.fullmatch(name):
                raise BadSettings(
                    f"{path}: {name!r} is no name: wanted letters, digits, `.`, `_` and `-`, "
                    "a letter or digit first"
                )


def _check_order(study: Study) -> None:
    """Refuse losses that come after each other in a circle: none could be the first."""
    for name in study.losses:
        chain = [name]
        while after := study.losses[chain[-1]].after:
            if after in chain:
                path = " after ".join([*chain, after])
                raise BadSettings(
                    f"losses.{name}.after: {path}: one of them must start from the backbone"
                )
            chain.append(after)


def _check_systems(study: Study) -> None:
    """Refuse two systems of one name: they would share their files and their line."""
    grid, named = study.grid, {"random": "the random order"}
    lines = [("first_stage", grid.first_stage)]
    lines += [("baselines", name) for name in grid.baselines]
    lines += [("teachers", name) for name in grid.teachers]
    for axis, name in lines:
        if name in named:
            raise BadSettings(
                f"grid.{axis}: {name!r} is the name of {named[name]} too: each line of the "
                "leaderboard needs its own"
            )
        named[name] = f"grid.{axis}"


def _check_columns(study: Study) -> None:
    """Refuse groups and columns that are not there, or that would share a name."""
    groups, datasets = study.groups or {}, study.grid.datasets
    for group, of_group in groups.items():
        for name in of_group:
            if name not in datasets:
                close = nearest(name, datasets)
                raise BadSettings(f"groups.{group}: {name!r} is not in grid.datasets{close}")
    for path, names in (("groups", list(groups)), ("grid.datasets", datasets)):
        for name in names:
            if name in COLUMNS:
                raise BadSettings(f"{path}: {name!r} is a column of the leaderboard: rename it")
    for name in groups:
        if name in datasets:
            raise BadSettings(f"groups.{name}: a dataset has this name too: rename the group")
    known = [*datasets, *groups]
    for name in study.table or []:
        if name not in known:
            raise BadSettings(f"table: no dataset or group {name!r}{nearest(name, known)}")


def check_passages(path: str, library: str, passages: int | None) -> None:
    """Refuse a number of passages that a library does not read, or none where it wants one."""
    if library in ONE_NUMBER and passages is None:
        raise BadSettings(f"{path}: {library} wants one number of passages: say how many")
    if library not in ONE_NUMBER and passages is not None:
        raise BadSettings(f"{path}: {library} takes all passages of an example: leave it out")


def _check_teachers(study: Study) -> None:
    for name, teacher in study.teachers.items():
        _check_names_of(study, name, teacher)
        _refuse_circle(study, name)
    for name, teacher in study.teachers.items():
        own = study.negatives.get(name)
        if teacher.brings and not (isinstance(own, BroughtNegatives) and own.teacher == name):
            raise BadSettings(
                f"teachers.{name}: what it scores belongs to a dataset: say which, as "
                f"negatives.{name}: {{teacher: {name}, dataset: ...}}"
            )
        taught = sorted({study.negatives[one].dataset for one in teacher.get("over", [])})
        if len(taught) > 1:
            raise BadSettings(
                f"teachers.{name}.over: negatives of {' and '.join(taught)}: a teacher scores one "
                "dataset, give each its own"
            )
    for name, negatives in study.negatives.items():
        if isinstance(negatives, BroughtNegatives) and negatives.teacher != name:
            raise BadSettings(
                f"negatives.{name}.teacher: {negatives.teacher!r} brings negatives of its own name"
            )
    for name in study.grid.teachers:
        for member in members(study, name):
            if not study.teachers[member].re_ranks:
                raise BadSettings(f"grid.teachers: {member!r} has no model here that could re-rank")
    for kind, source in study.sources.items():
        if source.teacher:
            _check_source(study, kind, source.negatives, source.teacher)


def _check_names_of(study: Study, name: str, teacher: Teacher) -> None:
    """Refuse a teacher that names an entry of the wrong kind."""
    if isinstance(teacher, AveragedTeacher):
        for member in teacher.average:
            if isinstance(study.teachers[member], AveragedTeacher):
                raise BadSettings(f"teachers.{name}.average: {member!r} is itself an average")
    if isinstance(teacher, Bm25Teacher):
        if not isinstance(study.first_stages[teacher.bm25], Bm25Stage):
            raise BadSettings(
                f"teachers.{name}.bm25: {teacher.bm25!r} is no BM25: name a first stage with `k1`"
            )


def _check_source(study: Study, kind: str, negatives: str, teacher: str) -> None:
    for member in members(study, teacher):
        over = study.teachers[member].get("over")
        if over and negatives not in over:
            raise BadSettings(
                f"sources.{kind}: teacher {member!r} scores {over}, not "
                f"{negatives!r}: add it to teachers.{member}.over"
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


def _check_training_sets(study: Study) -> None:
    """Refuse a test on what is trained on, and a choice of weights on either."""
    trained = training_sets(study)
    for name in study.grid.datasets:
        if name in trained:
            raise BadSettings(f"grid.datasets: {name!r} is what is trained on: test on another")
    validation = study.training.validation
    for name in validation.datasets if validation else []:
        if name in study.grid.datasets:
            raise BadSettings(
                f"training.validation.datasets: {name!r} is in grid.datasets: a test set cannot "
                "choose the weights"
            )
        if name in trained:
            raise BadSettings(f"training.validation.datasets: {name!r} is what is trained on")


def _check_depths(study: Study) -> None:
    """Refuse a depth beyond what the first stage keeps: fewer would be used without a word."""
    wanted = [("reranking.depth", study.grid.first_stage, study.reranking.depth)]
    validation = study.training.validation
    if validation:
        wanted.append(("training.validation.depth", validation.first_stage, validation.depth))
    for name, entry in study.negatives.items():
        if isinstance(entry, MinedNegatives):
            wanted.append((f"negatives.{name}.depth", entry.first_stage, entry.depth))
    for path, stage, depth in wanted:
        kept = study.first_stages[stage].get("depth")
        if kept and depth > kept:
            raise BadSettings(f"{path}: {depth} exceeds first_stages.{stage}.depth ({kept})")


def _check_runs(study: Study) -> None:
    """Refuse a dataset that is tested on, and for which an imported first stage has no run."""
    for stage in [study.grid.first_stage, *study.grid.baselines]:
        if isinstance(study.first_stages[stage], ImportedStage):
            for name in study.grid.datasets:
                if imported_run(study, stage, name) is None:
                    raise BadSettings(
                        f"first_stages.{stage}.import: no run for {name!r} of the grid"
                    )


def _check_lengths(study: Study) -> None:
    """Refuse a cap beyond the tokens that are kept, and a pair too short for any passage."""
    longest = study.tokens.longest
    holders: dict[str, Entry] = {"training": study.training}
    for name in _stages(study):
        holders[f"first_stages.{name}"] = study.first_stages[name]
    for name in _teachers(study):
        holders[f"teachers.{name}"] = study.teachers[name]
    for path, entry in holders.items():
        for key in ("query_length", "passage_length"):
            length = entry.get(key, 0)
            if length > longest:
                raise BadSettings(f"{path}.{key}: {length} exceeds tokens.longest ({longest})")
        pair = entry.get("pair_length")
        query = entry.get("query_length", 0)
        if pair and pair <= query:
            raise BadSettings(
                f"{path}.pair_length: {pair} leaves a query of {path}.query_length ({query}) no "
                "tokens for a passage"
            )


def _teachers(study: Study) -> Iterator[str]:
    """Yield every single teacher that the study tests or learns from."""
    taught = [source.teacher for source in study.sources.values() if source.teacher]
    for name in [*study.grid.teachers, *taught]:
        yield from members(study, name)


def _stages(study: Study) -> Iterator[str]:
    """Yield every first stage that the study runs: to test, to validate, to draw negatives."""
    yield from [study.grid.first_stage, *study.grid.baselines]
    if study.training.validation:
        yield study.training.validation.first_stage
    for source in study.sources.values():
        for catalogue in (study.negatives, study.teachers):
            entry = catalogue.get(source.negatives)
            if entry and "first_stage" in entry:
                yield entry["first_stage"]


def _check_cell(study: Study, cell: Cell) -> None:
    student, reads = study.students[cell.student], study.losses[cell.loss].reads
    sizes = study.training.sizes
    if student.size not in sizes:
        close = nearest(student.size, sizes)
        where = f"students.{cell.student}.size"
        raise BadSettings(f"{where}: training.sizes has no {student.size!r}{close}")
    if reads not in study.sources:
        close = nearest(reads, study.sources)
        raise BadSettings(f"losses.{cell.loss}.reads: no sources entry {reads!r}{close}")
    study.training.reading(student.architecture)
    _check_size(f"training.sizes.{student.size}", sizes[student.size], reads)
    _check_targets(study, cell.loss, study.sources[reads])


def _check_size(path: str, size: Size, reads: str) -> None:
    if reads not in size.batch:
        raise BadSettings(f"{path}.batch: no batch for {reads!r}")
    if isinstance(size.steps, dict) and reads not in size.steps:
        raise BadSettings(f"{path}.steps: no steps for {reads!r}")
    if size.warmup_steps > size.steps_of(reads):
        raise BadSettings(f"{path}.warmup_steps: more than its steps")


def _check_targets(study: Study, name: str, source: Source) -> None:
    """Refuse a loss whose source gives it other targets than its objective learns from."""
    loss = study.losses[name]
    objective, targets = loss.objective, loss.targets
    if LABELS not in targets and not source.teacher:
        raise BadSettings(
            f"losses.{name}: {objective} learns from a teacher, and sources.{loss.reads} names none"
        )
    if source.teacher is None:
        return
    if targets == {LABELS}:
        raise BadSettings(
            f"losses.{name}: {objective} learns from labels, and "
            f"sources.{loss.reads} would give it the scores of {source.teacher!r}"
        )
    if ORDER in targets or SCORES not in targets:
        return
    for member in members(study, source.teacher):
        if study.teachers[member].gives_order():
            raise BadSettings(
                f"losses.{name}: {objective} reads a teacher's scores, and "
                f"teachers.{member} gives an order (a run with a model's scores says "
                "`scored: true`)"
            )
