"""The tables of a study: leaderboard, verdict of every loss, tests, means of every cell.

What is compared with what, and in which family, says `redistil.stages.report.numbers.comparisons`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.comparisons import LEVEL, Group, Settings, test_of
from redistil.stages.report.numbers.entries import Entry, Row, Values, entries, read
from redistil.study import artefacts as studies
from redistil.study.artefacts import System
from redistil.study.study import Study

__all__ = ["LEVEL", "Entry", "Row", "Settings", "Tables", "Values", "entries", "read", "tabulate"]


@dataclass(frozen=True)
class Tables:
    """The tables as rows, and the few numbers that `dvc metrics` shows."""

    leaderboard: list[Row]
    losses: list[Row]
    tests: list[Row]
    cells: list[Row]
    metrics: Row


def tabulate(study: Study, values: Values, settings: Settings) -> Tables:
    """Return every table of the study."""
    systems = studies.systems(study)
    lines = entries(systems)
    groups = [
        Group(name, datasets, lines, study["grid"]["first_stage"], values, settings)
        for name, datasets in study["groups"].items()
    ]
    tests = [row for group in groups for row in group.tests()]
    leaderboard = [_line(entry, study, groups, values, tests) for entry in lines]
    losses = [row for group in groups for row in group.losses(tests)]
    leaderboard.sort(key=lambda row: -row[groups[0].name])
    return Tables(
        leaderboard,
        losses,
        tests,
        _cells(systems, study, values),
        _metrics(groups, lines, losses),
    )


def _line(
    entry: Entry,
    study: Study,
    groups: Sequence[Group],
    values: Values,
    tests: Sequence[Row],
) -> Row:
    row: Row = {
        "system": entry.name,
        "kind": entry.kind,
        "student": entry.student,
        "loss": entry.loss,
        "seeds": len(entry.systems),
    }
    for group in groups:
        found = group.value(entry)
        test = test_of(tests, group.name, "cells", entry.name)
        row[group.name] = found["value"]
        for key in ("spread", "spread_of_sets", "low", "high"):
            row[f"{group.name} {key}"] = found[key]
        for key in ("difference", "difference_low", "difference_high"):
            row[f"{group.name} {key}"] = None if entry.name == group.reference else found[key]
        for key in ("effect", "p", "p_holm", "p_seeds", "verdict"):
            row[f"{group.name} {key}"] = test.get(key)
    for dataset in study["grid"]["datasets"]:
        per_seed = np.array([values.per_query[s, dataset].mean() for s in entry.systems])
        row[dataset] = float(per_seed.mean())
        row[f"{dataset} spread"] = statistics.spread(per_seed)
    return row


def _cells(systems: Sequence[System], study: Study, values: Values) -> list[Row]:
    return [
        {
            "system": system.name,
            "kind": system.kind,
            "student": system.student,
            "loss": system.loss,
            "seed": system.seed,
            "dataset": dataset,
            "measure": measure,
            "value": values.means[system.name, dataset, measure],
            "queries": values.queries[dataset],
        }
        for system in systems
        for dataset in study["grid"]["datasets"]
        for measure in studies.measures_of(study, dataset)
    ]


def _metrics(groups: Sequence[Group], lines: Sequence[Entry], losses: Sequence[Row]) -> Row:
    """Return the headline in few numbers: best student, baselines and the mean of each loss."""
    metrics: Row = {}
    for group in groups:
        means = {entry: float(group.per_seed(entry).mean()) for entry in lines}
        students = [means[entry] for entry in group.students]
        found = {"best student": max(students)} if students else {}
        found |= {e.name: mean for e, mean in means.items() if e.kind != "student"}
        found |= {row["loss"]: row["value"] for row in losses if row["group"] == group.name}
        metrics[group.name] = found
    return metrics
