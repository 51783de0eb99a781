"""The gate of a teacher: whether it ranks validation queries better than what was there before.

A student learns the order of its teacher. A teacher that is no better than the first stage, or than
one of its own members, has nothing new to teach.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from redistil.errors import BadSettings, BadTable
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.pools import by_query
from redistil.storage.tables import QRELS, aside
from redistil.study.measures import Measure, Ranking, parse

RECORD = "gate.json"

Grades = dict[str, dict[str, int]]  # of each judged passage, by query and doc_id
Values = dict[str, float]  # of each system


class ValidationSet(NamedTuple):
    """A validation set, the teacher's run of it, and the least grade that is relevant."""

    dataset: str
    run: Path
    qrels: Path
    relevant_from: int


class Runs(dict[str, dict[str, Path]]):
    """The runs of some systems, by system and dataset."""

    @staticmethod
    def of(rows: Iterable[tuple[str, str, Path]]) -> "Runs":
        """Return the runs of rows of a system, a dataset and a file."""
        runs = Runs()
        for system, dataset, file in rows:
            runs.setdefault(system, {})[dataset] = file
        return runs


@dataclass(frozen=True)
class Verdict:
    """Means over the validation sets: of a teacher, its members, and the first stages to beat."""

    teacher: str
    measure: str
    datasets: Sequence[str]
    value: float
    members: Mapping[str, float]
    baselines: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether the teacher is above every first stage, and not below a member."""
        return not self._above()

    @property
    def reason(self) -> str:
        """The values that decide, in words."""
        beside = " and ".join(_named(self._above() or self._nearest()))
        relation = "above" if self.passed else "and not above"
        where = " and ".join(self.datasets)
        return f"{self.measure} {self.value:.3f} on {where}, {relation} {beside}"

    def _above(self) -> Values:
        """Return what the teacher does not beat: first stages, and its best member if better."""
        unbeaten = {}
        for name, value in self.baselines.items():
            if value >= self.value:
                unbeaten[name] = value
        best = max(self.members, key=self.members.__getitem__, default=None)
        if best is not None and self.members[best] > self.value:
            unbeaten[best] = self.members[best]
        return unbeaten

    def _nearest(self) -> Values:
        """Return the best of what the teacher beats."""
        beaten = {**self.baselines, **self.members}
        best = max(beaten, key=beaten.__getitem__)
        return {best: beaten[best]}

    def __str__(self) -> str:
        """Return the verdict in one line."""
        ended = "passed" if self.passed else "failed"
        return f"{self.teacher} {ended} its gate: {self.reason}"

    def write(self, folder: Path, made: Made) -> None:
        """Write the verdict and its record into a folder; the record is written last."""
        content = {
            "subject": self.teacher,
            "passed": self.passed,
            "reason": self.reason,
            "measure": self.measure,
            "datasets": list(self.datasets),
            "value": self.value,
            "members": dict(self.members),
            "baselines": dict(self.baselines),
        }
        with aside(folder / RECORD) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        lineage.record(made, folder)


class Measured(NamedTuple):
    """How a ranking is measured: down to the depth that is re-ranked, and to the cutoff."""

    measure: Measure
    depth: int

    def mean(self, run: Path, grades: Grades, relevant_from: int) -> float:
        """Return the mean over the judged queries; one that the run lacks is 0."""
        total = 0.0
        for query_id, doc_ids in by_query(run):
            if query_id in grades:
                total += self._value(doc_ids[: self.depth], grades[query_id], relevant_from)
        return total / len(grades)

    def _value(
        self, doc_ids: Sequence[str], judged: Mapping[str, int], relevant_from: int
    ) -> float:
        cutoff = self.measure.cutoff
        shown = [judged.get(doc_id, 0) for doc_id in doc_ids[:cutoff]]
        ideal = sorted(judged.values(), reverse=True)
        ranking = Ranking(np.array(shown, float), np.array(ideal, float), cutoff, relevant_from)
        return self.measure.kind.value(ranking)


def compare(
    teacher: str,
    sets: Sequence[ValidationSet],
    members: Runs,
    baselines: Runs,
    *,
    measure: str,
    depth: int,
) -> Verdict:
    """Return how well a teacher, its members and the first stages rank the validation queries.

    depth: passages of a query that count, as many as are re-ranked. A value is the unweighted mean
    over the sets. Raises BadSettings where a system has no run of one of them, BadTable where
    nothing is judged.
    """
    measured = Measured(parse(measure), depth)
    own = [(teacher, each.dataset, each.run) for each in sets]
    return Verdict(
        teacher=teacher,
        measure=measured.measure.name,
        datasets=[each.dataset for each in sets],
        value=_values(Runs.of(own), sets, measured)[teacher],
        members=_values(members, sets, measured),
        baselines=_values(baselines, sets, measured),
    )


def _values(runs: Runs, sets: Sequence[ValidationSet], measured: Measured) -> Values:
    of_sets: dict[str, list[float]] = {}
    for each in sets:
        grades = _grades(QRELS.read(each.qrels))
        if not grades:
            raise BadTable(f"{each.qrels} judges no query: give the qrels of {each.dataset}")
        for system, files in runs.items():
            if each.dataset not in files:
                raise BadSettings(
                    f"gate: {system} has no run of {each.dataset}: name one of every validation set"
                )
            value = measured.mean(files[each.dataset], grades, each.relevant_from)
            of_sets.setdefault(system, []).append(value)
    return {system: float(np.mean(values)) for system, values in of_sets.items()}


def _grades(qrels: pa.Table) -> Grades:
    grades: Grades = {}
    for row in qrels.to_pylist():
        grades.setdefault(row["query_id"], {})[row["doc_id"]] = row["relevance"]
    return grades


def _named(values: Mapping[str, float]) -> list[str]:
    return [f"{name} ({value:.3f})" for name, value in values.items()]
