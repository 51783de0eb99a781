"""The tables of a study: leaderboard, verdict of every loss, tests, means of every cell.

What is compared with what, and in which family, says `redistil.stages.report.numbers.comparisons`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from redistil.stages.report.numbers import comparisons, statistics
from redistil.stages.report.numbers.comparisons import LEVEL, Group, Settings
from redistil.stages.report.numbers.entries import Entry, Values, entries, read
from redistil.stages.report.numbers.rows import (
    Cell,
    GroupValue,
    Line,
    LossRow,
    SetValue,
    Test,
    Versus,
)
from redistil.study import artefacts as studies
from redistil.study.artefacts import System
from redistil.study.study import Study

__all__ = ["LEVEL", "Entry", "Settings", "Tables", "Values", "entries", "read", "tabulate"]

Metrics = dict[str, dict[str, float]]  # by group, the value of what `dvc metrics` names


@dataclass(frozen=True)
class Tables:
    """The tables as rows, and the few numbers that `dvc metrics` shows."""

    leaderboard: list[Line]
    losses: list[LossRow]
    versus: list[Versus]
    tests: list[Test]
    cells: list[Cell]
    metrics: Metrics


def tabulate(study: Study, values: Values, settings: Settings) -> Tables:
    """Return every table of the study."""
    systems = studies.systems(study)
    lines = entries(systems)
    groups = []
    first = study["grid"]["first_stage"]
    for name, datasets in study["groups"].items():
        groups.append(Group(name, datasets, lines, first, values))
    tests = comparisons.tests(groups, settings)
    leaderboard = [_line(entry, study, groups, values, tests) for entry in lines]
    leaderboard.sort(key=lambda line: -line.value(groups[0].name))
    losses: list[LossRow] = []
    versus: list[Versus] = []
    for group in groups:
        losses += group.losses(tests[group.name])
        versus += group.versus(tests[group.name])
    return Tables(
        leaderboard,
        losses,
        versus,
        sum(tests.values(), []),
        _cells(systems, study, values),
        _metrics(groups, lines, losses),
    )


def _line(
    entry: Entry,
    study: Study,
    groups: Sequence[Group],
    values: Values,
    tests: Mapping[str, Sequence[Test]],
) -> Line:
    on_groups: dict[str, GroupValue] = {}
    for group in groups:
        on_groups[group.name] = group.value(entry, tests[group.name])
    on_sets: dict[str, SetValue] = {}
    for dataset in study["grid"]["datasets"]:
        on_sets[dataset] = _on_set(entry, dataset, values)
    seeds = len(entry.systems)
    return Line(entry.name, entry.kind, entry.student, entry.loss, seeds, on_groups, on_sets)


def _on_set(entry: Entry, dataset: str, values: Values) -> SetValue:
    means = [values.per_query[system, dataset].mean() for system in entry.systems]
    per_seed = np.array(means)
    return SetValue(float(per_seed.mean()), statistics.spread(per_seed))


def _cells(systems: Sequence[System], study: Study, values: Values) -> list[Cell]:
    cells = []
    for system in systems:
        who = (system.name, system.kind, system.student, system.loss, system.seed)
        for dataset in study["grid"]["datasets"]:
            queries = values.queries[dataset]
            for measure in studies.measures_of(study, dataset):
                mean = values.means[system.name, dataset, measure]
                cells.append(Cell(*who, dataset, measure, mean, queries))
    return cells


def _metrics(groups: Sequence[Group], lines: Sequence[Entry], losses: Sequence[LossRow]) -> Metrics:
    """Return the headline in few numbers: best student, baselines and the mean of each loss."""
    metrics: Metrics = {}
    for group in groups:
        values = metrics[group.name] = {}
        if group.students:
            values["best student"] = max(map(group.mean, group.students))
        for entry in lines:
            if entry.kind != "student":
                values[entry.name] = group.mean(entry)
        for row in losses:
            if row.group == group.name:
                values[row.loss] = row.value
    return metrics
