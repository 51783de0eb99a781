"""The tables of a study: leaderboard, verdict of every loss, tests, means of every cell.

An *entry* is a line of the leaderboard: the seeds of one student and loss, or one baseline. All
comparisons are with the first stage whose candidates everything re-ranks, on the headline measure:

- family "cells": every student x loss against the first stage, corrected by Holm within a group;
- family "losses": every loss, its values averaged over students, likewise.

A test sees one value per query, its mean over the seeds: the queries are the sample, the trained
models are given. The bootstrap intervals vary both queries and seeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from redistil import study as studies
from redistil.errors import BadSettings, Stale
from redistil.report import statistics
from redistil.report.statistics import Floats
from redistil.seeds import generator
from redistil.study import System
from redistil.tables import MEASURES

Row = dict[str, Any]
LEVEL = 0.95  # of every interval


@dataclass(frozen=True)
class Tables:
    """The tables as rows, and the few numbers that `dvc metrics` shows."""

    leaderboard: list[Row]
    losses: list[Row]
    tests: list[Row]
    cells: list[Row]
    metrics: Row


@dataclass(frozen=True)
class Settings:
    """alpha: the level of the tests; resamples: rounds of bootstrap and randomisation."""

    alpha: float
    resamples: int
    seed: int


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


def read(
    study: Mapping[str, Any], files: Mapping[str, Path], datasets: Sequence[str] | None = None
) -> Values:
    """Return the values in the measures files, by system; Stale if one differs in its queries.

    datasets: which to read; None is all of the study.
    """
    import pyarrow.compute as pc

    headline = study["measures"][0]
    per_query, means, queries = {}, {}, {}
    asked_ids: dict[str, Any] = {}
    for name, path in files.items():
        rows = MEASURES.read(path)
        for dataset in study["grid"]["datasets"] if datasets is None else datasets:
            here = rows.filter(pc.equal(rows["dataset"], dataset))
            for measure in study["measures"]:
                found = here.filter(pc.equal(here["measure"], measure)).sort_by("query_id")
                ids = found["query_id"].combine_chunks()
                if not ids.equals(asked_ids.setdefault(dataset, ids)) or not len(ids):
                    raise Stale(
                        f"{path}: {measure} on {dataset} has {len(ids)} queries, not the same as "
                        f"another system's: measure both again (`snakemake -R evaluate`)"
                    )
                values = found["value"].to_numpy().astype(np.float64)
                means[name, dataset, measure] = float(values.mean())
                if measure == headline:
                    per_query[name, dataset] = values
                queries[dataset] = len(values)
    query_ids = {dataset: ids.to_pylist() for dataset, ids in asked_ids.items()}
    return Values(per_query, means, queries, query_ids)


# --- entries ----------------------------------------------------------------------------------


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
    return [Entry(*what, systems=tuple(names)) for what, names in members.items()]


# --- the tables -------------------------------------------------------------------------------


def tabulate(study: Mapping[str, Any], values: Values, settings: Settings) -> Tables:
    """Return every table of the study."""
    clash = sorted({*study["groups"]} & {*study["grid"]["datasets"]})
    if clash:
        raise BadSettings(f"groups.{clash[0]}: a data set has this name too: rename the group")
    systems = studies.systems(study)
    lines = entries(systems)
    groups = [
        _Group(name, datasets, lines, study["grid"]["first_stage"], values, settings)
        for name, datasets in study["groups"].items()
    ]
    tests = [row for group in groups for row in group.tests()]
    leaderboard = [_line(entry, study, groups, values, tests) for entry in lines]
    losses = [row for group in groups for row in group.losses(tests)]
    leaderboard.sort(key=lambda row: -row[groups[0].name])
    return Tables(
        leaderboard,
        losses,
        tests,
        _cells(systems, study, values),
        _metrics(groups, lines, losses),
    )


class _Group:
    """The data sets of one group: values, intervals and tests of every entry.

    samples: [systems, rounds], group means with the queries drawn again.
    """

    def __init__(
        self,
        name: str,
        datasets: Sequence[str],
        lines: Sequence[Entry],
        reference: str,
        values: Values,
        settings: Settings,
    ) -> None:
        self.name, self.settings = name, settings
        self.reference = reference
        self.students = [entry for entry in lines if entry.kind == "student"]
        self.queries = sum(values.queries[dataset] for dataset in datasets)
        systems = [name for entry in lines for name in entry.systems]
        self._place = {name: place for place, name in enumerate(systems)}
        self._strata = [np.stack([values.per_query[s, d] for s in systems]) for d in datasets]
        self._means = statistics.group_mean(self._strata)
        rng = self._stream("queries")
        self._samples = statistics.resample_queries(self._strata, settings.resamples, rng)

    def _stream(self, *names: str) -> np.random.Generator:
        return generator(self.settings.seed, "report", *names, self.name)

    def _places(self, entry: Entry) -> list[int]:
        return [self._place[name] for name in entry.systems]

    def per_seed(self, entry: Entry) -> Floats:
        """Return the group's value of each seed."""
        found: Floats = self._means[self._places(entry)]
        return found

    def samples(self, entry: Entry) -> Floats:
        """Return the bootstrap samples of an entry, over queries and seeds."""
        rng = self._stream("seeds", entry.name)
        return statistics.resample_seeds(self._samples[self._places(entry)], rng)

    def differences(self, entry: Entry) -> list[Floats]:
        """Return, for each data set, each query's mean over seeds minus the first stage's."""
        first, places = self._place[self.reference], self._places(entry)
        return [stratum[places].mean(axis=0) - stratum[first] for stratum in self._strata]

    def value(self, entry: Entry) -> Row:
        """Return mean, spread and interval of an entry, and of its lead over the first stage."""
        per_seed, samples = self.per_seed(entry), self.samples(entry)
        return self._summary(per_seed, samples)

    def _summary(self, per_seed: Floats, samples: Floats) -> Row:
        first = self._place[self.reference]
        low, high = statistics.interval(samples, LEVEL)
        lead = statistics.interval(samples - self._samples[first], LEVEL)
        return {
            "value": float(per_seed.mean()),
            "spread": statistics.spread(per_seed),
            "low": low,
            "high": high,
            "difference": float(per_seed.mean() - self._means[first]),
            "difference_low": lead[0],
            "difference_high": lead[1],
        }

    def tests(self) -> list[Row]:
        """Return both families of tests against the first stage."""
        families = {
            "cells": {entry.name: self.differences(entry) for entry in self.students},
            "losses": {
                loss: self._mean_differences(members) for loss, members in self.by_loss().items()
            },
        }
        return [
            row for family, members in families.items() for row in self._family(family, members)
        ]

    def by_loss(self) -> dict[str, list[Entry]]:
        """Return the entries of each loss."""
        found: dict[str, list[Entry]] = {}
        for entry in self.students:
            found.setdefault(str(entry.loss), []).append(entry)
        return found

    def _mean_differences(self, members: Sequence[Entry]) -> list[Floats]:
        """Return, for each data set, each query's mean over the entries' differences."""
        each = [self.differences(entry) for entry in members]
        return [np.mean(stratum, axis=0) for stratum in zip(*each, strict=True)]

    def _family(self, family: str, members: Mapping[str, list[Floats]]) -> list[Row]:
        if not members:
            return []
        tested = [statistics.paired_t(strata) for strata in members.values()]
        corrected = statistics.holm([test.p for test in tested])
        stacked = [np.stack(rows) for rows in zip(*members.values(), strict=True)]
        signed = statistics.paired_randomisation(
            stacked, self.settings.resamples, self._stream("randomisation", family)
        )
        return [
            {
                "group": self.name,
                "family": family,
                "system": name,
                "against": self.reference,
                "queries": self.queries,
                "difference": test.difference,
                "t": test.t,
                "degrees": test.degrees,
                "p": test.p,
                "p_holm": p_holm,
                "p_randomisation": float(p_signed),
                "verdict": statistics.verdict(test.difference, p_holm, self.settings.alpha),
            }
            for name, test, p_holm, p_signed in zip(members, tested, corrected, signed, strict=True)
        ]

    def losses(self, tests: Sequence[Row]) -> list[Row]:
        """Return a line for each loss: its students together, and the best of them alone."""
        return [self._loss(loss, members, tests) for loss, members in self.by_loss().items()]

    def _loss(self, loss: str, members: Sequence[Entry], tests: Sequence[Row]) -> Row:
        together = _test(tests, self.name, "losses", loss)
        per_seed = np.mean([self.per_seed(entry) for entry in members], axis=0)
        samples = np.mean([self.samples(entry) for entry in members], axis=0)
        best = max(members, key=lambda entry: float(self.per_seed(entry).mean()))
        alone = _test(tests, self.name, "cells", best.name)
        return {
            "group": self.name,
            "loss": loss,
            "students": len(members),
            "seeds": len(per_seed),
            **self._summary(per_seed, samples),
            "p": together["p"],
            "p_holm": together["p_holm"],
            "verdict": together["verdict"],
            "best_student": best.student,
            "best_value": float(self.per_seed(best).mean()),
            "best_difference": alone["difference"],
            "best_p_holm": alone["p_holm"],
            "best_verdict": alone["verdict"],
        }


def _test(tests: Iterable[Row], group: str, family: str, system: str) -> Row:
    """Return the test of `system`, or an empty row for what no family tests."""
    wanted = (group, family, system)
    return next((t for t in tests if (t["group"], t["family"], t["system"]) == wanted), {})


def _line(
    entry: Entry,
    study: Mapping[str, Any],
    groups: Sequence[_Group],
    values: Values,
    tests: Sequence[Row],
) -> Row:
    row: Row = {
        "system": entry.name,
        "kind": entry.kind,
        "student": entry.student,
        "loss": entry.loss,
        "seeds": len(entry.systems),
    }
    for group in groups:
        found = group.value(entry)
        test = _test(tests, group.name, "cells", entry.name)
        row[group.name] = found["value"]
        for key in ("spread", "low", "high"):
            row[f"{group.name} {key}"] = found[key]
        for key in ("difference", "difference_low", "difference_high"):
            row[f"{group.name} {key}"] = None if entry.name == group.reference else found[key]
        for key in ("p", "p_holm", "verdict"):
            row[f"{group.name} {key}"] = test.get(key)
    for dataset in study["grid"]["datasets"]:
        per_seed = np.array([values.per_query[s, dataset].mean() for s in entry.systems])
        row[dataset] = float(per_seed.mean())
        row[f"{dataset} spread"] = statistics.spread(per_seed)
    return row


def _cells(systems: Sequence[System], study: Mapping[str, Any], values: Values) -> list[Row]:
    return [
        {
            "system": system.name,
            "kind": system.kind,
            "student": system.student,
            "loss": system.loss,
            "seed": system.seed,
            "dataset": dataset,
            "measure": measure,
            "value": values.means[system.name, dataset, measure],
            "queries": values.queries[dataset],
        }
        for system in systems
        for dataset in study["grid"]["datasets"]
        for measure in study["measures"]
    ]


def _metrics(groups: Sequence[_Group], lines: Sequence[Entry], losses: Sequence[Row]) -> Row:
    """Return the headline in few numbers: best student, baselines and the mean of each loss."""
    metrics: Row = {}
    for group in groups:
        means = {entry: float(group.per_seed(entry).mean()) for entry in lines}
        students = [means[entry] for entry in group.students]
        found = {"best student": max(students)} if students else {}
        found |= {e.name: mean for e, mean in means.items() if e.kind != "student"}
        found |= {row["loss"]: row["value"] for row in losses if row["group"] == group.name}
        metrics[group.name] = found
    return metrics
