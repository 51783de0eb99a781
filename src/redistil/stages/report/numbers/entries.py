"""The lines of the leaderboard, and the values per query behind them.

An *entry* is a line of the leaderboard: the seeds of one student and loss, or one baseline.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redistil.errors import Stale
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage.tables import MEASURES
from redistil.study import artefacts as studies
from redistil.study.artefacts import System
from redistil.study.study import Study

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Entry:
    """A line of the leaderboard: systems that differ only in their seed."""

    name: str
    kind: str
    student: str | None
    loss: str | None
    systems: tuple[str, ...]


def entries(systems: Iterable[System]) -> list[Entry]:
    """Return the lines of the leaderboard, in the order of the systems."""
    members: dict[tuple[str, str, str | None, str | None], list[str]] = {}
    for system in systems:
        name = system.name
        if system.seed is not None:
            name = name.removesuffix(f"/{system.seed}")
        members.setdefault((name, system.kind, system.student, system.loss), []).append(system.name)
    lines = []
    for what, names in members.items():
        lines.append(Entry(*what, systems=tuple(names)))
    return lines


@dataclass(frozen=True)
class Values:
    """Values per query of every system: headline as arrays, every measure as means.

    per_query: by (system, dataset), in the order of the query_ids, the same for all systems.
    means: by (system, dataset, measure). queries: how many each dataset has; query_ids: which.
    """

    per_query: Mapping[tuple[str, str], Floats]
    means: Mapping[tuple[str, str, str], float]
    queries: Mapping[str, int]
    query_ids: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def seeds(self, line: Entry, dataset: str) -> Floats:
        """Return the values of a line [seeds, queries]; Stale if one seed was not given."""
        seeds = []
        for name in line.systems:
            if (name, dataset) not in self.per_query:
                raise Stale(
                    f"no measures file of {name}, which the study asks for: make it (rule "
                    "`evaluate`) and name it with --measures"
                )
            seeds.append(self.per_query[name, dataset])
        return np.stack(seeds)

    def mean(self, line: Entry, dataset: str) -> Floats:
        """Return the mean over a line's seeds, query by query; Stale likewise."""
        mean: Floats = self.seeds(line, dataset).mean(axis=0)
        return mean


def read(study: Study, files: Mapping[str, Path], datasets: Sequence[str] | None = None) -> Values:
    """Return the values in the measures files, by system; Stale if one differs in its queries.

    datasets: which to read; None is all of the study.
    """
    import pyarrow.compute as pc

    headline = study["measures"][0]
    per_query, means, queries = {}, {}, {}
    query_ids: dict[str, pa.Array] = {}
    for name, path in files.items():
        rows = MEASURES.read(path)
        for dataset in study["grid"]["datasets"] if datasets is None else datasets:
            here = rows.filter(pc.equal(rows["dataset"], dataset))
            for measure in studies.measures_of(study, dataset):
                chosen = here.filter(pc.equal(here["measure"], measure)).sort_by("query_id")
                ids = chosen["query_id"].combine_chunks()
                if not ids.equals(query_ids.setdefault(dataset, ids)) or not len(ids):
                    raise Stale(
                        f"{path}: {measure} on {dataset} has {len(ids)} queries, not the same as "
                        f"another system's: measure both again (`snakemake -R evaluate`)"
                    )
                values = chosen["value"].to_numpy().astype(np.float64)
                means[name, dataset, measure] = float(values.mean())
                if measure == headline:
                    per_query[name, dataset] = values
                queries[dataset] = len(values)
    ids_of = {}
    for dataset, ids in query_ids.items():
        ids_of[dataset] = ids.to_pylist()
    return Values(per_query, means, queries, ids_of)
