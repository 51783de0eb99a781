"""The folder of tables: CSV for people and DVC, Markdown and LaTeX to paste, JSON for the page."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from redistil.stages.report.numbers import costs, typeset
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


@dataclass(frozen=True)
class Tabulated:
    """What the figures and the page read: rows as `leaderboard` made them, and their record.

    published: ours beside published values. sizes: by student, where they are known.
    sources: by system. cells: by (system, dataset, measure), the mean over queries.
    spent: what each system cost. more: further tables by name, of a version that has them.
    """

    leaderboard: list[Line]
    losses: list[LossRow]
    tests: list[Test]
    published: list[PublishedRow]
    sizes: dict[str, Size]
    sources: dict[str, Source]
    made: Made
    cells: dict[tuple[str, str, str], float]
    more: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    spent: list[costs.Cost] = field(default_factory=list)


def write(
    tables: Tables,
    sources: Mapping[str, Source],
    folder: Path,
    made: Made,
    *,
    published: Sequence[PublishedRow] = (),
    sizes: Mapping[str, Size] | None = None,
    sheets: Mapping[str, Sheet] | None = None,
    spent: Sequence[costs.Cost] = (),
) -> None:
    """Write the folder; its record is removed first and written last.

    published, sizes, spent: as in `Tabulated`; sheets: what is to be pasted elsewhere.
    """
    leaderboard = [_rounded(asdict(line)) for line in tables.leaderboard]
    rows = {
        "losses": [_rounded(asdict(row)) for row in tables.losses],
        "tests": [_rounded(asdict(row)) for row in tables.tests],
        "published": [_rounded(asdict(row)) for row in published],
    }
    files = rows | {
        "leaderboard": [_rounded(flat(line)) for line in tables.leaderboard],
        "cells": [_rounded(asdict(c) | asdict(sources[c.system])) for c in tables.cells],
        "lines": _lines(tables),
    }
    with sealing(folder, [JSON, CELLS], made):
        for name, columns in files.items():
            header = list(columns[0]) if columns else HEADER if name == "published" else []
            _write_csv(columns, header, folder / name)
        _write_json(_rounded(tables.metrics), folder / "metrics.json")
        _write_sheets(sheets or {}, folder / "paste")
        costs.write(spent, folder)
        known = {
            "sizes": {student: asdict(size) for student, size in (sizes or {}).items()},
            "sources": {system: asdict(source) for system, source in sources.items()},
        }
        _write_json({"leaderboard": leaderboard, **rows, **known}, folder / JSON)


def _lines(tables: Tables) -> list[Columns]:
    """Return the leaderboard in the form that `dvc plots diff` compares."""
    lines = []
    for group in tables.metrics:
        for line in tables.leaderboard:
            value = line.value(group)
            lines.append(_rounded({"line": f"{group}: {line.system}", "value": value}))
    return lines


def read(folder: Path) -> Tabulated:
    """Return the tables in a folder; Stale if they are not those that its record names."""
    made, files = unsealed(folder, "tabulate", [JSON, CELLS])
    tables = dict(stated(json.loads(files[JSON].read_text(encoding="utf-8")), str(files[JSON])))
    return Tabulated(
        leaderboard=[_line(row) for row in tables.pop("leaderboard")],
        losses=[LossRow(**row) for row in tables.pop("losses")],
        tests=[Test(**row) for row in tables.pop("tests")],
        published=[PublishedRow(**row) for row in tables.pop("published")],
        sizes={student: Size(**size) for student, size in tables.pop("sizes").items()},
        sources={system: Source(**source) for system, source in tables.pop("sources").items()},
        made=made,
        cells=_read_cells(files[CELLS]),
        more=tables,
        spent=costs.read(folder),
    )


def _line(row: Mapping[str, Any]) -> Line:
    groups = {group: GroupValue(**values) for group, values in row["groups"].items()}
    sets = {dataset: SetValue(**values) for dataset, values in row["sets"].items()}
    return Line(**{**row, "groups": groups, "sets": sets})


def _read_cells(path: Path) -> dict[tuple[str, str, str], float]:
    cells = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            cells[row["system"], row["dataset"], row["measure"]] = float(row["value"])
    return cells


def _rounded(value: Any) -> Any:
    """Return the value, however deep, with six significant digits: more would be noise."""
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


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
