"""How well a run answers each query: values per query, as trec_eval would give them.

`study/measures.py` defines each measure. Every query with a judgement counts: one without a result
is 0, and so is one without a relevant passage. Results of queries that nobody judged are left out.

The order of a run is its `rank` column. So a tie is broken once, where the run was written
(score, then doc_id, both downwards, as trec_eval does). ranx orders ties unstably: it gets rows in
that order and never sorts.

Equal to trec_eval's values to 1e-6 (test_measures.py), with these differences. Scores are
compared as float32, so two that are one float32 are a tie. trec_eval knows no cutoff of RR. Its
averages leave out judged queries that a run does not answer, unless asked.
"""

import atexit
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redistil.errors import BadSettings, BadTable, nearest
from redistil.storage.stretches import positions
from redistil.storage.tables import MEASURES, RUN
from redistil.study import measures as study
from redistil.study.measures import Floats, Measure, distinct, parse

__all__ = ["Evaluation", "by_dataset", "depths", "distinct", "evaluate", "parse", "sweep"]

Indices = npt.NDArray[np.int64]

ALL = ""  # in place of a dataset: a setting is for all of them
_UNJUDGED = -1  # the code of a passage without a judgement


@dataclass(frozen=True)
class Evaluation:
    """The values of one run, and how many queries had no result or no judgement.

    without_relevant: judged queries without a passage of the grade `relevant_from`: no run can
    answer them. doubts: a sentence for each reason why all values of a measure are 0.
    """

    measures: list[str]
    rows: pa.Table
    queries: int
    unanswered: int
    unjudged: int
    without_relevant: int = 0
    relevant_from: int = 1
    doubts: tuple[str, ...] = ()

    def lines(self, dataset: str) -> list[str]:
        """Return the mean of every measure, each in a line, and how many queries counted.

        dataset: stands before each line, unless it is "".
        """
        means = {}
        table = self.rows.group_by("measure", use_threads=False).aggregate([("value", "mean")])
        for row in table.to_pylist():
            means[row["measure"]] = row["value_mean"]
        widest = max(map(len, self.measures))
        lines = [f"{name:{widest}}  {means[name]:.4f}" for name in self.measures]
        counts = f"{self.queries} queries, {self.unanswered} without a result (scored zero)"
        if self.without_relevant:
            counts += (
                f"; {self.without_relevant} without a passage of grade {self.relevant_from} or "
                "more (scored zero)"
            )
        if self.unjudged:
            counts += f"; {self.unjudged} of the run without judgements left out"
        lines.append(counts)
        return [f"{dataset}: {line}" for line in lines] if dataset else lines


class Places(NamedTuple):
    """Rows of a run, queries sorted, each by rank: the query's number, the pair's code."""

    query: Indices
    code: Indices


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
    places = judged.look_up(run)
    queries = len(judged.queries)
    in_run = pc.count_distinct(run["query_id"]).as_py()
    answered = len(np.unique(places.query))
    if not answered:
        raise BadTable(
            f"{dataset or 'qrels'}: none of the {in_run} queries of the run is among the {queries} "
            f"of the qrels (first: {_first(run)} and {_first(qrels)}): give the qrels of the "
            "dataset that the run is for"
        )
    values = {}
    for measure in measures:
        values[measure.name] = _values(measure, places, judged, relevant_from)
    with_relevant = np.unique(judged.query[judged.grade >= relevant_from])
    return Evaluation(
        list(values),
        _rows(dataset, judged.queries, values),
        queries,
        unanswered=queries - answered,
        unjudged=in_run - answered,
        without_relevant=queries - len(with_relevant),
        relevant_from=relevant_from,
        doubts=tuple(_doubts(run, qrels, places, measures, relevant_from)),
    )


def _doubts(
    run: pa.Table,
    qrels: pa.Table,
    places: "Places",
    measures: Sequence[Measure],
    relevant_from: int,
) -> Iterator[str]:
    """Yield why all values of a measure are 0, whatever the system is worth."""
    if not (places.code != _UNJUDGED).any():
        yield (
            f"no passage of the run is judged (first: {_first(run, 'doc_id')}; in the qrels "
            f"{_first(qrels, 'doc_id')}): every value is 0, check that both are of one collection"
        )
    highest = pc.max(qrels["relevance"]).as_py()
    binary = [measure.name for measure in measures if measure.kind.binary]
    if highest < 1:
        yield (
            f"no judgement has a grade above 0 (the highest is {highest}): every value is 0, check "
            "the grades of the qrels"
        )
    elif highest < relevant_from and binary:
        yield (
            f"no judgement has the grade {relevant_from} or more (the highest is {highest}): "
            f"every value of {', '.join(binary)} is 0, lower `relevant_from`"
        )


def _first(rows: pa.Table, column: str = "query_id") -> str:
    return repr(rows[column][0].as_py()) if len(rows) else "none"


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
        query = _numbers(pc.index_in(rows["query_id"], value_set=self.queries))
        doc = _numbers(pc.index_in(rows["doc_id"], value_set=self._docs))
        return np.where((query < 0) | (doc < 0), -1, query * len(self._docs) + doc)

    def look_up(self, run: pa.Table) -> Places:
        """Return the places of a run's rows, without those of queries that nobody judged.

        Raises BadTable when a query's ranks are not 1, 2, 3, ...
        """
        query = _numbers(pc.index_in(run["query_id"], value_set=self.queries))
        rank = run["rank"].to_numpy()
        order = np.lexsort((rank, query))
        order = order[query[order] >= 0]
        query, rank, keys = query[order], rank[order], self._keys(run)[order]
        _check_ranks(query, rank)
        if not len(keys):
            return Places(query, keys)
        place = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        return Places(query, np.where(self._sorted[place] == keys, place, _UNJUDGED))


def _numbers(indices: Any) -> Indices:
    filled: Indices = pc.fill_null(indices, -1).to_numpy().astype(np.int64)
    return filled


def _check_ranks(query: Indices, rank: npt.NDArray[Any]) -> None:
    if not np.array_equal(rank, positions(query)):
        raise BadTable("run: wanted the ranks 1, 2, 3, ... for each query: rank it again")


def _values(measure: Measure, places: Places, judged: _Judged, relevant_from: int) -> Floats:
    """Return the value of each judged query, in the order of `judged.queries`."""
    gain = judged.grade
    if measure.kind.binary:
        gain = (judged.grade >= relevant_from).astype(np.float64)
    ideal = np.lexsort((-gain, judged.query))
    ideal = ideal[gain[ideal] > 0]
    values = np.zeros(len(judged.queries))
    worth = np.intersect1d(places.query, judged.query[ideal])  # the others are 0
    if len(worth):
        best = _lists(Places(judged.query[ideal], ideal), gain[ideal], worth)
        descending = -np.arange(len(places.code), dtype=np.float64)
        values[worth] = _ranx(measure, best, _lists(places, descending, worth))
    return values


def _lists(places: Places, score: Floats, worth: Indices) -> list[Floats]:
    """Return, for each query in `worth`, its rows as [rows, 2]: code and score."""
    rows = np.column_stack((places.code, score)).astype(np.float64)
    first = np.searchsorted(places.query, worth, side="left")
    last = np.searchsorted(places.query, worth, side="right")
    return [rows[a:b] for a, b in zip(first, last, strict=True)]


def _ranx(measure: Measure, qrels: list[Floats], run: list[Floats]) -> Floats:
    with warnings.catch_warnings():
        # of numba, about ranx's own loop counter, when it compiles on a new machine
        warnings.filterwarnings("ignore", message=".*unsafe cast from uint64 to int64")
        from numba.typed import List

        function = _metrics()(measure.kind.ranx)
        whole = 0  # ranx's cutoff for all ranks
        # gains below 1 exist nowhere: grades are whole numbers, so ranx's own level 1 keeps all
        values: Floats = function(List(qrels), List(run), measure.cutoff or whole)
    return values


@cache
def _metrics() -> Any:
    """Return ranx's measures by name.

    It keeps its compiled code in the environment or the home. Where neither may be written, it
    compiles anew for each job, into a folder that goes with it.
    """
    try:
        from ranx.metrics import metric_switch
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        import numba

        folder = TemporaryDirectory(prefix="redistil-numba-")
        atexit.register(folder.cleanup)
        numba.config.CACHE_DIR = folder.name
        from ranx.metrics import metric_switch
    return metric_switch


def _rows(dataset: str, queries: pa.Array, values: Mapping[str, Floats]) -> pa.Table:
    return MEASURES.rows(
        {
            "query_id": pa.concat_arrays([pa.array(queries)] * len(values)),
            "dataset": [dataset] * (len(queries) * len(values)),
            "measure": np.repeat(list(values), len(queries)),
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
    joined = _with_first_ranks(run, candidates, dataset)
    first, rank = joined["rank_first"].to_numpy(), joined["rank"].to_numpy()
    query = _numbers(pc.index_in(joined["query_id"], value_set=pc.unique(joined["query_id"])))
    deepest = int(first.max(initial=0))
    means = []
    for depth in depths:
        if depth > deepest:
            continue
        place = np.where(first <= depth, rank, len(rank) + first)
        again = joined.set_column(2, "rank", _ranks(query, place)).select(RUN.schema.names)
        values = evaluate(dataset, again, qrels, [measure], relevant_from).rows["value"]
        means.append((depth, float(values.to_numpy().mean())))
    return means


def _with_first_ranks(run: pa.Table, candidates: pa.Table, dataset: str) -> pa.Table:
    """Return a run with the rank of each passage among the candidates, as `rank_first`."""
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
    return joined


def _ranks(query: Indices, place: Indices) -> pa.Array:
    """Return 1, 2, ... for the rows of each query, by their place."""
    order = np.lexsort((place, query))
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = positions(query[order])
    return pa.array(ranks)


# --- settings -------------------------------------------------------------------------------


def by_dataset(datasets: Sequence[str], words: Sequence[str]) -> dict[str, list[Measure]]:
    """Return the measures of each dataset, in the order of `words`.

    A word is a measure for all datasets, `nDCG@10`, or for one alone, `lotte=Success@5`.
    Raises BadSettings for no measure, one twice, an unknown one, and for an unknown dataset.
    """
    names: dict[str, list[str]] = {dataset: [] for dataset in datasets}
    for word in words:
        dataset, name = study.parted(word)
        _check_dataset(f"--measure {word}", dataset, datasets)
        for one in datasets if dataset == ALL else [dataset]:
            names[one].append(name)
    chosen = {}
    for dataset in datasets:
        if not names[dataset]:
            raise BadSettings(
                f"--measure: none for {dataset}: give one for all datasets, such as nDCG@10, or "
                f"{dataset}=nDCG@10"
            )
        chosen[dataset] = distinct(names[dataset])
    return chosen


def thresholds(datasets: Sequence[str], grades: Mapping[str, int]) -> dict[str, int]:
    """Return the least relevant grade of each dataset: its own, or that of all, at "".

    Raises BadSettings where a dataset has none, and for an unknown dataset.
    """
    for dataset, grade in grades.items():
        _check_dataset(f"--relevant-from {dataset}={grade}", dataset, datasets)
    levels = {}
    for dataset in datasets:
        level = grades.get(dataset, grades.get(ALL))
        if level is None:
            raise BadSettings(
                f"--relevant-from: none for {dataset}: give the least grade that counts as "
                f"relevant, such as 2 for TREC DL, for all datasets or as {dataset}=2"
            )
        levels[dataset] = level
    return levels


def _check_dataset(option: str, dataset: str, datasets: Sequence[str]) -> None:
    if dataset != ALL and dataset not in datasets:
        raise BadSettings(
            f"{option}: no --on names {dataset!r}{nearest(dataset, datasets)} (a value without a "
            "dataset is for all)"
        )


def depths(wanted: Sequence[int]) -> list[int]:
    """Return depths of re-ranking; BadSettings where one is given twice."""
    if len(set(wanted)) != len(wanted):
        raise BadSettings(f"--depth: one is given twice in {list(wanted)}: give each once")
    return list(wanted)
