"""Settings of a study that decide of files which other studies share.

A file made of an entry lies below `data`, under the name of the entry alone. Yet a study decides of
it too: the queries of its test sets are left out of training data, its protocol trains its
teachers, and some of its settings reach such files. Two studies that differ there would keep
overwriting one file, and all that follows from it.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from redistil.errors import BadSettings
from redistil.study import files, grid
from redistil.study.artefacts import recipe
from redistil.study.backbones import BuiltBackbone
from redistil.study.candidates import ImportedStage
from redistil.study.checks import resolve
from redistil.study.clashes import Studies, likened, redefines
from redistil.study.grid import Cell
from redistil.study.overlays import laid_on
from redistil.study.study import Study
from redistil.study.teachers import AdoptedTeacher, RankingTeacher, TrainedTeacher


class File(NamedTuple):
    """The entry that a file is made of, and the file's place below `data`."""

    catalogue: str
    name: str
    place: str


Decided = dict[str, Any]  # what a message calls it, and what it is
Shared = dict[File, Decided]


def refuse(config: Mapping[str, Any], name: str, folder: Path) -> None:
    """Refuse, as BadSettings, a study that decides otherwise of a file than another one does.

    config: params.yaml. A study that says `redefines: true` takes the place of the others. One that
    is like this study departs from it. Nothing is known of one that its file alone does not make
    whole.
    """
    own = _decided_by(config, name, folder)
    for other in files.names(folder):
        if name not in _like(other, folder):
            for file, theirs in _decided_by(config, other, folder).items():
                _refuse_other(name, other, file, own.get(file, theirs), theirs)


def _like(name: str, folder: Path) -> Studies:
    """Return a study and those it is like; nothing where one cannot be read."""
    try:
        return files.chain(name, folder)
    except BadSettings:
        return {}


def _refuse_other(study: str, other: str, file: File, own: Decided, theirs: Decided) -> None:
    catalogue, name, place = file
    for what, value in own.items():
        if value != theirs.get(what):
            raise BadSettings(
                f"studies/{study}.yaml, {catalogue}.{name}: {what}: {value} here and "
                f"{theirs.get(what)} in studies/{other}.yaml, and both would lie at data/{place}: "
                f"let both say the same, give the entry another name here, as "
                f"`{name}-of-{study}: {{like: {name}}}`, or say `redefines: true` to take its place"
            )


def _decided_by(config: Mapping[str, Any], name: str, folder: Path) -> Shared:
    """Return what a study decides; nothing where it takes the place of others."""
    studies = _like(name, folder)
    if not studies or redefines(studies):
        return {}
    try:
        return decided(_planned(config, name, studies))
    except BadSettings:
        return {}


def _planned(config: Mapping[str, Any], name: str, studies: Studies) -> Study:
    """Return a study, of which and those it is like the files are given."""
    stated = reduce(laid_on, studies.values(), {**config, "study": name})
    stated.pop(files.REDEFINES, None)
    return resolve(likened(stated))


def decided(study: Study) -> Shared:
    """Return what a study decides of each file that it needs and may share."""
    return dict(_decided(study))


def _decided(study: Study) -> Iterator[tuple[File, Decided]]:
    names = grid.needed(study)
    for name in sorted(names["backbones"]):
        backbone = study.backbones[name]
        if isinstance(backbone, BuiltBackbone):
            apart = _apart(study, backbone.build.dataset)
            yield File("backbones", name, f"backbones/{name}"), apart
    for catalogue in ("backbones", "checkpoints"):
        for name in sorted(names[catalogue]):
            kept = {"tokens.longest": study.tokens.longest}
            yield File(catalogue, name, f"tokens/{name}"), kept
    for name, dataset in product(sorted(names["first_stages"]), sorted(names["datasets"])):
        stage = study.first_stages[name]
        if not isinstance(stage, ImportedStage) or stage.run_of(dataset):
            least = {"least_success": study.least_success}
            yield File("first_stages", name, f"candidates/{name}/{dataset}"), least
    for name in sorted(names["negatives"]):
        apart = _apart(study, study.negatives[name].dataset)
        yield File("negatives", name, f"negatives/{name}"), apart
    for name in sorted(names["teachers"]):
        yield File("teachers", name, f"teachers/{name}"), _of_teacher(study, name)


def _of_teacher(study: Study, name: str) -> Decided:
    """Return how a teacher is trained, and how precisely it scores."""
    teacher, decided = study.teachers[name], Decided()
    if isinstance(teacher, TrainedTeacher):
        model = teacher.model
        trained = recipe(study, Cell(model.student, model.loss, model.seed))
        decided |= _spelled(trained.stated())
    if isinstance(teacher, (TrainedTeacher, AdoptedTeacher, RankingTeacher)):
        decided["reranking.precision"] = study.reranking.precision
    return decided


def _apart(study: Study, dataset: str) -> Decided:
    """Return the test sets whose queries are left out of what is trained on a dataset."""
    sets = grid.test_sets(study, dataset)
    both = sorted([*sets.same_corpus, *sets.elsewhere])
    return {f"test sets kept apart from {dataset} (grid.datasets and kept_apart)": both}


def _spelled(recipe: Mapping[str, Any]) -> Decided:
    return {f"{key} of its training": value for key, value in recipe.items()}
