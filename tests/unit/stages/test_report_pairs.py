"""Every two lines of the leaderboard tested against each other, as the leaderboard tests them."""

from typing import Any

import numpy as np
import pytest

from redistil.stages.report.numbers import leaderboard, pairs, statistics
from redistil.stages.report.numbers.leaderboard import Settings
from tests.made import report_study
from tests.made.report_study import SYSTEMS, values_of


@pytest.fixture(scope="module")
def tested() -> list[dict[str, Any]]:
    study = report_study.config()
    rows: list[dict[str, Any]] = pairs.compare(study, values_of(study), 2000, 1).to_pylist()
    return rows


def test_every_pair_of_lines_is_tested_in_every_group_and_data_set(tested: list[dict[str, Any]]):
    scopes = ["In domain", "Out of domain", "test", "hard", "away"]
    assert list(dict.fromkeys(row["scope"] for row in tested)) == scopes
    for scope in scopes:
        found = {(r["system"], r["against"]) for r in tested if r["scope"] == scope}
        assert len(found) == SYSTEMS * (SYSTEMS - 1) / 2


def test_a_pair_is_tested_as_the_leaderboard_tests_it(tested: list[dict[str, Any]]):
    """The first stage comes before the students, so the signs are turned."""
    study = report_study.config()
    tables = leaderboard.tabulate(study, values_of(study), Settings(0.05, 2000, 1, 0.005))
    lines = [row for row in tables.tests if row.family == "cells"]
    assert lines
    for line in lines:
        (pair,) = [
            row
            for row in tested
            if (row["scope"], row["system"], row["against"]) == (line.group, "splade", line.system)
        ]
        assert pair["difference"] == pytest.approx(-line.difference)
        assert pair["p"] == pytest.approx(line.p)
        assert pair["p_randomisation"] == pytest.approx(line.p_randomisation, abs=0.02)
        assert pair["p_holm"] >= pair["p"]


def test_the_interval_is_that_of_the_paired_t_test(tested: list[dict[str, Any]]):
    from scipy import stats

    study = report_study.config()
    values = values_of(study).per_query
    (row,) = [
        row
        for row in tested
        if (row["scope"], row["system"], row["against"]) == ("away", "splade", "bm25")
    ]
    differences = values["splade", "away"] - values["bm25", "away"]
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["wins"] == (differences > 0).sum() and row["losses"] == (differences < 0).sum()


def test_a_single_query_leaves_everything_possible():
    """As `statistics.interval` says; 0 would pass for certainty."""
    found = pairs._between([np.array([0.1, 0.2, 0.3]), np.array([0.4])])
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)
    same = pairs._between([np.zeros(3)])
    assert (same.low, same.high) == (0.0, 0.0)


def test_signing_systems_is_signing_their_differences():
    """The shortcut by linearity gives the p values of the plain randomisation test."""
    rng = np.random.default_rng(1)
    strata = [rng.random((3, 30)) + np.array([[0], [0.05], [0.3]]), rng.random((3, 20))]
    couples = [(0, 1), (0, 2), (1, 2)]
    fast = pairs.randomised(strata, couples, 4000, np.random.default_rng(2))
    plain = statistics.paired_randomisation(
        [np.stack([s[a] - s[b] for a, b in couples]) for s in strata],
        4000,
        np.random.default_rng(3),
    )
    assert fast == pytest.approx(plain, abs=0.03)
    assert fast[1] < 0.05 < fast[0]
