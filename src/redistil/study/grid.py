"""The grid of a study: its cells, its systems, and the words that its catalogues derive."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from redistil.study.backbones import BuiltBackbone
from redistil.study.candidates import MinedNegatives, SpladeStage
from redistil.study.fields import Entry, Reference, references
from redistil.study.objectives import Loss
from redistil.study.study import Study
from redistil.study.teachers import AveragedTeacher, TrainedTeacher


@dataclass(frozen=True)
class System:
    """Something that ranks the candidates and has a line in the leaderboard.

    kind: student, retriever, teacher, checkpoint, first stage or random; loss and seed are None
    where there is none. A retriever is a student that searches the whole corpus.
    """

    name: str
    kind: str
    student: str | None = None
    loss: str | None = None
    seed: int | None = None

    @property
    def model(self) -> str | None:
        """The name of the training behind it; None where there is none."""
        return None if self.student is None else f"{self.student}/{self.loss}/{self.seed}"


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
    """Return every student x loss x seed of the grid, but for losses of fewer students."""
    cells = []
    for student, loss in product(study.grid.students, study.grid.losses):
        if student in students_of(study, loss):
            cells += [Cell(student, loss, seed) for seed in seeds_of(study, student)]
    return cells


def searching_cells(study: Study) -> list[Cell]:
    """Return the cells of the grid that retrieve too (`retrieval`)."""
    how = study.retrieval
    return [cell for cell in grid_cells(study) if how and cell.student in how.students]


def retriever(cell: Cell) -> str:
    """Return what a cell is called where it retrieves."""
    return f"retrieved/{cell.name}"


def seeds_of(study: Study, student: str) -> list[int]:
    """Return the seeds of a student: those of the grid, or the first of them."""
    return study.grid.seeds[: study.grid.fewer_seeds.get(student)]


def students_of(study: Study, loss: str) -> list[str]:
    """Return the students that a loss teaches: all of the grid, or some."""
    taught = study.grid.fewer_students.get(loss, study.grid.students)
    return [student for student in study.grid.students if student in taught]


def timed_cells(study: Study) -> list[Cell]:
    """Return the first cell of each student, where the study measures latency."""
    first: dict[str, Cell] = {}
    for cell in grid_cells(study) if study.latency else []:
        first.setdefault(cell.student, cell)
    return list(first.values())


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


def gated_teachers(study: Study) -> list[str]:
    """Return the teachers of the losses that can re-rank the validation queries: each has a gate.

    A published file, or a language model, scores its own pairs alone.
    """
    if not stages_to_beat(study):
        return []
    teaching = []
    for loss in study.grid.losses:
        teaching += teachers_behind(study, loss)
    gated = []
    for name in dict.fromkeys(teaching):
        behind = [study.teachers[member] for member in members(study, name)]
        if all(teacher.re_ranks for teacher in behind):
            gated.append(name)
    return gated


def stages_to_beat(study: Study) -> list[str]:
    """Return the first stages that a teacher has to beat on the validation queries.

    The first is the one that is re-ranked. Without its candidates, or without a validation, there
    is none.
    """
    validation = study.training.validation if study.training else None
    if not validation:
        return []
    stages = []
    for name in dict.fromkeys([study.grid.first_stage, *study.grid.baselines]):
        stage = study.first_stages[name]
        if all(map(stage.covers, validation.datasets)):
            stages.append(name)
    return stages if study.grid.first_stage in stages else []


def built_backbones(study: Study) -> list[str]:
    """Return the backbones built here that a training starts from."""
    names = []
    for cell in trained_cells(study):
        name = study.students[cell.student].backbone
        if isinstance(study.backbones[name], BuiltBackbone):
            names.append(name)
    return list(dict.fromkeys(names))


def systems(study: Study) -> list[System]:
    """Return everything the study compares, baselines first."""
    grid, seed = study.grid, study.random_seed
    lines = [System(f"random/{seed}", "random", seed=seed)]
    for first_stage in [grid.first_stage, *grid.baselines]:
        lines.append(System(first_stage, "first stage"))
    for cell in searching_cells(study):
        lines.append(System(retriever(cell), "retriever", cell.student, cell.loss, cell.seed))
    for teacher in grid.teachers:
        lines.append(System(teacher, "teacher"))
    for checkpoint in grid.checkpoints:
        lines.append(System(checkpoint, "checkpoint"))
    for cell in grid_cells(study):
        lines.append(System(cell.name, "student", cell.student, cell.loss, cell.seed))
    return lines


def measures_of(study: Study, dataset: str) -> list[str]:
    """Return the measures of a dataset: those of the study, then those it declares itself."""
    return [*study.measures, *own_measures(study, dataset)]


def own_measures(study: Study, dataset: str) -> list[str]:
    """Return the measures that a dataset has besides those of the study.

    Where students retrieve, recall at the depth of their runs is one of them.
    """
    own = [*(study.datasets[dataset].measures or [])]
    if study.retrieval:
        own = list(dict.fromkeys([*own, f"R@{study.retrieval.depth}"]))
    return [measure for measure in own if measure not in study.measures]


def sweep_depths(depth: int) -> list[int]:
    """Return 0, 1, 2, 5, 10, 20, 50, ... and `depth`: the ticks of a logarithmic axis."""
    depths, power = [0], 1
    while power < depth:
        depths += [tick for tick in (power, 2 * power, 5 * power) if tick < depth]
        power *= 10
    return [*depths, depth]


def words(study: Study, /, **known: Any) -> dict[str, Any]:
    """Return `known` with every word that the catalogues derive from it.

    A student has a backbone; a loss reads negatives and perhaps a teacher's scores; negatives
    belong to a dataset; a dataset to a corpus. A word that does not apply is None.
    """
    row = dict(known)
    if "student" in row:
        row.setdefault("backbone", study.students[row["student"]].backbone)
    if "loss" in row:
        source = study.sources[study.losses[row["loss"]].reads]
        row.setdefault("negatives", source.negatives)
        row.setdefault("teacher", source.teacher)
    if "negatives" in row:
        negatives = study.negatives[row["negatives"]]
        first_stage = negatives.first_stage if isinstance(negatives, MinedNegatives) else None
        row.setdefault("dataset", negatives.dataset)
        row.setdefault("first_stage", first_stage)
    if "built" in row:
        backbone = study.backbones[row["built"]]
        assert isinstance(backbone, BuiltBackbone)
        row.setdefault("dataset", backbone.build.dataset)
        row.setdefault("corpus", backbone.build.corpus)
    if "splade" in row:
        row.setdefault("backbone", _splade(study, row["splade"]).encoder)
    if "dataset" in row:
        row.setdefault("corpus", study.datasets[row["dataset"]].corpus)
    return row


def _splade(study: Study, first_stage: str) -> SpladeStage:
    stage = study.first_stages[first_stage]
    assert isinstance(stage, SpladeStage)
    return stage


def needed(study: Study) -> dict[str, set[str]]:
    """Return the names of the entries that the study's numbers come from, by catalogue."""
    return _reached(study, _needed_by)


def _reached(
    study: Study, further: Callable[[Study, Entry], list[Reference]]
) -> dict[str, set[str]]:
    """Return the names that the study's grid leads to, by catalogue."""
    names: dict[str, set[str]] = defaultdict(set)
    waiting = [*references(study.grid)]
    waiting += [Reference("kept_apart", name, "datasets") for name in study.kept_apart]
    if study.validation:
        waiting += references(study.validation)
    while waiting:
        _, name, catalogue = waiting.pop()
        if name not in names[catalogue]:
            names[catalogue].add(name)
            waiting += further(study, study[catalogue][name])
    return names


CATALOGUES = (
    "corpora",
    "datasets",
    "downloads",
    "backbones",
    "students",
    "losses",
    "first_stages",
    "negatives",
    "teachers",
    "checkpoints",
    "exports",
    "sources",
)


def asked_for(study: Study) -> dict[str, Any]:
    """Return the settings of a study with the entries alone that its grid leads to.

    An entry that nothing leads to can change no number. Datasets that could not be had stay.
    """
    names = _reached(study, _named_by)
    names["datasets"].update(study.missing_sets)
    names["corpora"] |= {study.datasets[name].corpus for name in names["datasets"]}
    settings = study.stated()
    for catalogue in CATALOGUES:
        entries = settings[catalogue]
        settings[catalogue] = {key: entries[key] for key in entries if key in names[catalogue]}
    training = settings.get("training") or {}
    training.pop("checkpoint_every", None)  # changes the work, not the result
    if "sizes" in training:
        used = {study.students[name].size for name in names["students"]}
        training["sizes"] = {key: training["sizes"][key] for key in sorted(used)}
    return settings


def _named_by(study: Study, entry: Entry) -> list[Reference]:
    """Return all references of an entry, and the data that a loss reads."""
    named = [*references(entry)]
    if isinstance(entry, Loss) and entry.reads in study.sources:
        named.append(Reference("reads", entry.reads, "sources"))
    return named


def _needed_by(study: Study, entry: Entry) -> list[Reference]:
    """Return the references of an entry, but for those to what it could serve besides."""
    needs = []
    for reference in _named_by(study, entry):
        if reference.path.partition(".")[0] not in {"over", "import"}:
            needs.append(reference)
    return needs


def training_sets(study: Study) -> set[str]:
    """Return the datasets that the study trains on: warm-ups of backbones too."""
    names = needed(study)
    datasets = {study.negatives[name].dataset for name in names["negatives"]}
    for name in names["backbones"]:
        backbone = study.backbones[name]
        if isinstance(backbone, BuiltBackbone):
            datasets.add(backbone.build.dataset)
    return datasets


def test_sets(study: Study, dataset: str) -> KeptApart:
    """Return the test sets whose queries are left out of what is trained on a dataset."""
    corpus = study.datasets[dataset].corpus
    sets = KeptApart([], [])
    # those that could not be had too: training must not depend on what is in place
    for name in dict.fromkeys([*study.grid.datasets, *study.missing_sets, *study.kept_apart]):
        if name == dataset:
            continue
        same = study.datasets[name].corpus == corpus
        (sets.same_corpus if same else sets.elsewhere).append(name)
    return sets


def default_groups(study: Study) -> dict[str, list[str]]:
    """Return the datasets in domain, over a corpus that is trained on, and those out of it."""
    trained = {study.datasets[name].corpus for name in training_sets(study)}
    groups: dict[str, list[str]] = {}
    for group, is_in_domain in (("In domain", True), ("Out of domain", False)):
        for name in study.grid.datasets:
            if (study.datasets[name].corpus in trained) == is_in_domain:
                groups.setdefault(group, []).append(name)
    return groups


def members(study: Study, teacher: str) -> list[str]:
    """Return the single teachers behind a teacher: those it averages, or itself."""
    entry = study.teachers[teacher]
    return entry.average if isinstance(entry, AveragedTeacher) else [teacher]


def names_behind(study: Study) -> set[str]:
    """Return the names of the artefacts that a study's numbers come from, models left out."""
    names = set[str]()
    for catalogue, of_catalogue in needed(study).items():
        if catalogue not in {"students", "losses", "sources"}:
            names |= of_catalogue
    return names
