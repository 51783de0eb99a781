"""The numbers of a group of data sets: values, intervals, and families of tests.

All comparisons are on the headline measure. The families, each corrected by Holm within a group:

- "cells": every student and loss against the first stage whose candidates everything re-ranks;
- "losses": every loss against the first stage, its values averaged over students;
- "pairs": two losses of one student against each other, for every pair and student;
- "loss pairs": two losses against each other, averaged over students.

`p` takes the trained models as given: a query's value is its mean over the seeds, and the queries
are the sample. `p_seeds`, the test of equivalence and all intervals hold for other seeds too.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from redistil.seeds import generator
from redistil.stages.report.numbers import statistics
from redistil.stages.report.numbers.entries import Entry, Values
from redistil.stages.report.numbers.rows import GroupValue, LossRow, Summary, Test
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
        return statistics.over_members(self.members)


@dataclass(frozen=True)
class Tested:
    """A comparison with its tests, before the correction that needs its whole family."""

    comparison: Comparison
    test: statistics.PairedTest
    p_randomisation: float
    p_seeds: float
    p_equivalence: float


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
        systems: list[str] = []
        for entry in lines:
            systems += entry.systems
        self._place = {name: place for place, name in enumerate(systems)}
        self._strata = []
        for dataset in datasets:
            self._strata.append(np.stack([values.per_query[s, dataset] for s in systems]))
        self._means = statistics.group_mean(self._strata)
        rng = self._stream("queries")
        self._samples = statistics.resample_queries(self._strata, settings.resamples, rng)

    def _stream(self, *names: str) -> np.random.Generator:
        return generator(self.settings.seed, "report", *names, self.name)

    def _places(self, entry: Entry) -> list[int]:
        return [self._place[name] for name in entry.systems]

    def per_seed(self, entry: Entry) -> Floats:
        """Return the group's value of each seed."""
        means: Floats = self._means[self._places(entry)]
        return means

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

    def value(self, entry: Entry, tests: Sequence[Test]) -> GroupValue:
        """Return mean, spreads and interval of an entry, and its lead over the first stage."""
        summary = self._summary([entry])
        is_first = entry.name == self.reference
        test = test_of(tests, "cells", entry.name)
        return GroupValue(
            value=summary.value,
            spread=summary.spread,
            spread_of_sets=statistics.spread_of_sets(self.strata(entry)),
            low=summary.low,
            high=summary.high,
            difference=None if is_first else summary.difference,
            difference_low=None if is_first else summary.difference_low,
            difference_high=None if is_first else summary.difference_high,
            effect=test.effect if test else None,
            p=test.p if test else None,
            p_holm=test.p_holm if test else None,
            p_seeds=test.p_seeds if test else None,
            verdict=test.verdict if test else None,
        )

    def _summary(self, members: Sequence[Entry]) -> Summary:
        per_seed = np.mean([self.per_seed(entry) for entry in members], axis=0)
        samples = np.mean([self.samples(entry) for entry in members], axis=0)
        first = self._place[self.reference]
        value = float(per_seed.mean())
        difference = value - float(self._means[first])
        of_value = self._uncertainty(self.strata, members)
        low, high = statistics.interval(samples, value, of_value, LEVEL, (0, 1))
        of_lead = self._uncertainty(self.leads, members)
        lead_samples = samples - self._samples[first]
        lead = statistics.interval(lead_samples, difference, of_lead, LEVEL, (-1, 1))
        return Summary(value, statistics.spread(per_seed), low, high, difference, *lead)

    def _uncertainty(
        self, of: Callable[[Entry], list[Floats]], members: Sequence[Entry]
    ) -> statistics.Uncertainty:
        return statistics.uncertainty([of(entry) for entry in members])

    def by_loss(self) -> dict[str, list[Entry]]:
        """Return the entries of each loss."""
        by_loss: dict[str, list[Entry]] = {}
        for entry in self.students:
            by_loss.setdefault(str(entry.loss), []).append(entry)
        return by_loss

    # --- tests ------------------------------------------------------------------------------------

    def comparisons(self) -> list[Comparison]:
        """Return everything that is tested, family by family."""
        first = self.reference
        by_loss = self.by_loss()
        leads: dict[str, Strata] = {}
        cells, losses, pairs, loss_pairs = [], [], [], []
        for entry in self.students:
            leads[entry.name] = self.leads(entry)
            cells.append(Comparison("cells", entry.name, first, [leads[entry.name]]))
        for loss, members in by_loss.items():
            losses.append(Comparison("losses", loss, first, [leads[e.name] for e in members]))
        for one, other in combinations(by_loss, 2):
            together: list[Strata] = []
            for left, right in zip(by_loss[one], by_loss[other], strict=True):
                between = _minus(leads[left.name], leads[right.name])
                pairs.append(Comparison("pairs", left.name, right.name, [between]))
                together.append(between)
            loss_pairs.append(Comparison("loss pairs", one, other, together))
        return [*cells, *losses, *pairs, *loss_pairs]

    def tests(self) -> list[Test]:
        """Return a row for each comparison; p values are corrected within their family."""
        compared = self.comparisons()
        if not compared:
            return []
        differences = zip(*(comparison.differences for comparison in compared), strict=True)
        stacked = [np.stack(rows) for rows in differences]
        signed = statistics.paired_randomisation(
            stacked, self.settings.resamples, self._stream("randomisation")
        )
        families: dict[str, list[Tested]] = {}
        for comparison, p_signed in zip(compared, signed, strict=True):
            tested = self._tested(comparison, float(p_signed))
            families.setdefault(comparison.family, []).append(tested)
        rows: list[Test] = []
        for family in families.values():
            rows += self._corrected(family)
        return rows

    def _tested(self, comparison: Comparison, p_randomisation: float) -> Tested:
        test = statistics.paired_t(comparison.differences)
        both = statistics.uncertainty(comparison.members)
        p_seeds = both.p(test.difference)
        p_equivalence = statistics.equivalence(test.difference, both, self.settings.margin)
        return Tested(comparison, test, p_randomisation, p_seeds, p_equivalence)

    def _corrected(self, family: Sequence[Tested]) -> list[Test]:
        """Return the rows of a family: Holm's p values, and the words for both tests."""
        alpha = self.settings.alpha
        corrected = statistics.holm([tested.test.p for tested in family])
        close = statistics.holm([tested.p_equivalence for tested in family])
        rows = []
        for tested, p_holm, p_close in zip(family, corrected, close, strict=True):
            comparison, test = tested.comparison, tested.test
            row = Test(
                group=self.name,
                family=comparison.family,
                system=comparison.system,
                against=comparison.against,
                queries=self.queries,
                difference=test.difference,
                effect=test.effect,
                t=test.t,
                degrees=test.degrees,
                p=test.p,
                p_holm=p_holm,
                p_randomisation=tested.p_randomisation,
                p_seeds=tested.p_seeds,
                verdict=statistics.verdict(test.difference, p_holm, alpha),
                p_equivalence=p_close,
                equivalence=statistics.claim(p_close, alpha),
            )
            rows.append(row)
        return rows

    def losses(self, tests: Sequence[Test]) -> list[LossRow]:
        """Return a line for each loss: its students together, and the best of them alone."""
        return [self._loss(loss, members, tests) for loss, members in self.by_loss().items()]

    def _loss(self, loss: str, members: Sequence[Entry], tests: Sequence[Test]) -> LossRow:
        best = max(members, key=lambda entry: float(self.per_seed(entry).mean()))
        together, alone = test_of(tests, "losses", loss), test_of(tests, "cells", best.name)
        assert together is not None and alone is not None
        return LossRow(
            group=self.name,
            loss=loss,
            students=len(members),
            seeds=len(members[0].systems),
            **asdict(self._summary(members)),
            effect=together.effect,
            p=together.p,
            p_holm=together.p_holm,
            p_seeds=together.p_seeds,
            verdict=together.verdict,
            equivalence=together.equivalence,
            best_student=best.student,
            best_value=float(self.per_seed(best).mean()),
            best_difference=alone.difference,
            best_p_holm=alone.p_holm,
            best_verdict=alone.verdict,
        )


def _minus(one: Strata, other: Strata) -> list[Floats]:
    return [a - b for a, b in zip(one, other, strict=True)]


def test_of(tests: Sequence[Test], family: str, system: str) -> Test | None:
    """Return the test of `system` among those of a group; None for what the family leaves out."""
    for test in tests:
        if (test.family, test.system) == (family, system):
            return test
    return None
