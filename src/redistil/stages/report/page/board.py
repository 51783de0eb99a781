"""The leaderboard as a table of cells: a row for each student and loss, and one for each seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from redistil.stages.report.numbers.rows import GroupValue, Line
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import interval, number, p_value, signed
from redistil.study import artefacts as studies
from redistil.study.study import Study


@dataclass(frozen=True)
class Column:
    """scope: the group or dataset it tells of; sort: number or text."""

    scope: str
    title: str
    sort: str = "number"


@dataclass(frozen=True)
class Cell:
    """text: as it is read; value: as it is sorted; range: what stands behind it in soft ink;
    word: of a cell that holds no number, for its colour; link: a line whose comparison it opens.
    """

    text: str
    value: float | None = None
    range: str = ""
    word: str = ""
    link: str = ""


@dataclass(frozen=True)
class BoardRow:
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
    rows: list[BoardRow]
    filters: Mapping[str, list[str]]


def board(study: Study, tabulated: Tabulated) -> Board:
    """Return the leaderboard, the rows over seeds first; single seeds have values only."""
    grid, measure = study["grid"], study["measures"][0]
    rows = []
    for line in tabulated.leaderboard:
        rows.append(_over_seeds(line))
    for system in studies.systems(study):
        if system.kind == "student":
            values = {}
            for dataset in grid["datasets"]:
                values[dataset] = tabulated.cells[system.name, dataset, measure]
            rows.append(_of_one_seed(system, study["groups"], values))
    kinds = sorted({row.kind for row in rows})
    filters = {"kind": kinds, "student": list(grid["students"]), "loss": list(grid["losses"])}
    return Board(_columns(study), rows, filters)


def _columns(study: Study) -> list[Column]:
    """Return the columns: four for each group, one for each dataset."""
    columns = []
    for group in study["groups"]:
        for title in (study["measures"][0], "difference", "p"):
            columns.append(Column(group, title))
        columns.append(Column(group, "verdict", "text"))
    for dataset in study["grid"]["datasets"]:
        columns.append(Column(dataset, dataset))
    return columns


def _over_seeds(line: Line) -> BoardRow:
    cells = []
    for values in line.groups.values():
        cells += _group(line, values)
    for on_set in line.sets.values():
        cells.append(Cell(number(on_set.value), on_set.value))
    return BoardRow(line.system, line.kind, line.student, line.loss, None, line.seeds, cells)


def _group(line: Line, values: GroupValue) -> list[Cell]:
    spread = "" if values.spread is None else f"± {number(values.spread)}"
    low, high = values.difference_low, values.difference_high
    between = "" if low is None else interval(low, high)
    return [
        Cell(number(values.value), values.value, spread),
        Cell(signed(values.difference), values.difference, between),
        Cell(p_value(values.p_holm), values.p_holm),
        _verdict(line, values),
    ]


def _verdict(line: Line, values: GroupValue) -> Cell:
    """Return the word of a line against the first stage; a baseline has none, but can be tested."""
    if values.difference is None:
        return Cell("–", word="none")
    word = values.verdict or "compare"
    return Cell(word, word=word.replace(" ", "-"), link=line.system)


def _of_one_seed(
    system: studies.System, groups: Mapping[str, Sequence[str]], values: Mapping[str, float]
) -> BoardRow:
    """Return the row of one training; values: by dataset."""
    cells = []
    for datasets in groups.values():
        of_group = [values[dataset] for dataset in datasets]
        mean = float(np.mean(of_group))
        cells += [Cell(number(mean), mean), Cell("–"), Cell("–"), Cell("–", word="none")]
    for value in values.values():
        cells.append(Cell(number(value), value))
    who = (system.name, system.kind, system.student, system.loss, system.seed)
    return BoardRow(*who, 1, cells)
