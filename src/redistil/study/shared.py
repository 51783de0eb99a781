"""Settings of a study that decide of files which other studies share.

A file made of an entry lies below `data`, under the name of the entry alone. Yet a study decides of
it too: the queries of its test sets are left out of training data, and its protocol trains its
teachers. Two studies that differ there would make one file anew in turn, and all that follows.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings
from redistil.study import files, grid
from redistil.study.artefacts import recipe
from redistil.study.backbones import BuiltBackbone
from redistil.study.checks import resolve
from redistil.study.clashes import PLACES, Studies, likened, redefines
from redistil.study.grid import Cell
from redistil.study.overlays import laid_on
from redistil.study.study import Study
from redistil.study.teachers import TrainedTeacher

Decided = dict[str, Any]  # what a message calls it, and what it is
Shared = dict[tuple[str, str], Decided]  # by catalogue and name of the entry


def refuse(config: Mapping[str, Any], name: str, folder: Path) -> None:
    """Refuse, as BadSettings, a study that decides otherwise of a file than another one does.

    config: params.yaml. A study that says `redefines: true` takes the place of the others. One that
    is like this study departs from it. Nothing is known of one that its file alone does not make
    whole.
    """
    own = _decided_by(config, name, folder)
    for other in files.names(folder):
        if name not in _like(other, folder):
            for key, theirs in _decided_by(config, other, folder).items():
                _refuse_other(name, other, key, own.get(key, theirs), theirs)


def _like(name: str, folder: Path) -> Studies:
    """Return a study and those it is like; nothing where one cannot be read."""
    try:
        return files.chain(name, folder)
    except BadSettings:
        return {}


def _refuse_other(
    study: str, other: str, key: tuple[str, str], own: Decided, theirs: Decided
) -> None:
    catalogue, name = key
    for what, value in own.items():
        if value != theirs.get(what):
            raise BadSettings(
                f"studies/{study}.yaml, {catalogue}.{name}: {what}: {value} here and "
                f"{theirs.get(what)} in studies/{other}.yaml, and both would lie in "
                f"data/{PLACES[catalogue]} under one name: let both say the same, give the entry "
                f"another name here, as `{name}-of-{study}: {{like: {name}}}`, or say "
                "`redefines: true` to take its place"
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


def _decided(study: Study) -> Iterator[tuple[tuple[str, str], Decided]]:
    names = grid.needed(study)
    for name in sorted(names["backbones"]):
        backbone = study.backbones[name]
        if isinstance(backbone, BuiltBackbone):
            yield ("backbones", name), _apart(study, backbone.build.dataset)
    for name in sorted(names["negatives"]):
        yield ("negatives", name), _apart(study, study.negatives[name].dataset)
    for name in sorted(names["teachers"]):
        teacher = study.teachers[name]
        if isinstance(teacher, TrainedTeacher):
            model = teacher.model
            trained = recipe(study, Cell(model.student, model.loss, model.seed))
            yield ("teachers", name), _spelled(trained.stated())


def _apart(study: Study, dataset: str) -> Decided:
    """Return the test sets whose queries are left out of what is trained on a dataset."""
    sets = grid.test_sets(study, dataset)
    both = sorted([*sets.same_corpus, *sets.elsewhere])
    return {f"test sets kept apart from {dataset} (grid.datasets and kept_apart)": both}


def _spelled(recipe: Mapping[str, Any]) -> Decided:
    return {f"{key} of its training": value for key, value in recipe.items()}
