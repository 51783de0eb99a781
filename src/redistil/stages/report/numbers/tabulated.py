"""The folder of tables: CSV for people and DVC, Markdown and LaTeX to paste, JSON for the page."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from redistil.stages.report.numbers import costs, machines, typeset
from redistil.stages.report.numbers.counts import SetCounts
from redistil.stages.report.numbers.gates import Gate
from redistil.stages.report.numbers.leaderboard import Tables
from redistil.stages.report.numbers.rows import (
    GroupValue,
    Line,
    LossRow,
    PublishedRow,
    SetValue,
    Size,
    Source,
    Test,
    Verdicts,
    Versus,
    Wait,
    flat,
)
from redistil.stages.report.numbers.sealed import sealing, unsealed
from redistil.stages.report.numbers.sheets import Sheet
from redistil.storage.lineage import Made
from redistil.storage.settings import stated
from redistil.storage.tables import aside

JSON, CELLS = "tables.json", "cells.csv"
HEADER = [column.name for column in fields(PublishedRow)]
Columns = Mapping[str, Any]
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Tabulated:
    """The tables that figures and page read: rows as `leaderboard` made them, and their record.

    published: ours beside published values. sizes: by student, where they are known.
    sources: by system. cells: by (system, dataset, measure), the mean over queries.
    gates: of the study's teachers. spent: what each system cost; taught: what all
    teachers cost together. works: how many each kind of machine did. more: further tables by name,
    of a version that has them.
    """

    leaderboard: list[Line]
    losses: list[LossRow]
    versus: list[Versus]
    tests: list[Test]
    published: list[PublishedRow]
    sizes: dict[str, Size]
    sources: dict[str, Source]
    made: Made
    cells: dict[tuple[str, str, str], float]
    more: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    spent: list[costs.Cost] = field(default_factory=list)
    taught: costs.Spent = costs.Spent()
    gates: list[Gate] = field(default_factory=list)
    works: dict[machines.Machine, int] = field(default_factory=dict)


def write(
    tables: Tables,
    sources: Mapping[str, Source],
    folder: Path,
    made: Made,
    *,
    published: Sequence[PublishedRow] = (),
    sizes: Mapping[str, Size] | None = None,
    sheets: Mapping[str, Sheet] | None = None,
    gates: Sequence[Gate] = (),
    spent: Sequence[costs.Cost] = (),
    taught: costs.Spent | None = None,
    test_sets: Sequence[SetCounts] = (),
    works: Mapping[machines.Machine, int] | None = None,
    waits: Sequence[Wait] = (),
) -> None:
    """Write the folder; its record is removed first and written last.

    published, sizes, gates, spent, taught, works: as in `Tabulated`; sheets: what is to be pasted
    elsewhere; test_sets: their queries, a further table, as are the published `waits`.
    """
    files: dict[str, list[Columns]] = {
        "leaderboard": list(map(flat, tables.leaderboard)),
        "losses": list(map(_with_verdicts, tables.losses)),
        "versus": list(map(_with_verdicts, tables.versus)),
        "tests": list(map(_columns, tables.tests)),
        "cells": _cells(tables, sources),
        "published": list(map(_columns, published)),
        "lines": _lines(tables),
    }
    kept = {
        "leaderboard": tables.leaderboard,
        "losses": tables.losses,
        "versus": tables.versus,
        "tests": tables.tests,
        "published": published,
        "sizes": sizes or {},
        "gates": gates,
        "sources": sources,
        "taught": taught or costs.Spent(),
        "test_sets": test_sets,
        "waits": waits,
    }
    with sealing(folder, [JSON, CELLS], made):
        for name, rows in files.items():
            header = list(rows[0]) if rows else HEADER if name == "published" else []
            _write_csv(list(map(_rounded, rows)), header, folder / name)
        metrics = {}
        for group, values in tables.metrics.items():
            metrics[group] = _rounded(values)
        _write_json(metrics, folder / "metrics.json")
        _write_sheets(sheets or {}, folder / "paste")
        costs.write(spent, folder)
        machines.write(works or {}, folder)
        _write_json(_plain(kept), folder / JSON)


def _columns(row: Test | PublishedRow) -> Columns:
    return asdict(row)


def _cells(tables: Tables, sources: Mapping[str, Source]) -> list[Columns]:
    """Return every mean with the file that it was read from."""
    cells: list[Columns] = []
    for cell in tables.cells:
        cells.append(asdict(cell) | asdict(sources[cell.system]))
    return cells


def _lines(tables: Tables) -> list[Columns]:
    """Return the leaderboard in the form that `dvc plots diff` compares."""
    lines: list[Columns] = []
    for group in tables.metrics:
        for line in tables.leaderboard:
            lines.append({"line": f"{group}: {line.system}", "value": line.value(group)})
    return lines


def _with_verdicts(row: LossRow | Versus) -> Columns:
    """Return a row with the counts of its verdicts as columns."""
    columns: dict[str, Any] = {}
    for name, value in asdict(row).items():
        columns |= value if name == "verdicts" else {name: value}
    return columns


def read(folder: Path) -> Tabulated:
    """Return the tables in a folder; Stale if they are not those that its record names."""
    made, files = unsealed(folder, "tabulate", [JSON, CELLS])
    tables = dict(stated(json.loads(files[JSON].read_text(encoding="utf-8")), str(files[JSON])))
    return Tabulated(
        leaderboard=list(map(_line, tables.pop("leaderboard"))),
        losses=_of_verdicts(LossRow, tables.pop("losses")),
        versus=_of_verdicts(Versus, tables.pop("versus")),
        tests=_rows(Test, tables.pop("tests")),
        published=_rows(PublishedRow, tables.pop("published")),
        sizes=_by_name(Size, tables.pop("sizes")),
        sources=_by_name(Source, tables.pop("sources")),
        made=made,
        cells=_read_cells(files[CELLS]),
        gates=_rows(Gate, tables.pop("gates")),
        taught=costs.Spent(**tables.pop("taught")),
        more=tables,
        spent=costs.read(folder),
        works=machines.read(folder),
    )


def _line(row: Mapping[str, Any]) -> Line:
    groups, sets = _by_name(GroupValue, row["groups"]), _by_name(SetValue, row["sets"])
    return Line(**{**row, "groups": groups, "sets": sets})


def _of_verdicts(kind: Callable[..., Kind], rows: Sequence[Columns]) -> list[Kind]:
    kinds = []
    for row in rows:
        verdicts = Verdicts(**row["verdicts"])
        kinds.append(kind(**{**row, "verdicts": verdicts}))
    return kinds


def _rows(kind: Callable[..., Kind], rows: Sequence[Columns]) -> list[Kind]:
    return [kind(**row) for row in rows]


def _by_name(kind: Callable[..., Kind], rows: Mapping[str, Columns]) -> dict[str, Kind]:
    by_name = {}
    for name, row in rows.items():
        by_name[name] = kind(**row)
    return by_name


def _read_cells(path: Path) -> dict[tuple[str, str, str], float]:
    cells = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            cells[row["system"], row["dataset"], row["measure"]] = float(row["value"])
    return cells


def _plain(value: Any) -> Any:
    """Return rows, and mappings and lists of them, as JSON has them; no number is rounded.

    The page and the figures round what they show, once.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        plain = {}
        for key, inner in value.items():
            plain[key] = _plain(inner)
        return plain
    return list(map(_plain, value)) if isinstance(value, Sequence) else value


def _rounded(row: Columns) -> dict[str, Any]:
    """Return the row with six significant digits: more would be noise."""
    rounded = {}
    for key, value in row.items():
        rounded[key] = float(f"{value:.6g}") if isinstance(value, float) else value
    return rounded


def _write_csv(rows: Sequence[Columns], header: Sequence[str], path: Path) -> None:
    with aside(path.with_suffix(".csv")) as partial:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            out = csv.DictWriter(stream, header, lineterminator="\n")
            out.writeheader()
            out.writerows(rows)


def _write_sheets(sheets: Mapping[str, Sheet], folder: Path) -> None:
    """Write every sheet in both forms, and remove those of an earlier study."""
    for old in folder.glob("*"):
        old.unlink()
    for name, sheet in sheets.items():
        forms = {"md": typeset.markdown(sheet), "tex": typeset.latex(sheet, name)}
        for form, text in forms.items():
            with aside(folder / f"{name}.{form}") as partial:
                partial.write_text(text, encoding="utf-8")


def _write_json(value: object, path: Path) -> None:
    with aside(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
