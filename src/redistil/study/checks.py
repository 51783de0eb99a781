"""Contradictions of a study: refused before any job starts.

Types, ranges and keys are refused by the classes of the settings, unknown names by `resolve`. A
message names the path of the key, what was expected and the nearest valid name.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.study.architectures import ARCHITECTURES
from redistil.study.candidates import (
    MinedNegatives,
)
from redistil.study.caps import check_lengths
from redistil.study.fields import NAME, references
from redistil.study.grid import (
    Cell,
    default_groups,
    members,
    students_of,
    trained_cells,
    training_sets,
)
from redistil.study.objectives import LABELS, MARGINS
from redistil.study.protocol import Size, Source
from redistil.study.reading import read
from redistil.study.stores import check_stores
from redistil.study.study import Study
from redistil.study.teaching import check_sources, check_teachers

COLUMNS = ("system", "kind", "student", "loss", "seeds")  # of a leaderboard, before its numbers

# what a teacher gives that lacks whole scores
_ORDER = "an order (a run with a model's scores says `scored: true`)"
_MARGINS = "margins alone: learn from these, or from a file with the score of each passage"

ONE_NUMBER = {"sentence-transformers", "pylate"}  # want as many passages of every example


def resolve(config: Mapping[str, Any]) -> Study:
    """Return a study from its settings, with its groups; refuse what asks for the impossible.

    config: params.yaml with studies/<study>.yaml on top. Raises BadSettings.
    """
    study = read(Study, config)
    _check_names(study)
    _check_references(study)
    _check_order(study)
    _check_without(study)
    _check_checkpoints(study)
    check_teachers(study)
    check_sources(study)
    _check_systems(study)
    cells = trained_cells(study)
    _check_training(study, cells)
    check_stores(study)
    for cell in cells:
        _check_cell(study, cell)
    _check_training_sets(study)
    if study.groups is None:
        study = study.changed(groups=default_groups(study))
    _check_columns(study)
    _check_claims(study)
    for name, export in study.exports.items():
        check_passages(f"exports.{name}.passages", export.library, export.passages)
    _check_depths(study)
    _check_fewer(study)
    _check_runs(study)
    check_lengths(study)
    return study


def _check_names(study: Study) -> None:
    """Refuse names of entries that cannot be names of files."""
    names = [("study", study.study)]
    for key in type(study).model_fields:
        entries = study[key]
        if isinstance(entries, Mapping) and key != "groups":
            names += [(key, name) for name in entries]
    for path, name in names:
        if not NAME.fullmatch(name):
            raise BadSettings(
                f"{path}: {name!r} is no name: wanted letters, digits, `.`, `_` and `-`, "
                "a letter or digit first"
            )


def _check_references(study: Study) -> None:
    """Refuse the name of an entry that its catalogue does not have."""
    for path, name, catalogue in references(study):
        entries = study[catalogue]
        if name not in entries:
            raise BadSettings(
                f"{path}: no {catalogue} entry {name!r}{nearest(name, entries)} "
                f"(params.yaml or the study must define it under {catalogue})"
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


def _check_without(study: Study) -> None:
    """Refuse a dataset without the queries of one over other passages, or of itself."""
    for name, dataset in study.datasets.items():
        path, others = f"datasets.{name}.without", dataset.get("without", [])
        for other in others:
            if study.datasets[other].corpus != dataset.corpus:
                raise BadSettings(
                    f"{path}: {other!r} is over another corpus, whose ids mean nothing here: name "
                    "a dataset over the same one"
                )
        if name in _left_out_of(study, others):
            raise BadSettings(f"{path}: {name!r} would be made without itself: leave one out")


def _left_out_of(study: Study, others: Iterable[str]) -> set[str]:
    """Return datasets with all that these are made without."""
    names, waiting = set[str](), [*others]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += study.datasets[name].get("without", [])
    return names


def _check_systems(study: Study) -> None:
    """Refuse two systems of one name: they would share their files and their line."""
    grid, named = study.grid, {"random": "the random order"}
    axes = {
        "grid.first_stage": [grid.first_stage],
        "grid.baselines": grid.baselines,
        "grid.teachers": grid.teachers,
        "grid.checkpoints": grid.checkpoints,
    }
    for axis, names in axes.items():
        for name in names:
            if name in named:
                raise BadSettings(
                    f"{axis}: {name!r} is the name of {named[name]} too: each line of the "
                    "leaderboard needs its own"
                )
            named[name] = axis


def _check_checkpoints(study: Study) -> None:
    """Refuse a checkpoint that has the name of a backbone or teacher: they would share files."""
    for name in study.checkpoints:
        for catalogue in ("backbones", "teachers"):
            if name in study[catalogue]:
                raise BadSettings(
                    f"checkpoints.{name}: an entry of {catalogue} has this name too: give each "
                    "its own"
                )


def _check_training(study: Study, cells: Sequence[Cell]) -> None:
    """Refuse a study that trains and does not say how."""
    if cells and study.training is None:
        raise BadSettings(
            f"training: missing, and {cells[0].name} is to be trained: say how, or empty "
            "grid.students, grid.losses and grid.seeds"
        )


def _check_columns(study: Study) -> None:
    """Refuse groups and columns that are not there, or that would share a name."""
    groups, datasets = study.groups or {}, study.grid.datasets
    for group, names in groups.items():
        for name in names:
            if name not in datasets:
                close = nearest(name, datasets)
                raise BadSettings(f"groups.{group}: {name!r} is not in grid.datasets{close}")
    _refuse_columns("groups", groups)
    _refuse_columns("grid.datasets", datasets)
    for group in groups:
        if group in datasets:
            raise BadSettings(f"groups.{group}: a dataset has this name too: rename the group")
    columns = [*datasets, *groups]
    for name in study.table or []:
        if name not in columns:
            raise BadSettings(f"table: no dataset or group {name!r}{nearest(name, columns)}")


def _refuse_columns(path: str, names: Iterable[str]) -> None:
    for name in names:
        if name in COLUMNS:
            raise BadSettings(f"{path}: {name!r} is a column of the leaderboard: rename it")


def check_passages(path: str, library: str, passages: int | None) -> None:
    """Refuse a number of passages that a library does not read, or none where it wants one."""
    if library in ONE_NUMBER and passages is None:
        raise BadSettings(f"{path}: {library} wants one number of passages: say how many")
    if library not in ONE_NUMBER and passages is not None:
        raise BadSettings(f"{path}: {library} takes all passages of an example: leave it out")


def _check_training_sets(study: Study) -> None:
    """Refuse a test on what is trained on, and a choice of weights on either."""
    trained = training_sets(study)
    for name in study.grid.datasets:
        if name in trained:
            raise BadSettings(f"grid.datasets: {name!r} is what is trained on: test on another")
    validation = study.validation
    for name in validation.datasets if validation else []:
        if name in study.grid.datasets:
            raise BadSettings(
                f"training.validation.datasets: {name!r} is in grid.datasets: a test set cannot "
                "choose the weights"
            )
        if name in trained:
            raise BadSettings(f"training.validation.datasets: {name!r} is what is trained on")


def _check_fewer(study: Study) -> None:
    """Refuse fewer seeds or students where nobody has defined them, and a loss without any."""
    grid = study.grid
    taught = chain.from_iterable(grid.fewer_students.values())
    limits = (
        ("fewer_seeds", "students", grid.fewer_seeds),
        ("fewer_students", "losses", grid.fewer_students),
        ("fewer_students", "students", taught),
    )
    for key, catalogue, names in limits:
        for name in names:
            if name not in study[catalogue]:
                close = nearest(name, study[catalogue])
                raise BadSettings(f"grid.{key}: no {catalogue} entry {name!r}{close}")
    for loss in grid.losses if grid.students else []:
        if not students_of(study, loss):
            raise BadSettings(
                f"grid.fewer_students: {loss!r} teaches no student of the grid: name one of "
                "grid.students, or leave the loss out"
            )


def _check_depths(study: Study) -> None:
    """Refuse a depth beyond what the first stage keeps: fewer would be used without a word."""
    _check_depth(study, "reranking.depth", study.grid.first_stage, study.reranking.depth)
    how = study.validation
    if how:
        _check_depth(study, "training.validation.depth", how.first_stage, how.depth)
    for name, negatives in study.negatives.items():
        if isinstance(negatives, MinedNegatives):
            path = f"negatives.{name}.depth"
            _check_depth(study, path, negatives.first_stage, negatives.depth)


def _check_depth(study: Study, path: str, first_stage: str, depth: int) -> None:
    stage = study.first_stages[first_stage]
    if stage.deepest and depth > stage.deepest:
        raise BadSettings(
            f"{path}: {depth} exceeds first_stages.{first_stage}.depth ({stage.deepest})"
        )


def _check_runs(study: Study) -> None:
    """Refuse a dataset that is tested on, and for which an imported first stage has no run."""
    for name in [study.grid.first_stage, *study.grid.baselines]:
        stage = study.first_stages[name]
        for dataset in study.grid.datasets:
            if not stage.covers(dataset):
                raise BadSettings(
                    f"first_stages.{name}.{stage.of_kind}: no run for {dataset!r} of the grid"
                )


def _check_claims(study: Study) -> None:
    """Refuse a claim about what the grid does not have, and one that compares nothing."""
    for claim in study.claims:
        axes = {"better": study.grid.losses, "than": study.grid.losses}
        if claim.gap_to:
            axes["gap_to"] = study.grid.students
        for key, names in axes.items():
            name = claim[key]
            if name not in names:
                close = nearest(name, names)
                raise BadSettings(f"claims.{key}: {name!r} is not in the grid{close}")
        if claim.gap_to and claim.gap_to not in students_of(study, claim.than):
            raise BadSettings(
                f"claims.gap_to: {claim.gap_to!r} is not taught with {claim.than!r}, by which the "
                "gap is told: name a student that is"
            )
        if claim.better == claim.than:
            raise BadSettings(f"claims.than: {claim.than!r} is `better` too: name another loss")
        if study.grid.students == [claim.gap_to]:
            raise BadSettings(
                f"claims.gap_to: {claim.gap_to!r} is the only student of the grid, and leads "
                "nobody: leave gap_to out, or add a student"
            )


def _check_cell(study: Study, cell: Cell) -> None:
    student, reads = study.students[cell.student], study.losses[cell.loss].reads
    assert study.training is not None
    sizes = study.training.sizes
    if student.size not in sizes:
        close = nearest(student.size, sizes)
        where = f"students.{cell.student}.size"
        raise BadSettings(f"{where}: training.sizes has no {student.size!r}{close}")
    if reads not in study.sources:
        close = nearest(reads, study.sources)
        raise BadSettings(f"losses.{cell.loss}.reads: no sources entry {reads!r}{close}")
    study.training.reading(student)
    _check_backbone(study, cell.student)
    _check_size(f"training.sizes.{student.size}", sizes[student.size], reads)
    _check_targets(study, cell.loss, study.sources[reads])


def _check_backbone(study: Study, name: str) -> None:
    """Refuse a student that reads words on an encoder, and one that reads pieces on words."""
    student = study.students[name]
    reads_words = ARCHITECTURES[student.architecture].reads_words
    if study.backbones[student.backbone].of_words != reads_words:
        wanted = "one with `words`" if reads_words else "an encoder"
        raise BadSettings(
            f"students.{name}.backbone: {student.architecture} reads {wanted}, and "
            f"{student.backbone!r} is another kind: name such a backbone"
        )


def _check_size(path: str, size: Size, reads: str) -> None:
    if reads not in size.batch:
        raise BadSettings(f"{path}.batch: no batch for {reads!r}")
    if isinstance(size.steps, dict) and reads not in size.steps:
        raise BadSettings(f"{path}.steps: no steps for {reads!r}")
    if isinstance(size.learning_rate, dict) and reads not in size.learning_rate:
        raise BadSettings(f"{path}.learning_rate: no rate for {reads!r}")
    if size.warmup_steps > size.steps_of(reads):
        raise BadSettings(f"{path}.warmup_steps: more than its steps")


def _check_targets(study: Study, name: str, source: Source) -> None:
    """Refuse a loss whose source gives it other targets than its objective learns from."""
    loss = study.losses[name]
    objective, targets = loss.objective, loss.targets
    if source.teacher is None:
        if LABELS not in targets:
            raise BadSettings(
                f"losses.{name}: {objective} learns from a teacher, and sources.{loss.reads} "
                "names none"
            )
        return
    if targets == {LABELS}:
        raise BadSettings(
            f"losses.{name}: {objective} learns from labels, and "
            f"sources.{loss.reads} would give it the scores of {source.teacher!r}"
        )
    for member in members(study, source.teacher):
        gives = study.teachers[member].gives()
        if not targets & gives:
            raise BadSettings(
                f"losses.{name}: {objective} reads a teacher's scores, and teachers.{member} "
                f"gives {_MARGINS if MARGINS in gives else _ORDER}"
            )
