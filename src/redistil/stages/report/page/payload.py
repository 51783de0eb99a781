"""The data of the page's comparisons, small: whole numbers, each text once, compressed."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from redistil.stages.report.numbers.entries import entries
from redistil.stages.report.numbers.inference import (
    BASELINES,
    BETTER,
    EQUIVALENT,
    LOSSES,
    UNDECIDED,
    WORSE,
)
from redistil.stages.report.numbers.pairs import EXPLORED
from redistil.storage import lineage
from redistil.storage.tables import CONTRASTS, PAIRS
from redistil.study import artefacts as studies
from redistil.study.study import Study

SCALE = 1000  # values, differences and p values are carried as they are shown: in thousandths
MOST = 2_000_000  # bytes of compressed contrasts: with all else, the page stays below 5 MB

VERDICTS = (UNDECIDED, BETTER, WORSE, EQUIVALENT)  # in the order of the page's numbers for them
FAMILIES = (LOSSES, BASELINES, EXPLORED)  # likewise


def thousandths(value: float) -> int:
    """Return a value as whole thousandths, rounded once, and as `wording.number` rounds it."""
    return round(float(f"{value:.3f}") * SCALE)


@dataclass(frozen=True)
class Comparison:
    """Tests of any two lines, and the queries on which they differ most.

    lines: what is compared, in the order of the study; pairs: by scope, the number of queries and
    a row for each pair of lines, first against second, first against third, ...;
    contrasts: one for each query; chosen: how many there were before the size of the page cut them.
    """

    lines: list[str]
    pairs: Mapping[str, Any] = field(default_factory=dict)
    contrasts: list[dict[str, Any]] = field(default_factory=list)
    chosen: int = 0


def comparison(study: Study, pairs: Path | None, contrasts: Sequence[Path]) -> Comparison:
    """Return what the tables of `compare` and `contrast` hold; without them there is none."""
    lines = [line.name for line in entries(studies.systems(study))]
    chosen: list[dict[str, Any]] = []
    for path in contrasts:
        chosen += _contrasts(CONTRASTS.read(path), lines, lineage.of(path).name)
    kept = bounded(chosen, MOST)
    tested = {} if pairs is None else _pairs(PAIRS.read(pairs).to_pylist())
    return Comparison(lines, tested, kept, len(chosen))


def _pairs(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scopes: dict[str, Any] = {}
    for row in rows:
        scope = scopes.setdefault(row["scope"], {"queries": row["queries"], "rows": []})
        numbers = []
        for name in ("difference", "low", "high"):
            numbers.append(thousandths(row[name]))
        numbers.append(0 if row["p_holm"] < 0.001 else thousandths(row["p_holm"]))
        numbers += [row["wins"], row["losses"]]
        numbers += [VERDICTS.index(row["verdict"]), FAMILIES.index(row["family"])]
        scope["rows"].append(numbers)
    return scopes


def _contrasts(table: pa.Table, lines: Sequence[str], dataset: str) -> list[dict[str, Any]]:
    """Return each query with its passages; a ranking is a list of places among them."""
    places = {line: place for place, line in enumerate(lines)}
    queries: dict[int, dict[str, Any]] = {}
    passages: dict[int, dict[str, int]] = {}
    for row in table.to_pylist():
        choice = row["choice"]
        if choice not in queries:
            queries[choice] = _query(row, dataset, len(lines))
        query, doc_places = queries[choice], passages.setdefault(choice, {})
        if row["doc_id"] not in doc_places:
            doc_places[row["doc_id"]] = len(doc_places)
            grade = row["relevance"] if row["judged"] else None
            query["docs"].append([row["doc_id"], grade, row["passage"]])
        place = places[row["system"]]
        query["values"][place] = thousandths(row["value"])
        query["ranked"][place].append(doc_places[row["doc_id"]])
    return list(queries.values())


def _query(row: Mapping[str, Any], dataset: str, lines: int) -> dict[str, Any]:
    return {
        "choice": row["choice"],
        "dataset": dataset,
        "id": row["query_id"],
        "query": row["query"],
        "values": [0] * lines,
        "docs": [],
        "ranked": [[] for _ in range(lines)],
    }


def bounded(contrasts: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return the contrasts that fit into `most` bytes: of every dataset the first chosen ones."""
    kept = contrasts
    while kept and len(compressed(kept)) > most:
        choices = [contrast["choice"] for contrast in kept]
        last = max(choices) * 3 // 4
        kept = [contrast for contrast in kept if contrast["choice"] <= last]
    return kept


def compressed(value: Any) -> bytes:
    """Return a value as JSON, deflated without a header (RFC 1951), as browsers can inflate it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(text.encode("utf-8", "replace")) + packer.flush()


def packed(value: Any) -> str:
    """Return a value as base64 of its compressed JSON: letters that mean nothing to HTML."""
    return base64.b64encode(compressed(value)).decode("ascii")
