"""The grid of a study: its cells, its systems, and the words that the catalogues derive from them.

Pure functions of the merged configuration (params.yaml with studies/<study>.yaml on top).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]


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


def grid_cells(config: Config) -> list[Cell]:
    """Return every student x loss x seed of the grid."""
    grid = config["grid"]
    return [
        Cell(student, loss, seed)
        for student in grid["students"]
        for loss in grid["losses"]
        for seed in grid["seeds"]
    ]


def losses_behind(config: Config, loss: str) -> list[str]:
    """Return a loss after all that it comes after (`losses.*.after`): the stages of a training."""
    stages = [loss]
    while after := config["losses"][stages[0]].get("after"):
        stages.insert(0, after)
    return stages


def predecessor(config: Config, cell: Cell) -> Cell | None:
    """Return the cell whose weights a training starts from; None where that is the backbone."""
    after = config["losses"][cell.loss].get("after")
    return Cell(cell.student, after, cell.seed) if after else None


def trained_cells(config: Config) -> list[Cell]:
    """Return every training of the study: the grid, its teachers, and what these start from."""
    wanted = [*grid_cells(config), *teacher_cells(config).values()]
    stages = [
        Cell(cell.student, loss, cell.seed)
        for cell in wanted
        for loss in losses_behind(config, cell.loss)
    ]
    return list(dict.fromkeys(stages))


def steps_of(size: Config, source: str) -> int:
    """Return the steps of a training that reads `source`: each source may have its own number."""
    steps: int | Mapping[str, int] = size["steps"]
    return steps[source] if isinstance(steps, Mapping) else steps


def teacher_of(config: Config, loss: str) -> str | None:
    """Return the teacher that a loss learns from in this study, if it has one."""
    teacher: str | None = config["sources"].get(config["losses"][loss]["reads"], {}).get("teacher")
    return teacher


def teachers_behind(config: Config, loss: str) -> list[str]:
    """Return the teachers of a loss and of those that it comes after."""
    found = [teacher_of(config, stage) for stage in losses_behind(config, loss)]
    return [teacher for teacher in found if teacher]


def teacher_cells(config: Config) -> dict[str, Cell]:
    """Return the cell that each trained teacher of this study is, a teacher's teachers too."""
    grid, found = config["grid"], dict[str, Cell]()
    waiting = [*grid["teachers"]]
    for loss in grid["losses"]:
        waiting += teachers_behind(config, loss)
    while waiting:
        for leaf in members(config, waiting.pop()):
            model = config["teachers"][leaf].get("model")
            if model and leaf not in found:
                found[leaf] = Cell(**model)
                waiting += teachers_behind(config, model["loss"])
    return dict(sorted(found.items()))


def systems(config: Config) -> list[System]:
    """Return everything the study compares, baselines first."""
    grid = config["grid"]
    return [
        System(f"random/{config['random_seed']}", "random", seed=config["random_seed"]),
        *(System(name, "first stage") for name in [grid["first_stage"], *grid["baselines"]]),
        *(System(name, "teacher") for name in grid["teachers"]),
        *(
            System(cell.name, "student", cell.student, cell.loss, cell.seed)
            for cell in grid_cells(config)
        ),
    ]


def measures_of(config: Config, dataset: str) -> list[str]:
    """Return the measures of a data set: those of the study, then those it declares itself."""
    everywhere: list[str] = list(config["measures"])
    own = config["datasets"][dataset].get("measures", [])
    return everywhere + [name for name in own if name not in everywhere]


def sweep_depths(depth: int) -> list[int]:
    """Return 0, 1, 2, 5, 10, 20, 50, ... and `depth`: the ticks of a logarithmic axis."""
    ticks = [m * 10**power for power in range(len(str(depth))) for m in (1, 2, 5)]
    return [0, *(tick for tick in ticks if tick < depth), depth]


def words(config: Config, **known: Any) -> dict[str, Any]:
    """Return `known` with every word that the catalogues derive from it.

    A student has a backbone; a loss reads negatives and perhaps a teacher's scores; negatives
    belong to a dataset; a dataset to a corpus. A word that does not apply is None.
    """
    found = dict(known)

    def derive(word: str, value: Callable[[], Any]) -> None:
        if word not in found:
            found[word] = value()

    if "student" in found:
        derive("backbone", lambda: config["students"][found["student"]]["backbone"])
    if "loss" in found:
        source = config["sources"][config["losses"][found["loss"]]["reads"]]
        derive("negatives", lambda: source["negatives"])
        derive("teacher", lambda: source.get("teacher"))
    if "negatives" in found:
        negatives = config["negatives"][found["negatives"]]
        derive("dataset", lambda: negatives["dataset"])
        derive("first_stage", lambda: negatives.get("first_stage"))
    if "built" in found:
        recipe = config["backbones"][found["built"]]["build"]
        derive("dataset", lambda: recipe["dataset"])
        derive("corpus", lambda: recipe["corpus"])
    if "splade" in found:
        derive("backbone", lambda: config["first_stages"][found["splade"]]["encoder"])
    if "dataset" in found:
        derive("corpus", lambda: config["datasets"][found["dataset"]]["corpus"])
    return found


def test_sets(config: Config, dataset: str) -> dict[bool, list[str]]:
    """Return the test sets whose queries a training set may not have, by: over the same corpus."""
    datasets = config["datasets"]
    found: dict[bool, list[str]] = {True: [], False: []}
    for name in datasets[dataset].get("apart_from", []):
        found[datasets[name]["corpus"] == datasets[dataset]["corpus"]].append(name)
    return found


def members(config: Config, teacher: str) -> list[str]:
    """Return the single teachers behind a teacher: those it averages, or itself."""
    average: list[str] = config["teachers"][teacher].get("average", [teacher])
    return average


def names_behind(config: Config) -> set[str]:
    """Return the names of the artefacts that a study's numbers come from, models left out."""
    grid = config["grid"]
    names = {grid["first_stage"], *grid["baselines"], *grid["datasets"]}
    names |= {config["datasets"][dataset]["corpus"] for dataset in grid["datasets"]}
    for source in config["sources"].values():
        negatives, teacher = source["negatives"], source.get("teacher")
        names |= {negatives, config["negatives"][negatives]["dataset"]}
        names |= {teacher} if teacher else set()
    for stage in names & {*config["first_stages"]}:
        encoder = config["first_stages"][stage].get("encoder")
        names |= {encoder} if encoder else set()
    for cell in trained_cells(config):
        names.add(config["students"][cell.student]["backbone"])
    return names


def imported_run(config: Config, first_stage: str, dataset: str) -> str | None:
    """Return the download that holds an imported first stage's candidates for a dataset.

    It may be one for all; or each dataset has its own, and None stands for those that have none.
    """
    run: str | Mapping[str, str] = config["first_stages"][first_stage]["import"]
    return run.get(dataset) if isinstance(run, Mapping) else run


def shards(config: Config, first_stage: str, corpus: str) -> int:
    """Return into how many stretches a corpus is encoded: of `shard` passages, as declared.

    A corpus that declares no `documents` is one stretch.
    """
    documents: int = config["corpora"][corpus].get("documents", 1)
    shard: int = config["first_stages"][first_stage]["shard"]
    return -(-documents // shard)
