"""The study of arXiv 2603.03010 at its full size, invented: for what must hold of the largest.

The numbers are random: nothing in them can be compressed away.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from redistil.machine.latency import Latency
from redistil.stages.report.figures.drawing import plotting
from redistil.stages.report.figures.drawing.given import Given, Taught
from redistil.stages.report.numbers import costs, leaderboard, pairs, published, tabulated
from redistil.stages.report.numbers.entries import Values, entries
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
    best,
)
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.tables import (
    CONTRASTS,
    CURVE,
    DEPTHS,
    MEASURES,
    PAIRS,
    TEACHER_SCORES,
    TRIPLES,
    VALIDATION,
)
from redistil.study import artefacts as studies
from tests.made.configs import resolved

RESOURCES = Path(__file__).parents[2] / "workflow/resources"
_LETTERS = np.random.default_rng(1).integers(97, 113, (20_000, 7), dtype=np.uint8)
_WORDS = np.array([bytes(row).decode() for row in _LETTERS])
_CHANCES = np.cumsum(1 / np.arange(1, 20_001)) / np.sum(1 / np.arange(1, 20_001))  # Zipf's


def config() -> Any:
    """Return the study of arXiv 2603.03010 as it is planned: 9 x 6 x 3 on 22 datasets."""
    found = resolved("morand2026")
    grid = found["grid"]
    assert (len(grid["students"]), len(grid["losses"]), len(grid["seeds"])) == (9, 6, 3)
    assert len(grid["datasets"]) == 22
    return found


def _board(study: dict[str, Any], rng: np.random.Generator) -> list[Line]:
    """Return a leaderboard whose intervals hold their values."""
    board = []
    for entry in leaderboard.entries(studies.systems(study)):
        groups = {}
        for group in study["groups"]:
            value, *others = (float(number) for number in rng.random(9))
            ends = [value - 0.02, value + 0.03, value - 0.01, value + 0.02]
            numbers = [value, *others[:2], *ends, *others[2:]]
            groups[group] = GroupValue(*numbers, verdict="not distinguishable")
        sets = {d: SetValue(*map(float, rng.random(2))) for d in study["grid"]["datasets"]}
        who = (entry.name, entry.kind, entry.student, entry.loss, len(entry.systems))
        board.append(Line(*who, groups, sets))
    return board


def _chain(study: dict[str, Any]) -> Made:
    """Return the record of the tables: thousands of runs behind them."""
    asked, measured = studies.settings_of(study), []
    for system in studies.systems(study):
        runs = []
        for dataset in study["grid"]["datasets"]:
            command = {"random": "shuffle", "first stage": "retrieve"}.get(system.kind, "rerank")
            name = f"{system.name}/{dataset}"
            made = [
                lineage.make("export-queries", dataset, asked["export-queries", dataset], "", [])
            ]
            if system.kind == "student":
                recipe = asked["train", system.name]
                made.append(lineage.make("train", system.name, recipe, "", []))
            runs.append(lineage.make(command, name, asked[command, name], "code", made))
        measured.append(_made("evaluate", system.name, asked, runs))
    return _made("tabulate", "morand2026", asked, measured)


def _made(command: str, name: str, asked: dict[Any, Any], read: Sequence[Made] = ()) -> Made:
    return lineage.make(command, name, asked[command, name], "code", read)


def _contrasts(study: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    """Return contrasts in words of which some are frequent; re-rankers agree on most passages."""
    lines = [line.name for line in leaderboard.entries(studies.systems(study))]

    def text(length: int) -> str:
        return " ".join(_WORDS[_CHANCES.searchsorted(rng.random(length))])[:300]

    rows: list[tuple[Any, ...]] = []
    count, depth = study["page"]["queries"] // 22, study["page"]["depth"]
    for choice in range(1, count + 1):
        query, passages = text(9), [text(60) for _ in range(15)]
        rows += [
            (f"q{choice}", line, f"d{doc}", query, passages[doc], choice, rank, 1, True)
            + (float(rng.random()),)
            for line in lines
            for rank, doc in enumerate(rng.permutation(15)[:depth], 1)
        ]
    names = CONTRASTS.schema.names
    return CONTRASTS.rows(dict(zip(names, zip(*rows, strict=True), strict=True)))


def _pairs(study: dict[str, Any], rng: np.random.Generator) -> pa.Table:
    lines = [line.name for line in leaderboard.entries(studies.systems(study))]
    couples = [(s, a, b) for s in pairs.scopes(study) for a, b in combinations(lines, 2)]
    columns: dict[str, Any] = dict(
        zip(("scope", "system", "against"), zip(*couples, strict=True), strict=True)
    )
    for name in ("difference", "low", "high", "p", "p_randomisation", "p_holm"):
        columns[name] = rng.random(len(couples))
    for name, value in (("family", "explored"), ("over", "queries"), ("verdict", "better")):
        columns[name] = [value] * len(couples)
    for name in ("queries", "wins", "losses"):
        columns[name] = rng.integers(0, 10_000, len(couples))
    return PAIRS.rows(columns)


def write(folder: Path, study: dict[str, Any], rng: np.random.Generator) -> list[Path]:
    """Write pairs and contrasts; return their paths, the pairs' first."""
    paths = [folder / "pairs.parquet"]
    PAIRS.write(_pairs(study, rng), paths[0], Made("compare", "morand2026"))
    for dataset in study["grid"]["datasets"]:
        paths.append(folder / f"{dataset}.parquet")
        CONTRASTS.write(_contrasts(study, rng), paths[-1], Made("contrast", dataset))
    return paths


def tables(study: dict[str, Any], rng: np.random.Generator) -> tabulated.Tabulated:
    """Return tables of random numbers and long names, with the records of all behind them."""
    losses = [
        LossRow(
            group, loss, 9, 3, -0.1, None, -0.1, -0.1, -0.1, Verdicts(2, 2, 3, 2),
            "deberta-v3-base", 0.1, 0.1, 0.1, "not distinguishable",
        )
        for group in study["groups"]
        for loss in study["grid"]["losses"]
    ]  # fmt: skip
    chain = _chain(study)
    keys = {m.name: key for key, m in chain.ancestors.items() if m.command == "evaluate"}
    systems = [system.name for system in studies.systems(study)]
    sources = {
        name: Source(f"results/morand2026/measures/{name}.parquet", keys[name]) for name in systems
    }
    cells = {
        (name, dataset, measure): float(rng.random())
        for name in systems
        for dataset in study["grid"]["datasets"]
        for measure in studies.measures_of(study, dataset)
    }
    sizes = {
        student: Size(int(1e7 * 1.5**place), "ettin" if place < 4 else student)
        for place, student in enumerate(study["grid"]["students"])
    }
    return tabulated.Tabulated(
        _board(study, rng),
        losses,
        _versus(study, rng),
        _tests(study, rng),
        _published(study, cells),
        sizes,
        sources,
        chain,
        cells,
        {},
        _spent(study, rng),
    )


def _versus(study: dict[str, Any], rng: np.random.Generator) -> list[Versus]:
    rows = []
    for group in study["groups"]:
        for one, other in combinations(study["grid"]["losses"], 2):
            numbers = map(float, rng.normal(size=3))
            rows.append(Versus(group, one, other, *numbers, Verdicts(2, 2, 3, 2)))
    return rows


def _tests(study: dict[str, Any], rng: np.random.Generator) -> list[Test]:
    first, tests = study["grid"]["first_stage"], []
    for group in study["groups"]:
        for student in study["grid"]["students"]:
            names = [f"{student}/{loss}" for loss in study["grid"]["losses"]]
            tests += [_test(group, "losses", *pair, rng) for pair in combinations(names, 2)]
            tests += [_test(group, "baselines", name, first, rng) for name in names]
    return tests


def _test(group: str, family: str, one: str, other: str, rng: np.random.Generator) -> Test:
    numbers = [float(number) for number in rng.random(8)]
    return Test(
        group, family, one, other, "queries and seeds", 9, *numbers, 810, "better", 0.02, None, 0.5
    )


def _published(study: dict[str, Any], cells: dict[Any, float]) -> list[PublishedRow]:
    """Return every published value of the paper beside the invented one."""
    theirs = published.read(RESOURCES / "published.csv", RESOURCES / "published.yaml")
    lines = entries(studies.systems(study))
    rows = published.beside(theirs, study, lines, Values({}, cells, {}), 0.01, 0.95)
    assert len(rows) > 400
    return rows


def _spent(study: dict[str, Any], rng: np.random.Generator) -> list[costs.Cost]:
    """Return costs of which everything is known."""

    def spent() -> costs.Spent:
        amounts = [float(10 ** rng.uniform(2, 5)) for _ in costs.AMOUNTS]
        return costs.Spent(*amounts, device="NVIDIA A100-SXM4-80GB")

    return [
        costs.Cost(cell.name, "student", cell.student, cell.loss, cell.seed, spent(), spent())
        for cell in studies.grid_cells(study)
    ]


# --- figures --------------------------------------------------------------------------------------


def _latencies(study: dict[str, Any], rng: np.random.Generator) -> tuple[Latency, ...]:
    found = []
    for student in study["grid"]["students"]:
        wait, size = float(rng.uniform(10, 2000)), int(rng.integers(1 << 30))
        cost = (wait, 2 * wait, size, None, None, None)
        found.append(Latency(student, student, 50, 1000, *cost, "random", 1))
    return tuple(found)


def draw(
    folder: Path, study: dict[str, Any], found: tabulated.Tabulated, rng: np.random.Generator
) -> Path:
    """Draw every figure from files of the study's size; return the sealed folder."""
    given = Given(
        study,
        found,
        _curves(folder, study, rng),
        _measures(folder, study, found, rng),
        _depths(folder, study, rng),
        _teachers(folder, rng),
        _validations(folder, study, rng),
        _latencies(study, rng),
    )
    plotting.plot(given, folder / "figures", Made("plot", "morand2026"))
    return folder / "figures"


def _curves(folder: Path, study: dict[str, Any], rng: np.random.Generator) -> tuple[Path, ...]:
    """Write 200,000 steps of each training, a row for each hundred."""
    steps = np.arange(100, 200_001, 100)
    paths = []
    for cell in studies.grid_cells(study):
        loss = np.exp(-steps / 4e4) + rng.normal(1, 0.1, len(steps))
        columns = dict.fromkeys(CURVE.schema.names, loss) | {"step": steps}
        paths.append(folder / "curves" / f"{cell.name}.parquet")
        CURVE.write(CURVE.rows(columns), paths[-1], Made("train", cell.name))
    return tuple(paths)


def _validations(folder: Path, study: dict[str, Any], rng: np.random.Generator) -> tuple[Path, ...]:
    """Write a validation every 5,000 steps of each training."""
    steps = np.arange(5_000, 200_001, 5_000)
    paths = []
    for cell in studies.grid_cells(study):
        columns = {"step": steps, "dataset": ["d"] * 40, "measure": ["AP"] * 40}
        paths.append(folder / "validations" / f"{cell.name}.parquet")
        rows = VALIDATION.rows(columns | {"value": rng.random(40)})
        VALIDATION.write(rows, paths[-1], Made("train", cell.name))
    return tuple(paths)


def _measures(
    folder: Path, study: dict[str, Any], found: tabulated.Tabulated, rng: np.random.Generator
) -> tuple[Path, ...]:
    """Write the values of those that are compared query by query, for all 44,000 queries."""
    lines = {line.name: line for line in entries(studies.systems(study))}
    shown = {study["grid"]["first_stage"]}
    shown |= {best(found.leaderboard, group).system for group in study["groups"]}
    rows = [
        (f"q{number}", dataset, measure)
        for dataset in study["grid"]["datasets"]
        for measure in studies.measures_of(study, dataset)
        for number in range(study["datasets"][dataset]["queries"])
    ]
    columns = dict(zip(MEASURES.schema.names, zip(*rows, strict=True), strict=False))
    paths = []
    for name in sorted(system for line in shown for system in lines[line].systems):
        columns["value"] = rng.random(len(rows))
        paths.append(folder / "measures" / f"{name}.parquet")
        MEASURES.write(MEASURES.rows(columns), paths[-1], Made("evaluate", name))
    return tuple(paths)


def _depths(folder: Path, study: dict[str, Any], rng: np.random.Generator) -> tuple[Path, ...]:
    ticks = studies.sweep_depths(study["reranking"]["depth"])
    rows = [
        (cell.name, dataset, depth, float(rng.random()))
        for cell in studies.grid_cells(study)
        for dataset in study["grid"]["datasets"]
        for depth in ticks
    ]
    columns = dict(zip(DEPTHS.schema.names, zip(*rows, strict=True), strict=True))
    DEPTHS.write(DEPTHS.rows(columns), folder / "depths.parquet", Made("sweep", "all"))
    return (folder / "depths.parquet",)


def _teachers(folder: Path, rng: np.random.Generator) -> tuple[Taught, ...]:
    ids = [f"q{number}" for number in range(2000)]
    triples = {"query_id": ids, "positive_id": ["a"] * 2000, "negative_id": ["b"] * 2000}
    TRIPLES.write(TRIPLES.rows(triples), folder / "triples.parquet", Made("import-scores", "t2"))
    pairs = {"query_id": ids * 2, "doc_id": ["a"] * 2000 + ["b"] * 2000}
    rows = TEACHER_SCORES.rows(pairs | {"score": rng.normal(size=4000).astype(np.float32)})
    TEACHER_SCORES.write(rows, folder / "scores.parquet", Made("import-scores", "t2"))
    return (Taught("t2", folder / "scores.parquet", "t2", folder / "triples.parquet"),)
