"""The leaderboard as a table of cells: a line for each student and loss, and one for each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from redistil.stages.report.numbers.leaderboard import Row
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import number, p_value, signed
from redistil.study import artefacts as studies
from redistil.study.study import Study


@dataclass(frozen=True)
class Column:
    """scope: the group or data set it tells of; sort: number or text."""

    scope: str
    title: str
    sort: str = "number"


@dataclass(frozen=True)
class Cell:
    """text: as it is read; value: as it is sorted; range: what stands behind it in soft ink;
    word: of a cell that holds no number, for its colour.
    """

    text: str
    value: float | None = None
    range: str = ""
    word: str = ""


@dataclass(frozen=True)
class Line:
    """seed: of a single training; None where the line is a mean over seeds or has none."""

    name: str
    kind: str
    student: str | None
    loss: str | None
    seed: int | None
    seeds: int
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Board:
    """columns: what follows the name, student, loss and seed; filters: the words to choose from."""

    columns: list[Column]
    lines: list[Line]
    filters: Mapping[str, list[str]]


def board(study: Study, tabulated: Tabulated) -> Board:
    """Return the leaderboard, the lines over seeds first; single seeds have values only."""
    groups, datasets = study["groups"], study["grid"]["datasets"]
    measure = study["measures"][0]
    columns = [
        column
        for group in groups
        for column in (
            Column(group, measure),
            Column(group, "difference"),
            Column(group, "p"),
            Column(group, "verdict", "text"),
        )
    ] + [Column(dataset, dataset) for dataset in datasets]
    lines = [_over_seeds(row, groups, datasets) for row in tabulated.leaderboard]
    lines += [
        _of_one_seed(system, groups, datasets, measure, tabulated.cells)
        for system in studies.systems(study)
        if system.kind == "student"
    ]
    filters = {
        "kind": _distinct(line.kind for line in lines),
        "student": list(study["grid"]["students"]),
        "loss": list(study["grid"]["losses"]),
    }
    return Board(columns, lines, filters)


def _distinct(words: Any) -> list[str]:
    return sorted(set(words))


def _over_seeds(row: Row, groups: Mapping[str, Any], datasets: Sequence[str]) -> Line:
    cells = [cell for group in groups for cell in _group(row, group)]
    cells += [Cell(number(row[dataset]), row[dataset]) for dataset in datasets]
    return Line(row["system"], row["kind"], row["student"], row["loss"], None, row["seeds"], cells)


def _group(row: Row, group: str) -> list[Cell]:
    spread, difference = row[f"{group} spread"], row[f"{group} difference"]
    low, high = row[f"{group} difference_low"], row[f"{group} difference_high"]
    p, verdict = row[f"{group} p_holm"], row[f"{group} verdict"]
    return [
        Cell(number(row[group]), row[group], "" if spread is None else f"± {number(spread)}"),
        Cell(
            signed(difference),
            difference,
            "" if difference is None else f"[{signed(low)}, {signed(high)}]",
        ),
        Cell(p_value(p), p),
        Cell(verdict or "–", word=(verdict or "none").replace(" ", "-")),
    ]


def _of_one_seed(
    system: studies.System,
    groups: Mapping[str, Sequence[str]],
    datasets: Sequence[str],
    measure: str,
    means: Mapping[tuple[str, str, str], float],
) -> Line:
    values = {dataset: means[system.name, dataset, measure] for dataset in datasets}
    cells = []
    for members in groups.values():
        mean = float(np.mean([values[dataset] for dataset in members]))
        cells += [Cell(number(mean), mean), Cell("–"), Cell("–"), Cell("–", word="none")]
    cells += [Cell(number(value), value) for value in values.values()]
    return Line(system.name, system.kind, system.student, system.loss, system.seed, 1, cells)
