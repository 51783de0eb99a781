"""The folder of tables: CSV for people and DVC, one JSON for the figures and the page."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redistil.lineage import Made
from redistil.report.leaderboard import Row, Tables
from redistil.report.sealed import sealing, unsealed
from redistil.tables import aside

JSON, CELLS = "tables.json", "cells.csv"


@dataclass(frozen=True)
class Tabulated:
    """What the figures and the page read: rows as `leaderboard` made them, and their record.

    sources: by system, the measures file its numbers come from and that file's fingerprint.
    cells: by (system, dataset, measure), the mean over queries. more: further tables by name.
    """

    leaderboard: list[Row]
    losses: list[Row]
    tests: list[Row]
    sources: dict[str, dict[str, str]]
    made: Made
    cells: dict[tuple[str, str, str], float]
    more: dict[str, list[Row]]


def write(
    tables: Tables, sources: Mapping[str, Mapping[str, str]], folder: Path, made: Made
) -> None:
    """Write the folder; its record is removed first and written last."""
    rounded = {
        name: [_rounded(row) for row in getattr(tables, name)]
        for name in ("leaderboard", "losses", "tests", "cells")
    }
    rounded["cells"] = [{**row, **sources[row["system"]]} for row in rounded["cells"]]
    metrics = {group: _rounded(row) for group, row in tables.metrics.items()}
    with sealing(folder, [JSON, CELLS], made):
        for name, rows in rounded.items():
            _write_csv(rows, folder / f"{name}.csv")
        _write_json(metrics, folder / "metrics.json")
        kept = {name: rows for name, rows in rounded.items() if name != "cells"}
        _write_json(kept | {"sources": sources}, folder / JSON)


def read(folder: Path) -> Tabulated:
    """Return the tables in a folder; Stale if they are not those that its record names."""
    made, files = unsealed(folder, "tabulate")
    with files[CELLS].open(newline="", encoding="utf-8") as stream:
        cells = {
            (row["system"], row["dataset"], row["measure"]): float(row["value"])
            for row in csv.DictReader(stream)
        }
    tables = json.loads(files[JSON].read_text(encoding="utf-8"))
    known = {name: tables.pop(name) for name in ("leaderboard", "losses", "tests", "sources")}
    more = {name: rows for name, rows in tables.items() if isinstance(rows, list)}
    return Tabulated(**known, made=made, cells=cells, more=more)


def _rounded(row: Row) -> Row:
    """Return the row with six significant digits: more would be noise."""
    return {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in row.items()
    }


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with aside(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        out = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def _write_json(value: object, path: Path) -> None:
    with aside(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
