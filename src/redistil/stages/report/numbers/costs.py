"""The costs of teachers, training and re-ranking, from the cost files beside what they made.

Times differ from run to run, so none of this is in a record: it is shown, and decides nothing.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from redistil.stages.report.numbers.entries import entries
from redistil.storage import digests, lineage
from redistil.storage.tables import aside
from redistil.study import artefacts as studies
from redistil.study.study import Study

TRAINED, RERANKED = "cost.json", "{dataset}.cost.json"  # beside a model and each of its runs
SCORED = ".cost.json"  # in the place of the suffix of a teacher's scores
FILE = "costs.csv"
WORK = ("teacher", "training", "reranking")


@dataclass(frozen=True)
class Spent:
    """The cost of a work as far as it is known; None is what is not."""

    seconds: float | None = None
    pairs_per_second: float | None = None
    processor_joules: float | None = None
    gpu_joules: float | None = None
    device_seconds: float | None = None
    interruptions: float | None = None  # starts that did not come to their end
    device: str | None = None

    @property
    def work(self) -> float | None:
        """Seconds of all threads or GPUs; of the clock, where an older version told only these."""
        return self.seconds if self.device_seconds is None else self.device_seconds

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self != Spent()

    @property
    def joules(self) -> float | None:
        """The energy of those parts of the machine that told theirs; None where none did."""
        return ((self.processor_joules or 0) + (self.gpu_joules or 0)) or None


@dataclass(frozen=True)
class Cost:
    """The costs of a system, or of a line of the leaderboard as means over its seeds.

    teacher: of the training of a student's teacher, or of its members, and of its scores. All
    students that learn from it share them.
    """

    system: str
    kind: str
    student: str | None
    loss: str | None
    seed: int | None
    training: Spent = Spent()
    reranking: Spent = Spent()
    teacher: Spent = Spent()

    def of(self, work: str) -> Spent:
        """Return the cost of one of `WORK`."""
        spent: Spent = getattr(self, work)
        return spent

    @property
    def share(self) -> float | None:
        """The teacher's share of the work of teaching this student alone."""
        taught, trained = self.teacher.work, self.training.work
        return taught / (taught + trained) if taught and trained else None


Amount = Callable[[Spent], float | None]
AMOUNTS: dict[str, Amount] = {
    "seconds": lambda spent: spent.seconds,
    "pairs_per_second": lambda spent: spent.pairs_per_second,
    "processor_joules": lambda spent: spent.processor_joules,
    "gpu_joules": lambda spent: spent.gpu_joules,
    "device_seconds": lambda spent: spent.device_seconds,
    "interruptions": lambda spent: spent.interruptions,
}  # of a column of the file
UNITS: dict[str, Amount] = {
    "seconds": lambda spent: spent.work,
    "pairs per second": lambda spent: spent.pairs_per_second,
    "joules": lambda spent: spent.joules,
}  # of an axis
_WHO = ("system", "kind", "student", "loss", "seed")


def _header() -> list[str]:
    columns = list(_WHO)
    for work in WORK:
        for amount in AMOUNTS:
            columns.append(f"{work}_{amount}")
    for work in WORK:
        columns.append(f"{work}_device")
    return columns


HEADER = _header()


def rows(
    study: Study,
    models: Iterable[Path],
    runs: Iterable[tuple[str, Path]],
    teachers: Mapping[str, Spent] | None = None,
) -> list[Cost]:
    """Return a row for each system of which something is known.

    models: records of the models; runs: a system, and the folder that holds its runs; teachers:
    what `of_teachers` returns.
    """
    trained: dict[str, list[Path]] = {}
    for path in models:
        trained[lineage.of(path).name] = [path.parent / TRAINED]
    reranked = _of_runs(runs, study["grid"]["datasets"])
    costs = []
    for system in studies.systems(study):
        training = _together(trained.get(system.name, []))
        reranking = _together(reranked.get(system.name, []))
        if training.known or reranking.known:
            who = (system.name, system.kind, system.student, system.loss, system.seed)
            taught = (teachers or {}).get(teacher_of(study, system.loss), Spent())
            costs.append(Cost(*who, training, reranking, taught))
    return costs


def teacher_of(study: Study, loss: str | None) -> str:
    """Return the teacher that a loss reads the scores of; nothing where it has none."""
    if loss is None:
        return ""
    source = study["sources"][study["losses"][loss]["reads"]]
    return source.get("teacher") or ""


def of_teachers(
    scores: Iterable[tuple[str, Path]], models: Iterable[tuple[str, Path]]
) -> dict[str, Spent]:
    """Return the cost of each teacher: its scores, and the trainings of the models behind it.

    scores: a teacher and the file of its scores; models: a teacher and the record of a model.
    """
    files = _of_teachers(scores, models)
    return {teacher: _together(of_teacher) for teacher, of_teacher in files.items()}


def of_all_teachers(
    study: Study, scores: Iterable[tuple[str, Path]], models: Iterable[tuple[str, Path]]
) -> Spent:
    """Return the cost of all teachers that a loss reads; a work that several share counts once.

    scores, models: as for `of_teachers`. Teachers whose cost is not known are not in it.
    """
    read = {teacher_of(study, loss) for loss in study["grid"]["losses"]}
    every: dict[Path, None] = {}
    for teacher, files in _of_teachers(scores, models).items():
        if teacher in read and all(map(Path.exists, files)):
            every |= dict.fromkeys(files)
    return _together(list(every))


def _of_teachers(
    scores: Iterable[tuple[str, Path]], models: Iterable[tuple[str, Path]]
) -> dict[str, list[Path]]:
    """Return the cost files of each teacher: of its scores, and of the models behind it."""
    files: dict[str, list[Path]] = {}
    for teacher, path in scores:
        files[teacher] = [path.with_suffix(SCORED)]
    for teacher, path in models:
        files.setdefault(teacher, []).append(path.parent / TRAINED)
    return files


def _of_runs(runs: Iterable[tuple[str, Path]], datasets: Sequence[str]) -> dict[str, list[Path]]:
    """Return the cost files of each system's runs, one for each dataset."""
    files: dict[str, list[Path]] = {}
    for name, folder in runs:
        files[name] = []
        for dataset in datasets:
            files[name].append(folder / RERANKED.format(dataset=dataset))
    return files


def files(
    study: Study,
    models: Iterable[Path],
    runs: Iterable[tuple[str, Path]],
    scores: Iterable[tuple[str, Path]],
) -> list[Path]:
    """Return every cost file that may lie beside these, each once."""
    beside = [path.parent / TRAINED for path in models]
    for of_system in _of_runs(runs, study["grid"]["datasets"]).values():
        beside += of_system
    for _, path in scores:
        beside.append(path.with_suffix(SCORED))
    return list(dict.fromkeys(beside))


def _together(files: Sequence[Path]) -> Spent:
    """Return the sum of what several works cost; nothing unless all of them tell it."""
    if not files or not all(map(Path.exists, files)):
        return Spent()
    costs: list[Mapping[str, Any]] = []
    devices: list[str] = []
    for file in files:
        cost = digests.read_json(file)
        costs.append(cost)
        device = cost.get("device")
        devices += map(str, device if isinstance(device, list) else [device])
    seconds, pairs = _sum(costs, "seconds"), _sum(costs, "pairs")
    return Spent(
        seconds,
        round(pairs / seconds, 1) if seconds and pairs else None,
        _sum(costs, "processor_joules"),
        _sum(costs, "gpu_joules"),
        _sum(costs, "device_seconds"),
        _sum(costs, "interruptions"),
        " and ".join(dict.fromkeys(devices)),
    )


def _sum(costs: Sequence[Mapping[str, Any]], key: str) -> Any:
    amounts: list[Any] = [cost.get(key) for cost in costs]
    return None if None in amounts else sum(amounts)


def write(costs: Sequence[Cost], folder: Path) -> None:
    """Write the rows as CSV."""
    with aside(folder / FILE) as partial:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow(HEADER)
            for cost in costs:
                who = [cost.system, cost.kind, cost.student, cost.loss, cost.seed]
                works = [cost.of(work) for work in WORK]
                numbers = chain.from_iterable(map(_amounts, works))
                devices = [work.device for work in works]
                out.writerow([*who, *numbers, *devices])


def _amounts(spent: Spent) -> list[float | None]:
    return [amount(spent) for amount in AMOUNTS.values()]


def read(folder: Path) -> list[Cost]:
    """Return what `write` wrote; nothing where there is no such file."""
    if not (folder / FILE).exists():
        return []
    costs = []
    with (folder / FILE).open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            who = (row["system"], row["kind"], row["student"] or None, row["loss"] or None)
            seed = int(row["seed"]) if row["seed"] else None
            training, reranking = _spent(row, "training"), _spent(row, "reranking")
            costs.append(Cost(*who, seed, training, reranking, _spent(row, "teacher")))
    return costs


def _spent(row: Mapping[str, str], work: str) -> Spent:
    numbers = []
    for amount in AMOUNTS:
        text = row[f"{work}_{amount}"]
        numbers.append(float(text) if text else None)
    device = row[f"{work}_device"] or None
    return replace(_of_amounts(numbers), device=device)


def over_seeds(study: Study, costs: Sequence[Cost]) -> dict[str, Cost]:
    """Return the mean of every number over a line's seeds, by line of the leaderboard."""
    by_system: dict[str, Cost] = {}
    for cost in costs:
        by_system[cost.system] = cost
    means = {}
    for line in entries(studies.systems(study)):
        seeds = [by_system[name] for name in line.systems if name in by_system]
        if seeds:
            works = [_mean(seeds, work) for work in ("training", "reranking", "teacher")]
            who = (line.name, line.kind, line.student, line.loss, None)
            means[line.name] = Cost(*who, *works)
    return means


def _mean(seeds: Sequence[Cost], work: str) -> Spent:
    """Return the mean of every number of a work, over the seeds of which it is known."""
    means: list[float | None] = []
    for amount in AMOUNTS.values():
        values = []
        for cost in seeds:
            value = amount(cost.of(work))
            if value is not None:
                values.append(value)
        means.append(float(np.mean(values)) if values else None)
    return _of_amounts(means)


def _of_amounts(numbers: Sequence[float | None]) -> Spent:
    """Return a cost of numbers in the order of `AMOUNTS`."""
    seconds, pairs_per_second, processors, gpus, device_seconds, interruptions = numbers
    return Spent(seconds, pairs_per_second, processors, gpus, device_seconds, interruptions)


def amounts(study: Study, costs: Sequence[Cost], work: str) -> dict[str, dict[str, float]]:
    """Return what is known of a work: by unit, the amount of each line of the leaderboard.

    Energy is that of all parts of the machine which told theirs for some system.
    """
    means = over_seeds(study, costs)
    parts = _parts_told(costs, (work,))
    by_unit: dict[str, dict[str, float]] = {}
    for unit, amount in UNITS.items():
        for line, mean in means.items():
            spent = mean.of(work)
            value = amount(spent)
            if value and (unit != "joules" or _tells(spent, parts)):
                by_unit.setdefault(unit, {})[line] = value
    return by_unit


_ENERGIES = {"processor_joules": "processors", "gpu_joules": "GPUs"}  # of which part


def _parts_told(costs: Sequence[Cost], works: Sequence[str]) -> list[str]:
    """Return which energies of these works are known of some system."""
    spent: list[Spent] = []
    for cost in costs:
        spent += map(cost.of, works)
    parts = []
    for part in _ENERGIES:
        if any(map(AMOUNTS[part], spent)):
            parts.append(part)
    return parts


def _tells(spent: Spent, parts: Sequence[str]) -> bool:
    """Whether all these energies are known."""
    for part in parts:
        if not AMOUNTS[part](spent):
            return False
    return True


def energy(costs: Sequence[Cost], works: Sequence[str] = WORK) -> str:
    """Return in words what the joules of these works are of, or that there are none."""
    parts = [_ENERGIES[part] for part in _parts_told(costs, works)]
    if not parts:
        return "Energy: not readable on this machine."
    return (
        f"Energy is that of the machine's {' and '.join(parts)} meanwhile, whatever else they "
        "worked at."
    )
