"""The benchmark of coverage: what it simulates, counts and tells."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import coverage
from redistil.seeds import generator
from redistil.stages.report.numbers.estimates import Scope


@pytest.mark.parametrize("seeds", [2, 4])
def test_seeds_alone_seldom_make_a_verdict(seeds: int):
    """Six equal losses whose seeds differ: today's promise holds, the one over queries does not."""
    kind = coverage.Kind("test", seeds, 0.02, queries=(60,))
    line = coverage.line(kind, 400)
    assert not line.broken()
    assert line.old_wrong > 0.08 > line.wrong


def test_promises_that_are_broken_are_told():
    kind = coverage.Kind("test", 2, 0.0, queries=(30,))
    line = coverage.line(kind, 50)
    bad = coverage.replace(line, wrong=0.2, coverage=0.8, least=0.7, coverage_error=0.01)
    assert bad.broken() == ["losses", "too narrow", "least coverage"]
    assert coverage.replace(bad, wrong=0, coverage=0.999, least=0.99).broken() == ["too wide"]
    assert coverage.replace(bad, wrong=0.05, coverage=0.95, least=0.94).broken() == []


TWO_GROUPS = coverage.Kind("test", 2, 0.02, queries=(60,), losses=2, groups=2)


def test_intervals_of_both_families_count():
    """One pair of losses, both against BM25 and the teacher, and these two: in each group."""
    tally = coverage.Tally.empty()
    coverage.count(TWO_GROUPS, 3, tally, generator(1, "both"))
    assert tally.held[0].shape == (3, 2 * (1 + 4 + 1))
    assert tally.detectable[0].shape == (3, 2 * 1), "the losses of both groups are one family"


def test_a_teacher_that_leads_is_no_coverage(monkeypatch: pytest.MonkeyPatch):
    """Of the comparisons of a group, three are with the teacher: their truth is no longer 0."""
    simulate = coverage.simulate

    def ahead(*given) -> list[Scope]:
        scopes = []
        for scope in simulate(*given):
            cells = []
            for cell in scope.cells.values():
                lead = float(cell.name == coverage.TEACHER)
                cells.append(replace(cell, strata=[values + lead for values in cell.strata]))
            scopes.append(Scope(scope.group, cells))
        return scopes

    monkeypatch.setattr(coverage, "simulate", ahead)
    line = coverage.line(TWO_GROUPS, 50)
    assert line.least == 0 and line.wrong_baselines == 1
    assert line.coverage == pytest.approx(0.5, abs=0.05)
    assert {"baselines", "least coverage"} <= set(line.broken())


@pytest.mark.parametrize("together", [0.0, 1.0])
def test_groups_share_their_seeds(together: float):
    """A training that is worth more on one group is so on the other, by as much as declared."""
    kind = replace(TWO_GROUPS, spread=1.0, together=together)
    one, other = coverage.simulate(kind, 400, generator(1, "shared"))
    worth = []
    for scope in (one, other):
        means = scope.cells["0/1"].strata[0].mean(axis=-1)
        worth.append(means[:, 0] - means[:, 1])
    assert np.corrcoef(worth)[0, 1] == pytest.approx(together, abs=0.1)


def test_two_groups_keep_the_promise():
    line = coverage.line(replace(TWO_GROUPS, losses=6), 400)
    assert not line.broken()
