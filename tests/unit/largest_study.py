"""The study of arXiv 2603.03010 at its full size, invented: for what must hold of the largest."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from redistil import lineage
from redistil import study as studies
from redistil.lineage import Made
from redistil.report import leaderboard, pairs, tabulated
from redistil.tables import CONTRASTS, PAIRS

_LETTERS = np.random.default_rng(1).integers(97, 113, (20_000, 7), dtype=np.uint8)
_WORDS = np.array([bytes(row).decode() for row in _LETTERS])
_CHANCES = np.cumsum(1 / np.arange(1, 20_001)) / np.sum(1 / np.arange(1, 20_001))  # Zipf's


def config() -> dict[str, Any]:
    """Return the study of arXiv 2603.03010 as it is planned: 9 x 6 x 3 on 22 data sets."""
    root = Path(__file__).parents[2]
    study, over = (
        yaml.safe_load((root / path).read_text())
        for path in ("params.yaml", "studies/morand2026.yaml")
    )
    found: dict[str, Any] = study | over | {"study": "morand2026"}
    grid = found["grid"]
    assert (len(grid["students"]), len(grid["losses"]), len(grid["seeds"])) == (9, 6, 3)
    assert len(grid["datasets"]) == 22
    return found


def _board(study: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return a leaderboard of random numbers: nothing in it can be compressed away."""
    columns = [
        f"{group}{key}"
        for group in study["groups"]
        for key in ("", " spread", " low", " high", " difference", " difference_low",
                    " difference_high", " p", " p_holm")
    ]  # fmt: skip
    columns += [f"{d}{key}" for d in study["grid"]["datasets"] for key in ("", " spread")]
    return [
        {"system": line.name, "kind": line.kind, "student": line.student, "loss": line.loss}
        | {"seeds": len(line.systems)}
        | {column: float(rng.random()) for column in columns}
        | {f"{group} verdict": "not distinguishable" for group in study["groups"]}
        for line in leaderboard.entries(studies.systems(study))
    ]


def _chain(study: dict[str, Any]) -> Made:
    """Return the record of the tables: thousands of runs behind them."""
    asked, measured = studies.asked(study), []
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
    """Return tables of random numbers, with the records of everything behind them."""
    losses = [
        {"group": group, "loss": loss, "best_student": "electra-base", "verdict": "worse"}
        | {"best_verdict": "worse"}
        | dict.fromkeys(("value", "difference", "difference_low", "difference_high"), 0.1)
        | dict.fromkeys(("p_holm", "best_value", "best_difference", "best_p_holm"), 0.1)
        for group in study["groups"]
        for loss in study["grid"]["losses"]
    ]
    chain = _chain(study)
    keys = {m.name: key for key, m in chain.ancestors.items() if m.command == "evaluate"}
    systems = [system.name for system in studies.systems(study)]
    sources = {
        name: {
            "file": f"results/morand2026/measures/{name}.parquet",
            "fingerprint": keys[name],
        }
        for name in systems
    }
    cells = {
        (name, dataset, study["measures"][0]): float(rng.random())
        for name in systems
        for dataset in study["grid"]["datasets"]
    }
    return tabulated.Tabulated(_board(study, rng), losses, [], [], {}, sources, chain, cells, {})
