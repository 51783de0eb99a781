"""The numbers of a group of datasets: values with their intervals, and every comparison.

Which comparisons are one family, and how sure a difference is, says `inference`. A comparison has
one record, and whatever is shown of it is read from there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from redistil.seeds import generator
from redistil.stages.report.numbers import inference, statistics
from redistil.stages.report.numbers.entries import Entry, Values
from redistil.stages.report.numbers.estimates import Cell, Estimate, Scope
from redistil.stages.report.numbers.inference import (
    BASELINES,
    BETTER,
    EQUIVALENT,
    LOSSES,
    WORSE,
    Record,
)
from redistil.stages.report.numbers.rows import GroupValue, LossRow, Test, Verdicts, Versus
from redistil.stages.report.numbers.statistics import Floats

LEVEL = inference.LEVEL  # of every interval
IN_FAMILY = (
    "first stage",
    "teacher",
    "checkpoint",
)  # baselines that every student and loss is tested against
GIVEN = ("teacher", "checkpoint", "retriever")  # no re-ranking student: against first stages


@dataclass(frozen=True)
class Settings:
    """alpha: the level of the tests; resamples: signings of the randomisation test.

    margin: how far apart two systems may be and still be called equivalent.
    """

    alpha: float
    resamples: int
    seed: int
    margin: float


class Group:
    """The datasets of one group, with the values of every line of the leaderboard on them."""

    def __init__(
        self,
        name: str,
        datasets: Sequence[str],
        lines: Sequence[Entry],
        reference: str,
        values: Values,
    ) -> None:
        self.name, self.reference = name, reference
        self.students: list[Entry] = []
        self.baselines: list[str] = []
        self.given: list[str] = []
        self.first_stages: list[str] = []
        cells = []
        for entry in lines:
            if entry.kind == "student":
                self.students.append(entry)
            if entry.kind in IN_FAMILY:
                self.baselines.append(entry.name)
            if entry.kind in GIVEN:
                self.given.append(entry.name)
            if entry.kind == "first stage":
                self.first_stages.append(entry.name)
            cells.append(cell_of(entry, datasets, values))
        self.queries = 0
        for dataset in datasets:
            self.queries += values.queries[dataset]
        self.scope = Scope(name, cells)

    def strata(self, name: str) -> Sequence[Floats]:
        """Return the values [seeds, queries] of a line on each dataset."""
        return self.scope.cells[name].strata

    def per_seed(self, entry: Entry) -> Floats:
        """Return the group's value of each seed."""
        return statistics.group_mean(self.strata(entry.name))

    def mean(self, entry: Entry) -> float:
        """Return the group's value of a line, over its seeds."""
        return float(self.scope.estimate([entry.name]).value)

    def means(self, name: str) -> list[Floats]:
        """Return, on each dataset, a line's mean over seeds, by query."""
        return [values.mean(axis=0) for values in self.strata(name)]

    def lead(self, system: str, against: str) -> list[Floats]:
        """Return, on each dataset, one line's mean over seeds less another's, by query."""
        both = zip(self.means(system), self.means(against), strict=True)
        leads = []
        for one, other in both:
            leads.append(one - other)
        return leads

    def comparisons(self) -> list[inference.Comparison]:
        """Return everything that is tested on this group."""
        students = list(dict.fromkeys(str(entry.student) for entry in self.students))
        return [
            *inference.between_losses(self.scope, students),
            *inference.with_baselines(self.scope, self.baselines, students),
            *self._of_given(),
        ]

    def _of_given(self) -> list[inference.Comparison]:
        """Return every teacher, checkpoint of others and retriever against every first stage."""
        compared = []
        for system, against in product(self.given, self.first_stages):
            compared.append(inference.compare(BASELINES, self.scope, system, against))
        return compared

    def value(self, entry: Entry, tests: Sequence[Test]) -> GroupValue:
        """Return a line's mean, spreads and intervals, and its lead over the first stage.

        tests: of this group.
        """
        estimate = self.scope.estimate([entry.name])
        value, half = float(estimate.value), float(estimate.half_width(LEVEL))
        alone = float(estimate.half_width_over_queries(LEVEL))
        lead = self._lead([entry.name]) if entry.name != self.reference else None
        test = test_of(tests, BASELINES, entry.name, self.reference)
        return GroupValue(
            value=value,
            spread=statistics.spread(self.per_seed(entry)),
            spread_of_sets=statistics.spread_of_sets(self.strata(entry.name)),
            low=max(0.0, value - half),
            high=min(1.0, value + half),
            queries_low=max(0.0, value - alone),
            queries_high=min(1.0, value + alone),
            difference=lead.difference if lead else None,
            difference_low=lead.low if lead else None,
            difference_high=lead.high if lead else None,
            effect=test.effect if test else None,
            p=test.p if test else None,
            p_holm=test.p_holm if test else None,
            verdict=test.verdict if test else None,
        )

    def _lead(self, names: Sequence[str]) -> "Interval":
        """Return the mean lead of some lines over the first stage."""
        return Interval.of(self.scope.estimate(names, [self.reference]))

    def by_loss(self) -> dict[str, list[Entry]]:
        """Return the entries of each loss."""
        by_loss: dict[str, list[Entry]] = {}
        for entry in self.students:
            by_loss.setdefault(str(entry.loss), []).append(entry)
        return by_loss

    def losses(self, tests: Sequence[Test]) -> list[LossRow]:
        """Return a row for each loss; tests: of this group."""
        rows = []
        for loss, members in self.by_loss().items():
            rows.append(self._loss(loss, members, tests))
        return rows

    def _loss(self, loss: str, members: Sequence[Entry], tests: Sequence[Test]) -> LossRow:
        names = _names(members)
        lead = self._lead(names)
        seeds = min(len(entry.systems) for entry in members)  # that every student has
        per_seed = np.mean([self.per_seed(entry)[:seeds] for entry in members], axis=0)
        best = max(members, key=self.mean)
        alone = test_of(tests, BASELINES, best.name, self.reference)
        assert alone is not None
        return LossRow(
            group=self.name,
            loss=loss,
            students=len(members),
            seeds=seeds,
            value=float(self.scope.estimate(names).value),
            spread=statistics.spread(per_seed),
            difference=lead.difference,
            difference_low=lead.low,
            difference_high=lead.high,
            verdicts=self._verdicts(names, tests),
            best_student=best.student,
            best_value=self.mean(best),
            best_difference=alone.difference,
            best_p_holm=alone.p_holm,
            best_verdict=alone.verdict,
        )

    def _verdicts(self, names: Sequence[str], tests: Sequence[Test]) -> Verdicts:
        """Return the words of some lines against the first stage."""
        words = []
        for test in tests:
            if test.system in names and test.against == self.reference:
                words.append(test.verdict)
        return counted(words)

    def versus(self, tests: Sequence[Test]) -> list[Versus]:
        """Return every two losses that share students: the mean lead over these, their verdicts.

        The mean is in no family, so it has an interval and no word. tests: of this group.
        """
        words = self._words_between(tests)
        rows = []
        for (one, members), (other, others) in combinations(self.by_loss().items(), 2):
            both = _students(members) & _students(others)
            if not both:
                continue
            estimate = self.scope.estimate(_names(members, both), _names(others, both))
            lead = Interval.of(estimate)
            between = (lead.difference, lead.low, lead.high)
            rows.append(Versus(self.name, one, other, *between, counted(words[one, other])))
        return rows

    def _words_between(self, tests: Sequence[Test]) -> dict[tuple[str, str], list[str]]:
        """Return the students' verdicts on every two losses."""
        loss_of: dict[str, str] = {}
        for loss, members in self.by_loss().items():
            for entry in members:
                loss_of[entry.name] = loss
        words: dict[tuple[str, str], list[str]] = {}
        for test in tests:
            if test.family == LOSSES and test.system in loss_of:
                pair = (loss_of[test.system], loss_of[test.against])
                words.setdefault(pair, []).append(test.verdict)
        return words


@dataclass(frozen=True)
class Interval:
    """A difference with its interval over queries and seeds."""

    difference: float
    low: float
    high: float

    @staticmethod
    def of(estimate: Estimate) -> "Interval":
        """Return the interval of an estimate, within what is possible at all."""
        difference, half = float(estimate.value), float(estimate.half_width(LEVEL))
        return Interval(difference, max(-1.0, difference - half), min(1.0, difference + half))


def cell_of(entry: Entry, datasets: Sequence[str], values: Values) -> Cell:
    """Return the values of a line of the leaderboard; the seeds of one student share a pool.

    What a student retrieves is a pool beside that of what it re-ranks.
    """
    strata = [values.seeds(entry, dataset) for dataset in datasets]
    pool = entry.student
    if entry.kind == "retriever":
        pool = entry.name.removesuffix(f"/{entry.loss}")
    return Cell(entry.name, strata, pool)


def counted(verdicts: Sequence[str]) -> Verdicts:
    """Return how often each word was given."""
    better, worse = verdicts.count(BETTER), verdicts.count(WORSE)
    equivalent = verdicts.count(EQUIVALENT)
    return Verdicts(better, equivalent, len(verdicts) - better - equivalent - worse, worse)


def _names(entries: Sequence[Entry], students: Collection[str | None] | None = None) -> list[str]:
    """Return the names of entries: of all, or of those of some students."""
    return [entry.name for entry in entries if students is None or entry.student in students]


def _students(entries: Sequence[Entry]) -> set[str | None]:
    return {entry.student for entry in entries}


def records(groups: Sequence[Group], settings: Settings) -> dict[str, list[Record]]:
    """Return the records of every group; the correction is over all groups and students at once."""
    compared: list[inference.Comparison] = []
    for group in groups:
        compared += group.comparisons()
    by_group: dict[str, list[Record]] = {}
    for group in groups:
        by_group[group.name] = []
    for record in inference.judge(compared, settings.alpha, settings.margin):
        by_group[record.group].append(record)
    return by_group


def tests(groups: Sequence[Group], settings: Settings) -> dict[str, list[Test]]:
    """Return the records of every group as rows."""
    judged = records(groups, settings)
    rows = {}
    for group in groups:
        rows[group.name] = _rows(group, judged[group.name], settings)
    return rows


def _rows(group: Group, records: Sequence[Record], settings: Settings) -> list[Test]:
    """Return the records of a group as rows, each with the effect and the randomisation test."""
    if not records:
        return []
    leads = [group.lead(record.system, record.against) for record in records]
    stacked = list(map(np.stack, zip(*leads, strict=True)))
    rng = generator(settings.seed, "report", "randomisation", group.name)
    signed = statistics.paired_randomisation(stacked, settings.resamples, rng)
    rows = []
    for record, lead, p in zip(records, leads, signed, strict=True):
        effect = statistics.effect_size(lead)
        rows.append(Test.of(record, group.queries, effect, float(p)))
    return rows


def test_of(tests: Sequence[Test], family: str, system: str, against: str) -> Test | None:
    """Return the test of two systems in a family; None for what the family leaves out."""
    wanted = (family, system, against)
    for test in tests:
        if (test.family, test.system, test.against) == wanted:
            return test
    return None
