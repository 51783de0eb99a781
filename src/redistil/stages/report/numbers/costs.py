"""What training and re-ranking cost, from what is told beside models and runs.

Times differ from run to run, so none of this is in a record: it is shown, and decides nothing.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redistil.stages.report.numbers.entries import Row, entries
from redistil.stages.report.numbers.typeset import Cell, Sheet
from redistil.storage import lineage
from redistil.storage.tables import aside
from redistil.study import artefacts as studies
from redistil.study.study import Study

TRAINED, RERANKED = "cost.json", "{dataset}.cost.json"  # beside a model and each of its runs
FILE = "costs.csv"
WORK = ("training", "reranking")
UNITS = {"seconds": "seconds", "pairs_per_second": "pairs per second"}
ENERGIES = {"processor_joules": "processors", "gpu_joules": "GPUs"}  # key: of what
AMOUNTS = (*UNITS, *ENERGIES)  # what may be known of each work
_SHORT = {"seconds": "s", "pairs per second": "pairs/s", "joules": "J"}
_WHO = ("system", "kind", "student", "loss", "seed")
_NUMBERS = tuple(f"{work}_{amount}" for work in WORK for amount in AMOUNTS)
HEADER = [*_WHO, *_NUMBERS, *(f"{work}_device" for work in WORK)]


def rows(study: Study, models: Iterable[Path], runs: Iterable[tuple[str, Path]]) -> list[Row]:
    """Return a row for each system of which something is known; None is what is not.

    models: records of the models; runs: a system, and the folder that holds its runs.
    """
    trained = {lineage.of(path).name: [path.parent / TRAINED] for path in models}
    datasets = study["grid"]["datasets"]
    reranked = {
        name: [folder / RERANKED.format(dataset=d) for d in datasets] for name, folder in runs
    }
    found = []
    for system in studies.systems(study):
        works = zip(WORK, (trained, reranked), strict=True)
        known = {work: _together(files.get(system.name, [])) for work, files in works}
        if any(known.values()):
            who = (system.name, system.kind, system.student, system.loss, system.seed)
            keys = [(work, key) for work in WORK for key in (*AMOUNTS, "device")]
            row = {f"{work}_{key}": known[work].get(key) for work, key in keys}
            found.append(dict(zip(_WHO, who, strict=True)) | row)
    return found


def _together(files: Sequence[Path]) -> dict[str, Any]:
    """Return the sum of what several works cost; nothing unless all of them tell it."""
    if not files or not all(file.exists() for file in files):
        return {}
    told = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    sums: dict[str, Any] = {}
    for key in ("seconds", "pairs", "processor_joules", "gpu_joules"):
        amounts = [one.get(key) for one in told]
        sums[key] = None if None in amounts else sum(amounts)
    if sums["seconds"] and sums["pairs"]:
        sums["pairs_per_second"] = round(sums["pairs"] / sums["seconds"], 1)
    return sums | {"device": " and ".join(dict.fromkeys(str(one.get("device")) for one in told))}


def write(found: Sequence[Row], folder: Path) -> None:
    """Write the rows as CSV."""
    with aside(folder / FILE) as partial:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            out = csv.DictWriter(stream, HEADER, lineterminator="\n")
            out.writeheader()
            out.writerows(found)


def read(folder: Path) -> list[Row]:
    """Return what `write` wrote; nothing where there is no such file."""
    if not (folder / FILE).exists():
        return []
    with (folder / FILE).open(newline="", encoding="utf-8") as stream:
        return [
            {key: float(v) if v and key in _NUMBERS else v or None for key, v in row.items()}
            for row in csv.DictReader(stream)
        ]


def over_seeds(study: Study, found: Sequence[Row]) -> dict[str, Row]:
    """Return the mean of every number over a line's seeds, by line of the leaderboard."""
    by_system = {row["system"]: row for row in found}
    means: dict[str, Row] = {}
    for line in entries(studies.systems(study)):
        seeds = [by_system[name] for name in line.systems if name in by_system]
        known = {key: [s[key] for s in seeds if s[key] is not None] for key in _NUMBERS}
        if seeds:
            means[line.name] = {k: float(np.mean(v)) if v else None for k, v in known.items()}
    return means


def drawn(study: Study, found: Sequence[Row], work: str) -> dict[str, dict[str, float]]:
    """Return what is known of a work: by unit, the amount of each line of the leaderboard.

    Energy is the sum over those parts of the machine that told theirs.
    """
    means = over_seeds(study, found)
    units = {unit: [key] for key, unit in UNITS.items()} | {"joules": _told(found, (work,))}
    amounts = {
        unit: {
            line: sum(mean[f"{work}_{key}"] for key in keys)
            for line, mean in means.items()
            if keys and all(mean[f"{work}_{key}"] for key in keys)
        }
        for unit, keys in units.items()
    }
    return {unit: lines for unit, lines in amounts.items() if lines}


def _told(found: Sequence[Row], works: Sequence[str]) -> list[str]:
    """Return which energies of these works are known of some system."""
    return [key for key in ENERGIES if any(row[f"{work}_{key}"] for row in found for work in works)]


def energy(found: Sequence[Row], works: Sequence[str] = WORK) -> str:
    """Return in words what the joules of these works are of, or that there are none."""
    parts = " and ".join(ENERGIES[key] for key in _told(found, works))
    if not parts:
        return "Energy: not readable on this machine."
    return f"Energy is that of the machine's {parts} meanwhile, whatever else they worked at."


def sheet(study: Study, leaderboard: Sequence[Row], found: Sequence[Row]) -> Sheet:
    """Return effectiveness and cost side by side, a row for each line of the leaderboard.

    Of the groups of data sets the first two, so that the table fits a page.
    """
    systems = {row["system"] for row in leaderboard} & over_seeds(study, found).keys()
    groups = list(study["groups"])[:2]
    columns = {
        f"{short} {_SHORT[unit]}": lines
        for work, short in zip(WORK, ("train", "rank"), strict=True)
        for unit, lines in drawn(study, found, work).items()
    }
    devices = dict.fromkeys(row[f"{w}_device"] for w in WORK for row in found if row[f"{w}_device"])
    rows: list[Sequence[Cell] | None] = [
        [
            Cell(row["system"]),
            *(Cell(f"{row[group]:.3f}") for group in groups),
            *(Cell(amount(lines.get(row["system"]))) for lines in columns.values()),
        ]
        for row in leaderboard
        if row["system"] in systems
    ]
    caption = (
        f"{study['measures'][0]} and what it cost in seconds, pairs of query and passage per second"
        f" and joules, mean over seeds, on {' and '.join(devices)}. Train: with validations. "
        f"Rank: all candidates of the study's data sets. {energy(found)}"
    )
    return Sheet(caption, ["system", *groups, *columns], rows, words=1)


def amount(value: float | None) -> str:
    """Return an amount as it is read: three digits, or whole with thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
