"""Every number of a group of data sets: values, intervals, and families of tests.

All comparisons are on the headline measure. The families, each corrected by Holm within a group:

- "cells": every student and loss against the first stage whose candidates everything re-ranks;
- "losses": every loss against the first stage, its values averaged over students;
- "pairs": two losses of one student against each other, for every pair and student;
- "loss pairs": two losses against each other, averaged over students.

`p` takes the trained models as given: a query's value is its mean over the seeds, and the queries
are the sample. `p_seeds`, the test of equivalence and all intervals hold for other seeds too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.entries import Entry, Row, Values
from redistil.stages.report.numbers.statistics import Floats, Strata

LEVEL = 0.95  # of every interval


@dataclass(frozen=True)
class Settings:
    """alpha: the level of the tests; resamples: rounds of bootstrap and randomisation.

    margin: how far apart two systems may be and still be called equivalent.
    """

    alpha: float
    resamples: int
    seed: int
    margin: float


@dataclass(frozen=True)
class Comparison:
    """Two systems, or two losses over their students; members: differences [seeds, queries]."""

    family: str
    system: str
    against: str
    members: list[Strata]

    @cached_property
    def differences(self) -> list[Floats]:
        """Return, for each data set, each query's mean over members and seeds."""
        sets = zip(*self.members, strict=True)
        return [np.mean([values.mean(axis=0) for values in one], axis=0) for one in sets]


class Group:
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

    def strata(self, entry: Entry) -> list[Floats]:
        """Return the entry's values [seeds, queries] on each data set."""
        return [stratum[self._places(entry)] for stratum in self._strata]

    def leads(self, entry: Entry) -> list[Floats]:
        """Return the entry's values less the first stage's, likewise."""
        first = self._place[self.reference]
        return [s[self._places(entry)] - s[first] for s in self._strata]

    def samples(self, entry: Entry) -> Floats:
        """Return the bootstrap samples of an entry, over queries and seeds."""
        means, rng = self._samples[self._places(entry)], self._stream("seeds", entry.name)
        return statistics.resample_seeds(means, statistics.uncertainty([self.strata(entry)]), rng)

    def value(self, entry: Entry) -> Row:
        """Return mean, spreads and interval of an entry, and of its lead over the first stage."""
        row = self._summary([entry])
        return row | {"spread_of_sets": statistics.spread_of_sets(self.strata(entry))}

    def _summary(self, members: Sequence[Entry]) -> Row:
        per_seed = np.mean([self.per_seed(entry) for entry in members], axis=0)
        samples = np.mean([self.samples(entry) for entry in members], axis=0)
        first = self._place[self.reference]
        value = float(per_seed.mean())
        difference = value - float(self._means[first])
        low, high = statistics.interval(
            samples, value, self._uncertainty(self.strata, members), LEVEL, (0, 1)
        )
        lead_low, lead_high = statistics.interval(
            samples - self._samples[first],
            difference,
            self._uncertainty(self.leads, members),
            LEVEL,
            (-1, 1),
        )
        return {
            "value": value,
            "spread": statistics.spread(per_seed),
            "low": low,
            "high": high,
            "difference": difference,
            "difference_low": lead_low,
            "difference_high": lead_high,
        }

    def _uncertainty(
        self, of: Callable[[Entry], list[Floats]], members: Sequence[Entry]
    ) -> statistics.Uncertainty:
        return statistics.uncertainty([of(entry) for entry in members])

    def by_loss(self) -> dict[str, list[Entry]]:
        """Return the entries of each loss."""
        found: dict[str, list[Entry]] = {}
        for entry in self.students:
            found.setdefault(str(entry.loss), []).append(entry)
        return found

    # --- tests ------------------------------------------------------------------------------------

    def comparisons(self) -> list[Comparison]:
        """Return everything that is tested, family by family."""
        losses, first = self.by_loss(), self.reference
        leads = {entry.name: self.leads(entry) for entry in self.students}
        found = [Comparison("cells", e.name, first, [leads[e.name]]) for e in self.students]
        found += [
            Comparison("losses", loss, first, [leads[e.name] for e in members])
            for loss, members in losses.items()
        ]
        pairs = list(combinations(losses, 2))
        for one, other in pairs:
            both = list(zip(losses[one], losses[other], strict=True))
            found += [
                Comparison("pairs", a.name, b.name, [_minus(leads[a.name], leads[b.name])])
                for a, b in both
            ]
        for one, other in pairs:
            both = list(zip(losses[one], losses[other], strict=True))
            members: list[Strata] = [_minus(leads[a.name], leads[b.name]) for a, b in both]
            found.append(Comparison("loss pairs", one, other, members))
        return found

    def tests(self) -> list[Row]:
        """Return a row for each comparison; p values are corrected within their family."""
        compared = self.comparisons()
        if not compared:
            return []
        stacked = [np.stack(rows) for rows in zip(*(c.differences for c in compared), strict=True)]
        signed = statistics.paired_randomisation(
            stacked, self.settings.resamples, self._stream("randomisation")
        )
        rows = [self._test(c, float(p)) for c, p in zip(compared, signed, strict=True)]
        for family in dict.fromkeys(row["family"] for row in rows):
            self._correct([row for row in rows if row["family"] == family])
        return rows

    def _test(self, comparison: Comparison, p_randomisation: float) -> Row:
        test = statistics.paired_t(comparison.differences)
        both = statistics.uncertainty(comparison.members)
        return {
            "group": self.name,
            "family": comparison.family,
            "system": comparison.system,
            "against": comparison.against,
            "queries": self.queries,
            "difference": test.difference,
            "effect": test.effect,
            "t": test.t,
            "degrees": test.degrees,
            "p": test.p,
            "p_holm": None,
            "p_randomisation": p_randomisation,
            "p_seeds": both.p(test.difference),
            "verdict": None,
            "p_equivalence": statistics.equivalence(test.difference, both, self.settings.margin),
            "equivalence": None,
        }

    def _correct(self, family: Sequence[Row]) -> None:
        """Fill in what needs the whole family: Holm's p, and the words for both tests."""
        alpha = self.settings.alpha
        corrected = statistics.holm([row["p"] for row in family])
        close = statistics.holm([row["p_equivalence"] for row in family])
        for row, p_holm, p_close in zip(family, corrected, close, strict=True):
            row["p_holm"], row["p_equivalence"] = p_holm, p_close
            row["verdict"] = statistics.verdict(row["difference"], p_holm, alpha)
            row["equivalence"] = statistics.claim(p_close, alpha)

    def losses(self, tests: Sequence[Row]) -> list[Row]:
        """Return a line for each loss: its students together, and the best of them alone."""
        return [self._loss(loss, members, tests) for loss, members in self.by_loss().items()]

    def _loss(self, loss: str, members: Sequence[Entry], tests: Sequence[Row]) -> Row:
        together = test_of(tests, self.name, "losses", loss)
        best = max(members, key=lambda entry: float(self.per_seed(entry).mean()))
        alone = test_of(tests, self.name, "cells", best.name)
        return {
            "group": self.name,
            "loss": loss,
            "students": len(members),
            "seeds": len(members[0].systems),
            **self._summary(members),
            "effect": together["effect"],
            "p": together["p"],
            "p_holm": together["p_holm"],
            "p_seeds": together["p_seeds"],
            "verdict": together["verdict"],
            "equivalence": together["equivalence"],
            "best_student": best.student,
            "best_value": float(self.per_seed(best).mean()),
            "best_difference": alone["difference"],
            "best_p_holm": alone["p_holm"],
            "best_verdict": alone["verdict"],
        }


def _minus(one: Strata, other: Strata) -> list[Floats]:
    return [a - b for a, b in zip(one, other, strict=True)]


def test_of(tests: Sequence[Row], group: str, family: str, system: str) -> Mapping[str, object]:
    """Return the test of `system`, or an empty row for what no family tests."""
    wanted = (group, family, system)
    return next((t for t in tests if (t["group"], t["family"], t["system"]) == wanted), {})
