"""How well a run answers each query: values per query, as trec_eval would give them.

A measure is written as ir_measures prints it: `nDCG@10`, `RR@10`, `AP`, `R@100`. Definitions:

- nDCG keeps the grades (gain = grade, discount log2(rank + 1)); a negative grade gains nothing;
- RR, AP, R, P and Success count a passage as relevant from the grade `relevant_from` upwards;
- every query with a judgement counts: one without a result, or without a relevant passage, is 0;
- results of queries that nobody judged are left out.

The order of a run is its `rank` column, so a tie is broken once, where the run was written
(score, then doc_id, both downwards, as trec_eval does). ranx, which orders ties unstably, is
given rows in that order and never sorts.

Equal to trec_eval's values to 1e-6 (test_measures.py), with these differences: scores are
compared as float32, so two that are one float32 are a tie; RR has a cutoff, which trec_eval
does not know; and its averages leave out judged queries that a run does not answer, unless asked.
"""

import difflib
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadSettings, BadTable
from redistil.storage.stretches import positions
from redistil.storage.tables import MEASURES, RUN

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_UNJUDGED = -1  # the code of a passage without a judgement


@dataclass(frozen=True)
class _Kind:
    """What a measure needs: the function of ranx, whether grades matter, whether it has no @."""

    function: str
    graded: bool
    uncut: bool


_KINDS = {
    "nDCG": _Kind("ndcg", graded=True, uncut=True),
    "RR": _Kind("reciprocal_rank", graded=False, uncut=True),
    "AP": _Kind("average_precision", graded=False, uncut=True),
    "R": _Kind("recall", graded=False, uncut=False),
    "P": _Kind("precision", graded=False, uncut=False),
    "Success": _Kind("hit_rate", graded=False, uncut=False),
}


@dataclass(frozen=True)
class Measure:
    """A measure by the name it was asked for; cutoff 0 means the whole ranking."""

    name: str
    kind: _Kind
    cutoff: int


def parse(name: str) -> Measure:
    """Return the measure that `name` spells, or raise BadSettings with the nearest spelling."""
    spelled = re.fullmatch(r"([A-Za-z]+)(?:@([1-9][0-9]*))?", name)
    kind = _KINDS.get(spelled[1]) if spelled else None
    if spelled is None or kind is None or not (spelled[2] or kind.uncut):
        valid = [word if k.uncut else f"{word}@10" for word, k in _KINDS.items()]
        raise BadSettings(
            f"no measure {name!r}: wanted one of {', '.join(_KINDS)}, with a cutoff such as @10"
            f"{_nearest(name, valid)} (the grade that counts as relevant is set by relevant_from)"
        )
    return Measure(name, kind, int(spelled[2] or 0))


def _nearest(name: str, valid: Sequence[str]) -> str:
    """Return ", did you mean ..." with the cutoff of `name`, where a valid name is close."""
    word, at, cutoff = name.partition("@")
    words = {choice.partition("@")[0].lower(): choice for choice in valid}
    common = {"recall": "r", "mrr": "rr", "map": "ap", "precision": "p", "hit": "success"}
    word = common.get(word.lower(), word.lower())
    close = difflib.get_close_matches(word, words, n=1)
    if not close:
        return ""
    choice = words[close[0]]
    kept = f"{choice.partition('@')[0]}@{cutoff}" if at and cutoff.isdigit() else choice
    return f"; did you mean {kept!r}?"


@dataclass(frozen=True)
class Evaluation:
    """The values of one run, and how many queries had no result or no judgement."""

    rows: pa.Table
    queries: int
    unanswered: int
    unjudged: int

    def summary(self, dataset: str) -> str:
        """Return one line: how many queries counted and how, and the mean of every measure."""
        means = self.rows.group_by("measure", use_threads=False).aggregate([("value", "mean")])
        found = [f"{row['measure']} {row['value_mean']:.4f}" for row in means.to_pylist()]
        left_out = f"; {self.unjudged} of the run without judgements left out"
        return (
            f"{dataset}: {self.queries} queries, {self.unanswered} without a result (scored zero)"
            f"{left_out if self.unjudged else ''}: {', '.join(found)}"
        )


def evaluate(
    dataset: str,
    run: pa.Table,
    qrels: pa.Table,
    measures: Sequence[Measure],
    relevant_from: int,
) -> Evaluation:
    """Return one row of MEASURES per judged query and measure.

    Raises BadTable when no query of the run is judged, or a query's ranks are not 1, 2, 3, ...
    """
    judged = _Judged(qrels)
    query, code = judged.look_up(run)
    queries = len(judged.queries)
    answered = np.zeros(queries, dtype=bool)
    answered[query] = True
    if not answered.any():
        raise BadTable(
            f"{dataset}: none of the {pc.count_distinct(run['query_id'])} queries of the run is "
            f"among the {queries} of the qrels (first: {_first(run)} and {_first(qrels)}): "
            "give the qrels of the data set that the run is for"
        )
    values = {
        measure.name: _values(measure, query, code, judged, relevant_from) for measure in measures
    }
    unjudged = pc.count_distinct(run["query_id"]).as_py() - int(answered.sum())
    return Evaluation(
        _rows(dataset, judged.queries, values), queries, int((~answered).sum()), unjudged
    )


def _first(rows: pa.Table) -> str:
    return repr(rows["query_id"][0].as_py()) if len(rows) else "none"


class _Judged:
    """Qrels as numbers: each judged pair has a code, its place when sorted by query and doc_id.

    queries: sorted query_ids; query, grade: the query's index and the grade, by code.
    """

    def __init__(self, qrels: pa.Table) -> None:
        self.queries = pc.unique(qrels["query_id"]).sort()
        self._docs = pc.unique(qrels["doc_id"])
        keys = self._keys(qrels)
        order = np.argsort(keys)
        self._sorted = keys[order]
        self.query: Indices = self._sorted // max(1, len(self._docs))
        self.grade: Floats = qrels["relevance"].to_numpy()[order].astype(np.float64)

    def _keys(self, rows: pa.Table) -> Indices:
        """Return a number per (query_id, doc_id), -1 for a pair with an unknown half."""
        query, doc = (
            _numbers(pc.index_in(rows[column], value_set=known))
            for column, known in (("query_id", self.queries), ("doc_id", self._docs))
        )
        return np.where((query < 0) | (doc < 0), -1, query * len(self._docs) + doc)

    def look_up(self, run: pa.Table) -> tuple[Indices, Indices]:
        """Return the query index and the code of each row, queries sorted, each by rank.

        Rows of queries without judgements are left out.
        """
        query = _numbers(pc.index_in(run["query_id"], value_set=self.queries))
        rank = run["rank"].to_numpy()
        order = np.lexsort((rank, query))
        order = order[query[order] >= 0]
        query, rank, keys = query[order], rank[order], self._keys(run)[order]
        _check_ranks(query, rank)
        if not len(keys):
            return query, keys
        place = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        return query, np.where(self._sorted[place] == keys, place, _UNJUDGED)


def _numbers(indices: Any) -> Indices:
    filled: Indices = pc.fill_null(indices, -1).to_numpy().astype(np.int64)
    return filled


def _check_ranks(query: Indices, rank: npt.NDArray[Any]) -> None:
    if not np.array_equal(rank, positions(query)):
        raise BadTable("run: wanted the ranks 1, 2, 3, ... for each query: rank it again")


def _values(
    measure: Measure, query: Indices, code: Indices, judged: _Judged, relevant_from: int
) -> Floats:
    """Return the value of each judged query, in the order of `judged.queries`."""
    relevant = (judged.grade >= relevant_from).astype(np.float64)
    gain = judged.grade if measure.kind.graded else relevant
    ideal = np.lexsort((-gain, judged.query))
    ideal = ideal[gain[ideal] > 0]
    queries = len(judged.queries)
    worth = np.intersect1d(query, judged.query[ideal])  # the others are 0
    values = np.zeros(queries)
    if len(worth):
        descending = -np.arange(len(code), dtype=np.float64)
        values[worth] = _ranx(
            measure,
            _lists(judged.query[ideal], ideal, gain[ideal], worth),
            _lists(query, code, descending, worth),
        )
    return values


def _lists(query: Indices, code: Indices, score: Floats, worth: Indices) -> list[Floats]:
    """Return, for each query in `worth`, its rows as [rows, 2]: code and score."""
    rows = np.column_stack((code, score)).astype(np.float64)
    first = np.searchsorted(query, worth, side="left")
    last = np.searchsorted(query, worth, side="right")
    return [rows[a:b] for a, b in zip(first, last, strict=True)]


def _ranx(measure: Measure, qrels: list[Floats], run: list[Floats]) -> Floats:
    with warnings.catch_warnings():
        # of numba, about ranx's own loop counter, when it compiles on a new machine
        warnings.filterwarnings("ignore", message=".*unsafe cast from uint64 to int64")
        from numba.typed import List
        from ranx import metrics

        functions = {
            "ndcg": metrics.ndcg,
            "reciprocal_rank": metrics.reciprocal_rank,
            "average_precision": metrics.average_precision,
            "recall": metrics.recall,
            "precision": metrics.precision,
            "hit_rate": metrics.hit_rate,
        }
        function = functions[measure.kind.function]
        # gains below 1 exist nowhere: grades are whole numbers, so ranx's own level 1 keeps all
        values: Floats = function(List(qrels), List(run), measure.cutoff)
    return values


def _rows(dataset: str, queries: pa.Array, values: Mapping[str, Floats]) -> pa.Table:
    return MEASURES.rows(
        {
            "query_id": pa.concat_arrays([pa.array(queries)] * len(values)),
            "dataset": [dataset] * (len(queries) * len(values)),
            "measure": [name for name, found in values.items() for _ in found],
            "value": np.concatenate(list(values.values())),
        }
    )


# --- how much of the candidates is re-ranked ---------------------------------------------------


def sweep(
    dataset: str,
    run: pa.Table,
    candidates: pa.Table,
    qrels: pa.Table,
    measure: Measure,
    relevant_from: int,
    depths: Sequence[int],
) -> list[tuple[int, float]]:
    """Return (depth, mean value) as if only the first `depth` candidates had been re-ranked.

    The other candidates of the run follow in their first order: depth 0 is the first stage, and
    the run's own depth what `evaluate` says of it. Deeper depths than the run's are left out.
    Raises BadTable for a passage that is no candidate.
    """
    joined = run.join(
        candidates.select(["query_id", "doc_id", "rank"]),
        ["query_id", "doc_id"],
        right_suffix="_first",
        use_threads=False,
    )
    missing = joined["rank_first"].null_count
    if missing:
        raise BadTable(
            f"{dataset}: {missing} passages of the run are not among the candidates: give the "
            "candidates that were re-ranked"
        )
    first, rank = joined["rank_first"].to_numpy(), joined["rank"].to_numpy()
    query = _numbers(pc.index_in(joined["query_id"], value_set=pc.unique(joined["query_id"])))
    deepest = int(first.max(initial=0))
    found = []
    for depth in [depth for depth in depths if depth <= deepest]:
        place = np.where(first <= depth, rank, len(rank) + first)
        again = joined.set_column(2, "rank", _ranks(query, place)).select(RUN.schema.names)
        values = evaluate(dataset, again, qrels, [measure], relevant_from).rows["value"]
        found.append((depth, float(values.to_numpy().mean())))
    return found


def _ranks(query: Indices, place: Indices) -> pa.Array:
    """Return 1, 2, ... for the rows of each query, by their place."""
    order = np.lexsort((place, query))
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = positions(query[order])
    return pa.array(ranks)


# --- what is asked for ------------------------------------------------------------------------


def threshold(dataset: str, relevant_from: Mapping[str, Any]) -> int:
    """Return the least relevant grade of `dataset`, or raise BadSettings."""
    grade = relevant_from.get(dataset)
    if isinstance(grade, bool) or not isinstance(grade, int) or grade < 1:
        raise BadSettings(
            f"relevant_from.{dataset}: wanted a whole number from 1, got {grade!r}: give the least "
            "grade that counts as relevant, such as 2 for TREC DL"
        )
    return grade


def thresholds(datasets: Sequence[str], relevant_from: Mapping[str, Any]) -> dict[str, int]:
    """Return the least relevant grade of each data set, or raise BadSettings."""
    return {dataset: threshold(dataset, relevant_from) for dataset in datasets}


def by_dataset(datasets: Sequence[str], measures: Any, more: Any) -> dict[str, list[Measure]]:
    """Return the measures of each data set: those of all, and `more` that it declares itself."""
    further = more or {}
    if not isinstance(further, Mapping) or not set(further) <= set(datasets):
        raise BadSettings(
            f"more: wanted lists of measures by data set ({', '.join(datasets)}), got {more!r}"
        )
    everywhere = distinct(measures)
    names = [measure.name for measure in everywhere]
    for own in further.values():
        distinct([*names, *[measure.name for measure in distinct(own)]])
    return {d: everywhere + (distinct(further[d]) if d in further else []) for d in datasets}


def depths(wanted: Any) -> list[int]:
    """Return depths of re-ranking, or raise BadSettings."""
    whole = isinstance(wanted, list) and all(
        isinstance(depth, int) and not isinstance(depth, bool) and depth >= 0 for depth in wanted
    )
    if not whole or not wanted or len(set(wanted)) != len(wanted):
        raise BadSettings(f"depths: wanted distinct whole numbers such as [0, 10], got {wanted!r}")
    return list(wanted)


def distinct(measures: Collection[Any]) -> list[Measure]:
    """Return the measures that `measures` spell, or raise BadSettings: none, or one twice."""
    if isinstance(measures, (str, Mapping)) or not measures:
        raise BadSettings(f'measures: wanted a list such as ["nDCG@10"], got {measures!r}')
    if len(set(measures)) != len(measures):
        raise BadSettings(f"measures: one is listed twice in {list(measures)}: name each once")
    return [parse(str(name)) for name in measures]
