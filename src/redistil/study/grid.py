"""The grid of a study: its cells, its systems, and the words that its catalogues derive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redistil.study.backbones import BuiltBackbone
from redistil.study.candidates import ImportedStage, SpladeStage
from redistil.study.study import Study
from redistil.study.teachers import AveragedTeacher, TrainedTeacher


@dataclass(frozen=True)
class System:
    """Something that ranks the candidates and has a line in the leaderboard.

    kind: student, teacher, first stage or random; loss and seed are None where there is none.
    """

    name: str
    kind: str
    student: str | None = None
    loss: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Cell:
    """One training: a student, a loss and a seed."""

    student: str
    loss: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student}/{self.loss}/{self.seed}"


@dataclass(frozen=True)
class KeptApart:
    """The test sets whose queries a training set may not have.

    Over the same corpus a query is known by its id and its text, elsewhere by its text alone.
    """

    same_corpus: list[str]
    elsewhere: list[str]


def grid_cells(study: Study) -> list[Cell]:
    """Return every student x loss x seed of the grid."""
    grid = study.grid
    return [
        Cell(student, loss, seed)
        for student in grid.students
        for loss in grid.losses
        for seed in grid.seeds
    ]


def losses_behind(study: Study, loss: str) -> list[str]:
    """Return a loss after all that it comes after (`losses.*.after`): the stages of a training."""
    stages = [loss]
    while after := study.losses[stages[0]].after:
        stages.insert(0, after)
    return stages


def predecessor(study: Study, cell: Cell) -> Cell | None:
    """Return the cell whose weights a training starts from; None where that is the backbone."""
    after = study.losses[cell.loss].after
    return Cell(cell.student, after, cell.seed) if after else None


def trained_cells(study: Study) -> list[Cell]:
    """Return every training of the study: the grid, its teachers, and what these start from."""
    stages = []
    for cell in [*grid_cells(study), *teacher_cells(study).values()]:
        for loss in losses_behind(study, cell.loss):
            stages.append(Cell(cell.student, loss, cell.seed))
    return list(dict.fromkeys(stages))


def teachers_behind(study: Study, loss: str) -> list[str]:
    """Return the teachers of a loss and of those that it comes after."""
    teachers = []
    for stage in losses_behind(study, loss):
        source = study.sources.get(study.losses[stage].reads)
        if source and source.teacher:
            teachers.append(source.teacher)
    return teachers


def teacher_cells(study: Study) -> dict[str, Cell]:
    """Return the cell that each trained teacher of this study is, a teacher's teachers too."""
    cells: dict[str, Cell] = {}
    waiting = [*study.grid.teachers]
    for loss in study.grid.losses:
        waiting += teachers_behind(study, loss)
    while waiting:
        for name in members(study, waiting.pop()):
            teacher = study.teachers[name]
            if isinstance(teacher, TrainedTeacher) and name not in cells:
                model = teacher.model
                cells[name] = Cell(model.student, model.loss, model.seed)
                waiting += teachers_behind(study, model.loss)
    return dict(sorted(cells.items()))


def systems(study: Study) -> list[System]:
    """Return everything the study compares, baselines first."""
    grid, seed = study.grid, study.random_seed
    lines = [System(f"random/{seed}", "random", seed=seed)]
    lines += [System(name, "first stage") for name in [grid.first_stage, *grid.baselines]]
    lines += [System(name, "teacher") for name in grid.teachers]
    for cell in grid_cells(study):
        lines.append(System(cell.name, "student", cell.student, cell.loss, cell.seed))
    return lines


def measures_of(study: Study, dataset: str) -> list[str]:
    """Return the measures of a dataset: those of the study, then those it declares itself."""
    return [*study.measures, *own_measures(study, dataset)]


def own_measures(study: Study, dataset: str) -> list[str]:
    """Return the measures that a dataset has besides those of the study."""
    own = study.datasets[dataset].measures or []
    return [measure for measure in own if measure not in study.measures]


def sweep_depths(depth: int) -> list[int]:
    """Return 0, 1, 2, 5, 10, 20, 50, ... and `depth`: the ticks of a logarithmic axis."""
    ticks = [m * 10**power for power in range(len(str(depth))) for m in (1, 2, 5)]
    return [0, *(tick for tick in ticks if tick < depth), depth]


def words(study: Study, /, **known: Any) -> dict[str, Any]:
    """Return `known` with every word that the catalogues derive from it.

    A student has a backbone; a loss reads negatives and perhaps a teacher's scores; negatives
    belong to a dataset; a dataset to a corpus. A word that does not apply is None.
    """
    found = dict(known)

    def derive(word: str, value: Callable[[], Any]) -> None:
        if word not in found:
            found[word] = value()

    if "student" in found:
        derive("backbone", lambda: study.students[found["student"]].backbone)
    if "loss" in found:
        source = study.sources[study.losses[found["loss"]].reads]
        derive("negatives", lambda: source.negatives)
        derive("teacher", lambda: source.teacher)
    if "negatives" in found:
        negatives = study.negatives[found["negatives"]]
        derive("dataset", lambda: negatives.dataset)
        derive("first_stage", lambda: negatives.get("first_stage"))
    if "built" in found:
        backbone = study.backbones[found["built"]]
        assert isinstance(backbone, BuiltBackbone)
        derive("dataset", lambda: backbone.build.dataset)
        derive("corpus", lambda: backbone.build.corpus)
    if "splade" in found:
        derive("backbone", lambda: study.first_stages[found["splade"]]["encoder"])
    if "dataset" in found:
        derive("corpus", lambda: study.datasets[found["dataset"]].corpus)
    return found


def training_sets(study: Study) -> list[str]:
    """Return the datasets that the study trains on, each once: warm-ups of backbones too."""
    negatives, stages = [], [study.grid.first_stage, *study.grid.baselines]
    for cell in trained_cells(study):
        source = study.sources.get(study.losses[cell.loss].reads)
        if source:
            negatives.append(study.negatives[source.negatives])
    stages += [entry["first_stage"] for entry in negatives if "kind" in entry]
    backbones = [study.students[cell.student].backbone for cell in trained_cells(study)]
    for name in stages:
        stage = study.first_stages[name]
        if isinstance(stage, SpladeStage):
            backbones.append(stage.encoder)
    datasets = [entry.dataset for entry in negatives]
    for name in backbones:
        backbone = study.backbones[name]
        if isinstance(backbone, BuiltBackbone):
            datasets.append(backbone.build.dataset)
    return list(dict.fromkeys(datasets))


def test_sets(study: Study, dataset: str) -> KeptApart:
    """Return the test sets whose queries are left out of what is trained on a dataset."""
    corpus = study.datasets[dataset].corpus
    sets = KeptApart([], [])
    # those that could not be had too: training must not depend on what is in place
    missing = [one.dataset for one in study.left_out or []]
    for name in dict.fromkeys([*study.grid.datasets, *missing, *study.kept_apart]):
        if name == dataset:
            continue
        same = study.datasets[name].corpus == corpus
        (sets.same_corpus if same else sets.elsewhere).append(name)
    return sets


def default_groups(study: Study) -> dict[str, list[str]]:
    """Return the datasets in domain, over a corpus that is trained on, and those out of it."""
    trained = {study.datasets[name].corpus for name in training_sets(study)}
    groups: dict[str, list[str]] = {"In domain": [], "Out of domain": []}
    for name in study.grid.datasets:
        inside = study.datasets[name].corpus in trained
        groups["In domain" if inside else "Out of domain"].append(name)
    return {group: names for group, names in groups.items() if names}


def members(study: Study, teacher: str) -> list[str]:
    """Return the single teachers behind a teacher: those it averages, or itself."""
    entry = study.teachers[teacher]
    return entry.average if isinstance(entry, AveragedTeacher) else [teacher]


def names_behind(study: Study) -> set[str]:
    """Return the names of the artefacts that a study's numbers come from, models left out."""
    names = {study.grid.first_stage, *study.grid.baselines, *study.grid.datasets}
    names |= {study.datasets[dataset].corpus for dataset in study.grid.datasets}
    for source in study.sources.values():
        names |= {source.negatives, study.negatives[source.negatives].dataset}
        names |= {source.teacher} if source.teacher else set()
    for name in names & {*study.first_stages}:
        stage = study.first_stages[name]
        names |= {stage.encoder} if isinstance(stage, SpladeStage) else set()
    for cell in trained_cells(study):
        names.add(study.students[cell.student].backbone)
    return names


def imported_run(study: Study, first_stage: str, dataset: str) -> str | None:
    """Return the download that holds an imported first stage's candidates for a dataset.

    It may be one for all; or each dataset has its own, and None stands for those that have none.
    """
    stage = study.first_stages[first_stage]
    assert isinstance(stage, ImportedStage)
    return stage.run_of(dataset)


def shards(study: Study, first_stage: str, corpus: str) -> int:
    """Return into how many parts a corpus is encoded: of `shard` passages, as declared.

    A corpus that does not declare its `passages` is one part.
    """
    passages = study.corpora[corpus].passages or 1
    shard: int = study.first_stages[first_stage]["shard"]
    return -(-passages // shard)
