"""The queries on which systems differ most, with what each system shows for them.

The page can carry the texts of a few hundred queries. Whichever two systems its reader compares,
there should be one among them that each does much better.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import Stale
from redistil.stages.report.numbers.leaderboard import Values, entries
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage import lineage
from redistil.storage.tables import CONTRASTS, PASSAGES, QRELS, QUERIES, RUN
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
    starts = range(0, values.shape[1], width)
    blocks = [_leads(values[:, start : start + width]) - led[:, None] for start in starts]
    return np.concatenate([np.maximum(block, 0).sum(axis=0) for block in blocks])


def _leads(values: Floats) -> Floats:
    """Return [systems ** 2, queries]: the lead of each system over each, 0 where it has none."""
    leads = np.maximum(values[:, None, :] - values[None, :, :], 0)
    return leads.reshape(-1, values.shape[1])


def shown(study: Study, paths: Sequence[Path], dataset: str) -> dict[str, Path]:
    """Return, for each line of the leaderboard, the run whose rankings are shown.

    Of a student that is the run of its first seed. Raises Stale when one is missing.
    """
    runs = {lineage.of(path).name: path for path in paths}
    found = {}
    for entry in entries(studies.systems(study)):
        name = f"{entry.systems[0]}/{dataset}"
        if name not in runs:
            raise Stale(f"no run of {name}: make it (rule `rerank`) and name it with --runs")
        found[entry.name] = runs[name]
    return found


def contrast(
    study: Study,
    dataset: str,
    values: Values,
    runs: Mapping[str, Path],
    texts: tuple[Path, Path, Path],
    sizes: tuple[int, int, int],
) -> pa.Table:
    """Return rows of CONTRASTS: the chosen queries, each system's value and first passages.

    texts: the files of queries, passages and qrels of `dataset`; sizes: how many queries, how many
    passages of each ranking, how many characters of a text.
    """
    count, depth, characters = sizes
    lines = entries(studies.systems(study))
    means = np.stack([values.mean(line, dataset) for line in lines])
    picked = choose(means, count)
    query_ids = [values.query_ids[dataset][place] for place in picked]
    ranked = {line.name: _first(runs[line.name], query_ids, depth) for line in lines}
    found = _texts(texts, query_ids, ranked.values(), characters)
    rows = [
        {
            "query_id": query_id,
            "choice": choice + 1,
            "query": found.queries[query_id],
            "system": line.name,
            "value": float(means[place, picked[choice]]),
            "rank": rank,
            "doc_id": doc_id,
            "judged": (query_id, doc_id) in found.grades,
            "relevance": found.grades.get((query_id, doc_id), 0),
            "passage": found.passages[doc_id],
        }
        for choice, query_id in enumerate(query_ids)
        for place, line in enumerate(lines)
        for rank, doc_id in ranked[line.name].get(query_id, [])
    ]
    return CONTRASTS.rows({name: [row[name] for row in rows] for name in CONTRASTS.schema.names})


def _first(path: Path, query_ids: Sequence[str], depth: int) -> dict[str, list[tuple[int, str]]]:
    """Return (rank, doc_id) of the first passages of each query, best first."""
    rows = RUN.some(path, "query_id", query_ids)
    rows = rows.filter(pc.less_equal(rows["rank"], depth)).sort_by("rank")
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows.select(["query_id", "rank", "doc_id"]).to_pylist():
        found.setdefault(row["query_id"], []).append((row["rank"], row["doc_id"]))
    return found


@dataclass(frozen=True)
class _Texts:
    """What is shown: texts by id, cut short, and the grade of each judged pair."""

    queries: Mapping[str, str]
    passages: Mapping[str, str]
    grades: Mapping[tuple[str, str], int]


def _texts(
    files: tuple[Path, Path, Path],
    query_ids: Sequence[str],
    rankings: Iterable[Mapping[str, Sequence[tuple[int, str]]]],
    characters: int,
) -> _Texts:
    queries, passages, qrels = files
    wanted = {doc for ranking in rankings for ranked in ranking.values() for _, doc in ranked}
    judged = QRELS.some(qrels, "query_id", query_ids).to_pylist()
    found = {
        name: {
            row[key]: _cut(row["text"], characters)
            for row in table.some(path, key, ids).to_pylist()
        }
        for name, table, path, key, ids in (
            ("queries", QUERIES, queries, "query_id", query_ids),
            ("passages", PASSAGES, passages, "doc_id", sorted(wanted)),
        )
    }
    missing = wanted - found["passages"].keys()
    if missing:
        raise Stale(
            f"{passages} lacks {len(missing)} passages that were ranked (first: {min(missing)}): "
            "export it again (`snakemake -R export_passages`)"
        )
    grades = {(row["query_id"], row["doc_id"]): row["relevance"] for row in judged}
    return _Texts(found["queries"], found["passages"], grades)


def _cut(text: str, characters: int) -> str:
    """Return the text on one line, its end left out where it is longer than `characters`."""
    line = " ".join(text.split())
    return (
        line
        if len(line) <= characters
        else line[: characters - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    )
