"""Our numbers beside published ones: theirs, ours, the difference, and a word for it.

Published values stand in workflow/resources/published.csv, each with its source; how their names
map to ours in workflow/resources/published.yaml beside it. Both sides are means over seeds on the
same queries, so the interval of the difference is about seeds alone: those of a model trained
again. Where the publication prints no spread, ours is taken for theirs.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redistil.errors import BadTable
from redistil.stages.report.numbers import printed
from redistil.stages.report.numbers.entries import Entry, Values
from redistil.stages.report.numbers.rows import PublishedRow, Wait
from redistil.stages.report.numbers.statistics import Floats, spread
from redistil.storage import settings
from redistil.study.study import Study

COLUMNS = [
    "study", "student", "loss_or_teacher", "dataset", "metric", "value", "std", "source", "note",
]  # fmt: skip

# The verdicts. `within` is the setting statistics.reproduced_within.
REPRODUCED = "reproduced"  # the whole interval of the difference lies within it: shown to be close
CLOSE = "close"  # the difference does, its interval does not, or one seed gives no interval
DIFFERENT = "different"  # the difference is larger, and the interval leaves out 0
UNSETTLED = "unsettled"  # the difference is larger, and chance (the seeds) has not been ruled out
SUPERSEDED = "superseded"  # its authors have replaced this value: not judged
VERDICTS = (REPRODUCED, CLOSE, DIFFERENT, UNSETTLED, SUPERSEDED)


@dataclass(frozen=True)
class Published:
    """Rows of published.csv, and by study how their names map to ours."""

    rows: Sequence[Mapping[str, str]]
    names: Mapping[str, Mapping[str, Any]]


def read(values: Path, names: Path) -> Published:
    """Return both files; BadTable for a value without its source, or that is no number."""
    with values.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != COLUMNS:
            raise BadTable(f"{values}: wanted the columns {', '.join(COLUMNS)}")
        rows = list(reader)
    for line, row in enumerate(rows, start=2):
        where = f"{values}, line {line} ({row['student']}, {row['loss_or_teacher']})"
        _check_row(row, where)
    return Published(rows, settings.read(names, "map of names"))


def _check_row(row: Mapping[str, str], where: str) -> None:
    if not (row["source"] or "").strip():
        raise BadTable(f"{where}: no source: say where the value is printed, or leave it out")
    for column in ("value", "std"):
        if not _is_number(row[column]) and not (column == "std" and not row[column]):
            raise BadTable(f"{where}: {column} is {row[column]!r}, not a number")


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def beside(
    published: Published,
    study: Study,
    lines: Sequence[Entry],
    values: Values,
    within: float,
    level: float,
) -> list[PublishedRow]:
    """Return a row for each published value that has a counterpart in this study."""
    rows = []
    for row in published.rows:
        names = published.names.get(row["study"])
        if not names or study["grid"]["first_stage"] not in names["first_stages"]:
            continue
        checkpoint = _checkpoint(row, names, lines)
        measured = _ours(checkpoint, row, names, values) if checkpoint else None
        entry = _counterpart(row, names, lines) or checkpoint
        ours = _ours(entry, row, names, values) if entry else None
        if entry is not None and ours is not None:
            rows.append(_row(row, names, entry, Ours(ours, measured), within, level))
    return rows


@dataclass(frozen=True)
class Ours:
    """The numbers of this study beside a published value.

    seeds: of our counterpart; measured: of the checkpoint that its authors published.
    """

    seeds: Floats
    measured: Floats | None


def waits(published: Published, study: Study) -> list[Wait]:
    """Return the published latencies of this study's students, over as many passages."""
    latencies = []
    for row in published.rows:
        names = published.names.get(row["study"])
        if not names or study.grid.first_stage not in names["first_stages"]:
            continue
        student = names["students"].get(row["student"])
        passages = names.get("waits", {}).get(row["dataset"])
        is_timed = study.latency is not None and study.latency.passages == passages
        if is_timed and student in study.grid.students:
            source = f"{names['cite']}, {row['source']}"
            latencies.append(Wait(student, passages, float(row["value"]), row["student"], source))
    return latencies


def _checkpoint(
    row: Mapping[str, str], names: Mapping[str, Any], lines: Sequence[Entry]
) -> Entry | None:
    """Return the line of the checkpoint that a published value is about."""
    about = [row["student"], row["loss_or_teacher"]]
    for entry in lines:
        if entry.kind == "checkpoint" and about in names.get("checkpoints", {}).get(entry.name, []):
            return entry
    return None


def _counterpart(
    row: Mapping[str, str], names: Mapping[str, Any], lines: Sequence[Entry]
) -> Entry | None:
    student = names["students"].get(row["student"])
    loss = names["losses"].get(row["loss_or_teacher"])
    baseline = names["baselines"].get(row["student"])
    kind = "retriever" if row["dataset"] in names.get("retrieved", []) else "student"
    for entry in lines:
        if entry.kind == kind and (entry.student, entry.loss) == (student, loss):
            return entry
        if entry.kind in ("first stage", "teacher") and entry.name == baseline:
            return entry
    return None


def _ours(
    entry: Entry, row: Mapping[str, str], names: Mapping[str, Any], values: Values
) -> Floats | None:
    """Return each seed's mean over the column's datasets, or None if one was not measured."""
    measure = names["measures"].get(row["metric"])
    datasets = names["columns"].get(row["dataset"], [])
    if not datasets:
        return None
    seeds = []
    for name in entry.systems:
        means = []
        for dataset in datasets:
            mean = values.means.get((name, dataset, measure))
            if mean is None:
                return None
            means.append(mean)
        seeds.append(np.mean(np.array(means, dtype=float)))
    return np.array(seeds)


def _row(
    row: Mapping[str, str],
    names: Mapping[str, Any],
    entry: Entry,
    both: Ours,
    within: float,
    level: float,
) -> PublishedRow:
    ours, measured = both.seeds, both.measured
    superseded = names["superseded"].get(row["student"])
    theirs, std = float(row["value"]), float(row["std"]) if row["std"] else None
    datasets = names["columns"][row["dataset"]]
    deviation = printed.deviation(std, len(datasets))
    low, high = interval(ours, theirs, deviation, names["seeds"], level)
    difference = float(ours.mean()) - theirs
    return PublishedRow(
        paper=row["study"],
        cite=names["cite"],
        system=entry.name,
        student=entry.student,
        loss=entry.loss,
        column=row["dataset"],
        measure=names["measures"][row["metric"]],
        ours=float(ours.mean()),
        theirs=theirs,
        measured=None if measured is None else float(measured.mean()),
        difference=difference,
        low=low,
        high=high,
        verdict=SUPERSEDED if superseded else verdict(difference, low, high, within),
        seeds=len(ours),
        spread=spread(ours),
        their_spread=std,
        published_as=f"{row['student']}, {row['loss_or_teacher']}",
        superseded_by=superseded,
        remark=names["remarks"].get(row["dataset"]),
        source=row["source"],
        note=row["note"],
    )


def interval(
    ours: Floats, theirs: float, std: float | None, seeds: int, level: float
) -> tuple[float | None, float | None]:
    """Return the interval of ours - theirs over seeds (Welch's t); None for a single seed of ours.

    std: the published standard deviation over `seeds`; where there is none, ours stands for it.
    """
    from scipy import stats

    if len(ours) < 2:
        return None, None
    own = float(ours.var(ddof=1))
    one = own / len(ours)
    other = (own if std is None else std**2) / seeds
    if one + other == 0:
        return float(ours.mean()) - theirs, float(ours.mean()) - theirs
    degrees = float(len(ours) - 1)
    if std is not None:
        degrees = (one + other) ** 2 / (one**2 / degrees + other**2 / max(1, seeds - 1))
    half = float(stats.t.ppf((1 + level) / 2, degrees) * np.sqrt(one + other))
    difference = float(ours.mean()) - theirs
    return difference - half, difference + half


def verdict(difference: float, low: float | None, high: float | None, within: float) -> str:
    """Return the word for a difference and its interval: one of VERDICTS."""
    if low is None or high is None:
        return CLOSE if abs(difference) <= within else UNSETTLED
    if abs(difference) <= within:
        return REPRODUCED if max(-low, high) <= within else CLOSE
    return UNSETTLED if low <= 0 <= high else DIFFERENT
