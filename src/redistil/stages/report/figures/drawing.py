"""Which figures a study has: what was given, turned into what each of them shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from redistil.stages.report import figures
from redistil.stages.report.numbers import costs, entries, margins
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.storage import lineage
from redistil.storage.tables import CURVE, DEPTHS
from redistil.study import artefacts as studies
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Given:
    """The files that figures are drawn from, besides the tables; any of them may be empty.

    teachers: (teacher, its scores, negatives, their file).
    """

    curves: tuple[Path, ...]
    measures: tuple[Path, ...]
    depths: tuple[Path, ...]
    teachers: tuple[tuple[str, Path, str, Path], ...]


def drawn(study: Study, tables: Tabulated, given: Given) -> dict[str, "Figure | str"]:
    """Return every figure by name; instead of one without data, a sentence that says so."""
    board = tables.leaderboard
    found: dict[str, Figure | str] = {
        "bars": figures.bars(board, study),
        "table": figures.shaded(board, study),
        "pairs": "a single loss: no pair to compare",
        "sizes": "fewer than two students of known size",
        "scatter": "no measures given",
        "depths": "no sweep of depths given",
        "cost": "no cost.json beside the models",
        "reranking": "no cost.json beside all runs of a student",
        "curves": "no training curve given",
        "margins": "no teacher's scores of labelled pairs given",
    }
    if len(study["grid"]["losses"]) > 1:
        found["pairs"] = figures.matrix(tables.tests, study)
    if len({size["parameters"] for size in tables.sizes.values()}) > 1:
        found["sizes"] = figures.sizes(board, study, tables.sizes)
    if given.measures:
        found["scatter"] = _scatter(study, tables, given.measures)
    if given.depths:
        rows = [row for path in given.depths for row in DEPTHS.read(path).to_pylist()]
        found["depths"] = figures.depths(rows, board, study)
    spent = [row for row in tables.spent if row["kind"] == "student"]
    for name, work in (("cost", "training"), ("reranking", "reranking")):
        if costs.drawn(study, spent, work):
            found[name] = figures.cost(board, study, spent, work)
    if given.curves:
        runs = {lineage.of(path).name: figures.points(CURVE.read(path)) for path in given.curves}
        found["curves"] = figures.curves(runs, study)
    taught = [
        margins.margins(name, scores, pairs, of) for name, scores, of, pairs in given.teachers
    ]
    if labelled := [found_of for found_of in taught if found_of is not None]:
        found["margins"] = figures.margins(labelled)
    return found


def _scatter(study: Study, tables: Tabulated, measures: tuple[Path, ...]) -> "Figure":
    """Return the best student of each group against the first stage, query by query."""
    first = study["grid"]["first_stage"]
    lines = {entry.name: entry for entry in entries.entries(studies.systems(study))}
    best = {group: entries.best(tables.leaderboard, group)["system"] for group in study["groups"]}
    wanted = {first, *(name for system in best.values() for name in lines[system].systems)}
    files = {name: path for path in measures if (name := lineage.of(path).name) in wanted}
    values = entries.read(study, files)
    points = {
        group: [
            (values.mean(lines[first], dataset), values.mean(lines[best[group]], dataset))
            for dataset in datasets
        ]
        for group, datasets in study["groups"].items()
    }
    names = {group: (first, best[group]) for group in points}
    return figures.scatter(points, names, study["measures"][0])
