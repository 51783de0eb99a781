"""The queries on which systems differ most, with what each system shows for them.

The page can carry the texts of a few hundred queries. Whichever two systems its reader compares,
there should be one among them that each does much better.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import Stale
from redistil.stages.report.numbers.entries import Values, entries
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage import lineage
from redistil.storage.tables import CONTRASTS, PASSAGES, QRELS, QUERIES, RUN, Table
from redistil.study import artefacts as studies
from redistil.study.study import Study

_AT_ONCE = 1 << 22  # numbers in a block of leads: 32 MiB


def choose(values: Floats, count: int) -> list[int]:
    """Return at most `count` queries that show how the systems differ; values: [systems, queries].

    Each next query adds most to the sum, over ordered pairs (a, b), of the largest lead of a over
    b among the chosen: greedy facility location, within 1 - 1/e of the best choice (Nemhauser,
    Wolsey and Fisher 1978). When no query adds anything, a second round begins among the rest, for
    the second largest leads. Ties go to the first query; one on which all agree is never chosen.
    """
    left = np.ptp(values, axis=0) > 0
    chosen: list[int] = []
    led = np.zeros(values.shape[0] ** 2)
    while len(chosen) < count and left.any():
        gains = np.where(left, _gains(values, led), -1.0)
        best = int(gains.argmax())
        if gains[best] <= 0:
            led[:] = 0
            continue
        chosen.append(best)
        left[best] = False
        led = np.maximum(led, _leads(values[:, [best]])[:, 0])
    return chosen


def _gains(values: Floats, led: Floats) -> Floats:
    """Return for each query how much it adds to the leads that the chosen queries show."""
    width = max(1, _AT_ONCE // len(led))
    gains = []
    for start in range(0, values.shape[1], width):
        more = _leads(values[:, start : start + width]) - led[:, None]
        gains.append(np.maximum(more, 0).sum(axis=0))
    return np.concatenate(gains)


def _leads(values: Floats) -> Floats:
    """Return [systems ** 2, queries]: the lead of each system over each, 0 where it has none."""
    leads = np.maximum(values[:, None, :] - values[None, :, :], 0)
    return leads.reshape(-1, values.shape[1])


def shown(study: Study, paths: Sequence[Path], dataset: str) -> dict[str, Path]:
    """Return, for each line of the leaderboard, the run whose rankings are shown.

    Of a student that is the run of its first seed. Raises Stale when one is missing.
    """
    runs = {lineage.of(path).name: path for path in paths}
    first_runs = {}
    for entry in entries(studies.systems(study)):
        name = f"{entry.systems[0]}/{dataset}"
        if name not in runs:
            raise Stale(f"no run of {name}: make it (rule `rerank`) and name it with --runs")
        first_runs[entry.name] = runs[name]
    return first_runs


class TextFiles(NamedTuple):
    """The files of a dataset that texts and grades are read from."""

    queries: Path
    passages: Path
    qrels: Path


class Sizes(NamedTuple):
    """How much is shown: queries, passages of each ranking, characters of a text."""

    queries: int
    depth: int
    characters: int


class Ranked(NamedTuple):
    """A passage in a ranking."""

    rank: int
    doc_id: str


Ranking = Mapping[str, Sequence[Ranked]]  # of each query


def contrast(
    study: Study,
    dataset: str,
    values: Values,
    runs: Mapping[str, Path],
    files: TextFiles,
    sizes: Sizes,
) -> pa.Table:
    """Return rows of CONTRASTS: the chosen queries, each system's value and first passages.

    files: of `dataset`; runs: by the name of a line of the leaderboard.
    """
    lines = entries(studies.systems(study))
    means = np.stack([values.mean(line, dataset) for line in lines])
    chosen = choose(means, sizes.queries)
    all_ids = values.query_ids[dataset]
    query_ids = [all_ids[place] for place in chosen]
    rankings = {}
    for line in lines:
        rankings[line.name] = _first(runs[line.name], query_ids, sizes.depth)
    texts = _texts(files, query_ids, rankings.values(), sizes.characters)
    rows = []
    for choice, (query_id, column) in enumerate(zip(query_ids, chosen, strict=True), start=1):
        for place, (system, ranking) in enumerate(rankings.items()):
            value = float(means[place, column])
            for ranked in ranking.get(query_id, []):
                head = {"choice": choice, "system": system, "value": value}
                rows.append(head | texts.row(query_id, ranked))
    return CONTRASTS.rows(columns_of(rows, CONTRASTS.schema.names))


def columns_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return rows as columns."""
    columns = {}
    for name in names:
        columns[name] = [row[name] for row in rows]
    return columns


def _first(path: Path, query_ids: Sequence[str], depth: int) -> Ranking:
    """Return the first passages of each query, best first."""
    rows = RUN.some(path, "query_id", query_ids)
    rows = rows.filter(pc.less_equal(rows["rank"], depth)).sort_by("rank")
    ranking: dict[str, list[Ranked]] = {}
    for row in rows.select(["query_id", "rank", "doc_id"]).to_pylist():
        ranking.setdefault(row["query_id"], []).append(Ranked(row["rank"], row["doc_id"]))
    return ranking


@dataclass(frozen=True)
class _Texts:
    """The texts that are shown, by id, cut short, and the grade of each judged pair."""

    queries: Mapping[str, str]
    passages: Mapping[str, str]
    grades: Mapping[tuple[str, str], int]

    def row(self, query_id: str, ranked: Ranked) -> dict[str, Any]:
        """Return the columns of CONTRASTS that tell of a passage in the ranking of a query."""
        pair = (query_id, ranked.doc_id)
        return {
            "query_id": query_id,
            "query": self.queries[query_id],
            "rank": ranked.rank,
            "doc_id": ranked.doc_id,
            "judged": pair in self.grades,
            "relevance": self.grades.get(pair, 0),
            "passage": self.passages[ranked.doc_id],
        }


def _texts(
    files: TextFiles, query_ids: Sequence[str], rankings: Iterable[Ranking], characters: int
) -> _Texts:
    wanted = set[str]()
    for ranking in rankings:
        for ranked in ranking.values():
            for passage in ranked:
                wanted.add(passage.doc_id)
    passages = _read(PASSAGES, files.passages, "doc_id", sorted(wanted), characters)
    missing = wanted - passages.keys()
    if missing:
        raise Stale(
            f"{files.passages} lacks {len(missing)} passages that were ranked (first: "
            f"{min(missing)}): export it again (`snakemake -R export_passages`)"
        )
    queries = _read(QUERIES, files.queries, "query_id", query_ids, characters)
    return _Texts(queries, passages, _grades(files.qrels, query_ids))


def _grades(qrels: Path, query_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the grade of each judged pair of some queries."""
    grades = {}
    for row in QRELS.some(qrels, "query_id", query_ids).to_pylist():
        grades[row["query_id"], row["doc_id"]] = row["relevance"]
    return grades


def _read(
    table: Table, path: Path, key: str, ids: Sequence[str], characters: int
) -> dict[str, str]:
    """Return the texts of some ids, cut short."""
    texts = {}
    for row in table.some(path, key, ids).to_pylist():
        texts[row[key]] = _cut(row["text"], characters)
    return texts


def _cut(text: str, characters: int) -> str:
    """Return the text on one line, its end left out where it is longer than `characters`."""
    line = " ".join(text.split())
    if len(line) <= characters:
        return line
    return line[: characters - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
