"""The folder of tables: CSV for people and DVC, Markdown and LaTeX to paste, JSON for the page."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redistil.stages.report.numbers import costs, typeset
from redistil.stages.report.numbers.leaderboard import Row, Tables
from redistil.stages.report.numbers.published import HEADER
from redistil.stages.report.numbers.sealed import sealing, unsealed
from redistil.storage.lineage import Made
from redistil.storage.settings import stated
from redistil.storage.tables import aside

JSON, CELLS = "tables.json", "cells.csv"
_KNOWN = ("leaderboard", "losses", "tests", "published", "sizes", "sources")


@dataclass(frozen=True)
class Tabulated:
    """What the figures and the page read: rows as `leaderboard` made them, and their record.

    published: ours beside published values.
    sizes: `parameters` and `family` of each student, where they are known.
    sources: by system, the measures file its numbers come from and that file's fingerprint.
    cells: by (system, dataset, measure), the mean over queries. more: further tables by name.
    spent: what each system cost (`redistil.stages.report.numbers.costs`).
    """

    leaderboard: list[Row]
    losses: list[Row]
    tests: list[Row]
    published: list[Row]
    sizes: dict[str, dict[str, Any]]
    sources: dict[str, dict[str, str]]
    made: Made
    cells: dict[tuple[str, str, str], float]
    more: dict[str, list[Row]]
    spent: list[Row] = field(default_factory=list)


def write(
    tables: Tables,
    sources: Mapping[str, Mapping[str, str]],
    folder: Path,
    made: Made,
    *,
    published: Sequence[Row] = (),
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
    sheets: Mapping[str, typeset.Sheet] | None = None,
    spent: Sequence[Row] = (),
) -> None:
    """Write the folder; its record is removed first and written last.

    published, sizes, spent: as in `Tabulated`; sheets: what is to be pasted elsewhere.
    """
    rows_of = {name: getattr(tables, name) for name in ("leaderboard", "losses", "tests", "cells")}
    rows_of["published"] = published
    rounded = {name: [_rounded(row) for row in rows] for name, rows in rows_of.items()}
    rounded["cells"] = [{**row, **sources[row["system"]]} for row in rounded["cells"]]
    rounded["lines"] = [
        {"line": f"{group}: {row['system']}", "value": row[group]}
        for group in tables.metrics
        for row in rounded["leaderboard"]
    ]
    metrics = {group: _rounded(row) for group, row in tables.metrics.items()}
    headers = {"published": HEADER}
    with sealing(folder, [JSON, CELLS], made):
        for name, rows in rounded.items():
            _write_csv(rows, headers.get(name, list(rows[0]) if rows else []), folder / name)
        _write_json(metrics, folder / "metrics.json")
        _write_sheets(sheets or {}, folder / "paste")
        costs.write(spent, folder)
        kept = {name: rows for name, rows in rounded.items() if name not in {"cells", "lines"}}
        _write_json(kept | {"sizes": sizes or {}, "sources": sources}, folder / JSON)


def read(folder: Path) -> Tabulated:
    """Return the tables in a folder; Stale if they are not those that its record names."""
    made, files = unsealed(folder, "tabulate", [JSON, CELLS])
    with files[CELLS].open(newline="", encoding="utf-8") as stream:
        cells = {
            (row["system"], row["dataset"], row["measure"]): float(row["value"])
            for row in csv.DictReader(stream)
        }
    tables = stated(json.loads(files[JSON].read_text(encoding="utf-8")), str(files[JSON]))
    known = {name: tables[name] for name in _KNOWN}
    others = {name: rows for name, rows in tables.items() if name not in _KNOWN}
    more = {name: rows for name, rows in others.items() if isinstance(rows, list)}
    return Tabulated(**known, made=made, cells=cells, more=more, spent=costs.read(folder))


def _rounded(row: Row) -> Row:
    """Return the row with six significant digits: more would be noise."""
    return {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in row.items()
    }


def _write_csv(rows: Sequence[Row], header: Sequence[str], path: Path) -> None:
    with aside(path.with_suffix(".csv")) as partial:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            out = csv.DictWriter(stream, header, lineterminator="\n")
            out.writeheader()
            out.writerows(rows)


def _write_sheets(sheets: Mapping[str, typeset.Sheet], folder: Path) -> None:
    """Write every sheet in both forms, and remove those of an earlier study."""
    for old in folder.glob("*"):
        old.unlink()
    for name, sheet in sheets.items():
        for form, text in (("md", typeset.markdown(sheet)), ("tex", typeset.latex(sheet, name))):
            with aside(folder / f"{name}.{form}") as partial:
                partial.write_text(text, encoding="utf-8")


def _write_json(value: object, path: Path) -> None:
    with aside(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
